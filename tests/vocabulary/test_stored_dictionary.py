"""The rules of the dictionary, over every engine and over the exact oracle."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from captionary.schemas.dictionary import DictionaryStats, NounEntry, TaggedRegion
from captionary.schemas.errors import (
    CaptionaryError,
    FingerprintMismatch,
    MissingRegions,
    WrongInput,
)
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.engines.engine import NAMES, Engine
from captionary.vocabulary.records.points import prototype_point
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract import exact_engine
from tests.contract.engines import RULE_ENGINES, Open, opener
from tests.contract.exact_engine import ExactEngine
from tests.vocabulary import made_up_records
from tests.vocabulary.made_up_records import DIM, FINGERPRINT, LOOK_DIM, picture, tag, tagged

pair = partial(made_up_records.pair, look_dim=LOOK_DIM)
table = partial(made_up_records.table, look_dim=LOOK_DIM)
prototypes = partial(made_up_records.prototypes, look_dim=LOOK_DIM)


@pytest.fixture(scope="module")
def look_dim() -> int:
    """All rules hold with two vectors; the readers of dictionaries are tried with one."""
    return LOOK_DIM


@pytest.fixture(params=RULE_ENGINES)
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with opener(request.param, tmp_path) as opening:
        yield opening


def opened(engine: Engine) -> StoredDictionary:
    return StoredDictionary(engine, fingerprint=FINGERPRINT, dim=DIM, look_dim=LOOK_DIM)


def same(left: RegionTable, right: RegionTable) -> bool:
    return all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for a, b in (
            (left.vectors, right.vectors),
            (left.looks, right.looks),
            (left.boxes_xyxy, right.boxes_xyxy),
            (left.areas, right.areas),
        )
    )


def contents(dictionary: StoredDictionary) -> list[object]:
    """Everything that the collections hold, comparable."""
    return [
        [
            (
                point.id,
                point.payload,
                *(None if v is None else v.tobytes() for v in (point.vector, point.look_vector)),
            )
            for point in dictionary.engine.collection(name).scroll(with_vectors=True)
        ]
        for name in ("pictures", "regions", "prototypes")
    ]


def test_a_store_is_made_and_opened_again(open_engine: Open) -> None:
    with opened(open_engine()) as made:
        made.add([pair(1)])
        made.replace_prototypes("dog", prototypes("dog", 2))
    with StoredDictionary(open_engine(), fingerprint=None, dim=None) as read:
        assert (read.fingerprint, read.revision) == (FINGERPRINT, 2)
        assert (read.dim, read.look_dim) == (DIM, LOOK_DIM)
        assert read.picture("p0001") == picture(1)
    with opened(open_engine()) as again:
        assert again.revision == 2


def test_other_models_are_refused(open_engine: Open) -> None:
    opened(open_engine()).close()
    with pytest.raises(FingerprintMismatch, match=r"mini/crop.*'other'"):
        StoredDictionary(open_engine(), fingerprint="other", dim=DIM)
    with pytest.raises(FingerprintMismatch, match=r"16.*32"):
        StoredDictionary(open_engine(), fingerprint=FINGERPRINT, dim=32)
    for look_dim, message in ((8, r"look vectors of 24.*of 8"), (0, r"look vectors of 24.*none")):
        with pytest.raises(FingerprintMismatch, match=message):
            StoredDictionary(open_engine(), fingerprint=FINGERPRINT, dim=DIM, look_dim=look_dim)
    opened(open_engine()).close()


def test_a_store_from_before_there_were_looks_opens_as_ever(open_engine: Open) -> None:
    without = replace(table(1), look_vectors=None)
    with StoredDictionary(open_engine(), fingerprint=FINGERPRINT, dim=DIM) as old:
        old.add([(picture(1), without)])
        old.replace_prototypes("dog", made_up_records.prototypes("dog", 2))
        meta = old.engine.read_meta() or {}
        del meta["look_dim"]
        old.engine.write_meta(meta)
    for look_dim in (0, None):
        with StoredDictionary(
            open_engine(), fingerprint=FINGERPRINT, dim=DIM, look_dim=look_dim
        ) as now:
            assert now.look_dim == 0
            assert now.region_tables([picture(1)])[0].look_vectors is None
            assert same(now.region_tables([picture(1)])[0], without)
            assert all(prototype.look is prototype.vector for prototype in now.prototypes(["dog"]))
            with pytest.raises(CaptionaryError, match="the store takes no look vectors"):
                now.add([pair(2)])
    with pytest.raises(FingerprintMismatch, match=r"look vectors of none.*of 24"):
        opened(open_engine())


def test_reading_makes_no_store(open_engine: Open) -> None:
    with pytest.raises(WrongInput, match="there is no dictionary at"):
        StoredDictionary(open_engine(), fingerprint=None, dim=None)


def test_pictures_come_back_as_they_were_given(dictionary: StoredDictionary) -> None:
    items = [pair(9, source="web"), pair(2), pair(5, regions=0), pair(4, regions=1)]
    dictionary.add(items)
    given = sorted((item for item, _ in items), key=lambda item: item.id)
    assert list(dictionary.pictures()) == given
    assert dictionary.pending() == {item.id: item.all_nouns for item in given}
    assert list(dictionary.pictures(source="web")) == [picture(9, source="web")]
    assert [found.id for found in dictionary.pictures(source="")] == ["p0002", "p0004", "p0005"]
    assert [found.id for found in dictionary.pictures(noun="tree")] == ["p0004", "p0009"]
    assert [found.id for found in dictionary.pictures(noun="tree", source="web")] == ["p0009"]
    assert dictionary.picture("p0003") is None
    tables = dictionary.region_tables([items[0][0], items[2][0], items[1][0], items[3][0]])
    expected = [items[number][1] for number in (0, 2, 1, 3)]
    assert all(same(left, right) for left, right in zip(tables, expected, strict=True))


def test_adding_again_changes_nothing(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1), pair(2)])
    dictionary.tag("dog", [tag("dog", 2, 0)])
    dictionary.settle(["p0001", "p0002"])
    before = contents(dictionary)
    dictionary.add([pair(2), pair(1)])
    assert contents(dictionary) == before
    assert dictionary.pending() == {}


def test_regions_without_a_record_do_not_stay(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1, regions=9)])
    dictionary.engine.collection("pictures").delete([])
    ids = [p.id for p in dictionary.engine.collection("pictures").scroll()]
    dictionary.engine.collection("pictures").delete(ids)
    assert list(dictionary.pictures()) == []
    assert dictionary.stats().regions == 0
    dictionary.add([pair(1)])
    assert dictionary.engine.collection("regions").count() == 5
    assert same(dictionary.region_tables([picture(1)])[0], table(1))


def test_a_table_of_another_length_is_refused(dictionary: StoredDictionary) -> None:
    with pytest.raises(CaptionaryError, match="regions=5 but came with 4"):
        dictionary.add([(picture(1), table(1, regions=4))])
    assert dictionary.stats().images == 0


def test_missing_regions_are_an_error(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(3)])
    lacking = "regions of picture 'p0001' and 1 more pictures are not in the store"
    with pytest.raises(MissingRegions, match=lacking) as caught:
        dictionary.region_tables([picture(1), picture(3), picture(2)])
    assert caught.value.images == ("p0001", "p0002")


def test_amending_makes_a_picture_pending_again(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1), pair(2)])
    dictionary.settle(["p0001", "p0002", "unknown"])
    assert dictionary.pending() == {}
    more = replace(
        picture(1),
        captions=(*picture(1).captions, "a zebra"),
        nouns=(*picture(1).nouns, ("zebra",)),
        source="late",
    )
    dictionary.amend([more])
    assert dictionary.pending() == {more.id: more.all_nouns}
    assert list(dictionary.pictures(noun="zebra")) == [more]
    small = replace(more, thumbnail=b"")
    assert more.thumbnail
    assert dictionary.first_pictures("zebra", limit=1) == [small]
    assert dictionary.engine.collection("regions").facet("source") == {"late": 5, "": 5}
    for wrong in (picture(7), replace(more, regions=3)):
        with pytest.raises(CaptionaryError, match="cannot be amended"):
            dictionary.amend([wrong])


def test_retired_pictures_vanish_at_once_and_settle_deletes_them(
    dictionary: StoredDictionary,
) -> None:
    dictionary.add([pair(1), pair(2)])
    dictionary.settle(["p0001", "p0002"])
    dictionary.retire(["p0001", "unknown"])
    assert dictionary.picture("p0001") is None
    assert list(dictionary.pictures()) == [picture(2)]
    assert list(dictionary.pending()) == dictionary.retired() == ["p0001"]
    assert dictionary.draw_sample() == ["p0002"]
    assert dictionary.stats().images == 1
    dictionary.settle(["p0001"])
    assert dictionary.pending() == {}
    assert dictionary.engine.collection("regions").count() == 5


def test_a_retired_picture_can_be_added_again(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1)])
    dictionary.retire(["p0001"])
    dictionary.add([pair(1)])
    dictionary.settle(["p0001"])
    assert list(dictionary.pictures()) == [picture(1)]


def test_a_noun_is_on_exactly_the_regions_given(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1), pair(2)])
    dictionary.tag("dog", [tag("dog", 2, 1, 0.5), tag("dog", 1, 4, 1.0)])
    dictionary.tag("animal", [tag("animal", 2, 1, -0.125)])
    assert tagged(dictionary, "dog") == [tag("dog", 1, 4, 1.0), tag("dog", 2, 1, 0.5)]
    dictionary.tag("dog", [tag("dog", 2, 1, 0.75), tag("dog", 2, 0, 0.5)])
    assert tagged(dictionary, "dog") == [tag("dog", 2, 0, 0.5), tag("dog", 2, 1, 0.75)]
    assert tagged(dictionary, "animal") == [tag("animal", 2, 1, -0.125)]
    assert dictionary.stats().tagged == 2
    dictionary.tag("dog", [])
    assert tagged(dictionary, "dog") == []
    assert dictionary.stats().tagged == 1


def test_the_order_of_tagging_leaves_no_trace(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1)])
    dictionary.tag("b", [tag("b", 1, 0)])
    dictionary.tag("a", [tag("a", 1, 0)])
    before = contents(dictionary)
    dictionary.tag("b", [])
    dictionary.tag("b", [tag("b", 1, 0)])
    assert contents(dictionary) == before


def test_wrong_tags_are_refused(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1)])
    with pytest.raises(MissingRegions, match="regions of picture 'p0001' are not in the store"):
        dictionary.tag("dog", [tag("dog", 1, 0), tag("dog", 1, 99)])
    with pytest.raises(CaptionaryError, match="tagged 'cat' was given for 'dog'"):
        dictionary.tag("dog", [TaggedRegion("cat", "p0001", 0, 0.5)])
    assert tagged(dictionary, "dog") == []


def test_generations_follow_each_other(dictionary: StoredDictionary) -> None:
    assert dictionary.generations() == {}
    dictionary.replace_prototypes("dog", prototypes("dog", 3))
    dictionary.replace_prototypes("cat", prototypes("cat", 1))
    assert (dictionary.generations()["dog"], dictionary.revision) == ("g1", 4)
    dictionary.replace_prototypes("dog", prototypes("dog", 3))
    assert dictionary.revision == 4
    dictionary.replace_prototypes("dog", prototypes("dog", 2, generation="g2"))
    assert (dictionary.generations()["dog"], dictionary.revision) == ("g2", 6)
    kept = dictionary.prototypes(["dog"])
    given = prototypes("dog", 2, generation="g2")
    of_one_vector = [
        [replace(item, vector=given[0].vector, look_vector=None) for item in items]
        for items in (kept, given)
    ]
    assert of_one_vector[0] == of_one_vector[1]
    assert np.array_equal([p.vector for p in kept], [p.vector for p in given])
    assert np.array_equal([p.look for p in kept], [p.look for p in given])
    dictionary.replace_prototypes("dog", [])
    assert (dictionary.generations(), dictionary.revision) == ({"cat": "g1"}, 8)
    dictionary.replace_prototypes("dog", [])
    assert dictionary.revision == 8
    assert dictionary.prototypes(["dog", "cat", "tree"])[0].noun == "cat"


def test_a_change_of_generation_that_was_cut_is_done_again(dictionary: StoredDictionary) -> None:
    dictionary.replace_prototypes("dog", prototypes("dog", 2))
    new = prototypes("dog", 3, generation="g2")
    dictionary.engine.collection("prototypes").upsert([prototype_point(p, of=3) for p in new])
    assert dictionary.generations() == {"dog": ""}
    dictionary.replace_prototypes("dog", new)
    assert (dictionary.generations()["dog"], dictionary.revision) == ("g2", 4)
    assert len(dictionary.prototypes(["dog"])) == 3


def test_mixed_prototypes_are_refused(dictionary: StoredDictionary) -> None:
    with pytest.raises(CaptionaryError, match="another noun"):
        dictionary.replace_prototypes("dog", prototypes("cat", 1))
    both = prototypes("dog", 1) + prototypes("dog", 1, generation="g2")
    with pytest.raises(CaptionaryError, match="several generations"):
        dictionary.replace_prototypes("dog", both)
    assert dictionary.revision == 0


def test_the_sample_is_redrawn_only_when_it_must(dictionary: StoredDictionary) -> None:
    assert dictionary.sample() == []
    dictionary.add([pair(number, regions=1) for number in range(10)])
    first = dictionary.draw_sample(4)
    assert len(set(first)) == 4
    dictionary.add([pair(number, regions=1) for number in range(10, 19)])
    assert dictionary.draw_sample(4) == dictionary.sample() == first
    dictionary.add([pair(19, regions=1)])
    second = dictionary.draw_sample(4)
    dictionary.retire([second[0]])
    third = dictionary.draw_sample(4)
    assert third[:3] == second[1:]
    assert second[0] not in third


def test_the_sample_does_not_depend_on_the_order_of_adding(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(number, regions=1) for number in range(20)])
    other = opened(ExactEngine())
    for number in reversed(range(20)):
        other.add([pair(number, regions=1)])
    assert dictionary.draw_sample(7) == other.draw_sample(7)


def test_entries_and_stats(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(0), pair(1)])
    dictionary.tag("cat", [tag("cat", 0, 0), tag("cat", 1, 0)])
    dictionary.replace_prototypes("cat", prototypes("cat", 3))
    dictionary.replace_prototypes("unicorn", prototypes("unicorn", 1))
    assert dictionary.entries() == [
        NounEntry("bench", 1, 0, 0),
        NounEntry("cat", 2, 2, 3),
        NounEntry("unicorn", 0, 0, 1),
    ]
    assert dictionary.stats() == DictionaryStats(
        images=2,
        regions=10,
        tagged=2,
        nouns=3,
        prototypes=4,
        revision=4,
        fingerprint=FINGERPRINT,
    )


def test_a_store_that_counts_no_regions_is_read_record_by_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As stores are that earlier versions made."""
    with opened(ExactEngine()) as stored:
        stored.add([pair(0), pair(1)])
        counted = stored.stats()
        monkeypatch.setattr(exact_engine, "COUNTED", dict.fromkeys(NAMES, ()))
        assert stored.stats() == counted
        assert counted.regions == sum(pair(n)[0].regions for n in (0, 1))


def test_removal_leaves_what_would_be_there_without(open_engine: Open) -> None:
    def indexed(dictionary: StoredDictionary, numbers: list[int]) -> None:
        """What indexing does, with a rule simple enough for a test: a noun takes every region 0."""
        dictionary.add([pair(number) for number in numbers])
        due = dictionary.pending()
        for noun in sorted(set[str]().union(*due.values())):
            owners = [item.id for item in dictionary.pictures(noun=noun)]
            dictionary.tag(noun, [TaggedRegion(noun, owner, 0, 0.5) for owner in owners])
            made = prototypes(noun, len(owners), generation="+".join(owners))
            dictionary.replace_prototypes(noun, made)
        dictionary.settle(due)

    never = opened(ExactEngine())
    indexed(never, [1, 2, 6])
    with opened(open_engine()) as dictionary:
        indexed(dictionary, [1, 2, 3, 4, 6, 7])
        dictionary.retire(["p0003", "p0004", "p0007"])
        indexed(dictionary, [])
        assert contents(dictionary) == contents(never)
