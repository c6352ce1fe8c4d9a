"""The rules of the dictionary, over every engine and over the exact oracle."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from captionary.schemas.dictionary import NounEntry, TaggedRegion, VocabularyStats
from captionary.schemas.errors import (
    CaptionaryError,
    FingerprintMismatch,
    MissingRegions,
    WrongInput,
)
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.points import prototype_point
from captionary.vocabulary.stored_dictionary import Vocabulary
from tests.contract.engines import ENGINES, Open, opener
from tests.contract.exact_engine import ExactEngine
from tests.vocabulary.made import DIM, FINGERPRINT, pair, picture, prototypes, table, tag


@pytest.fixture(params=ENGINES)
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with opener(request.param, tmp_path) as opening:
        yield opening


def same(left: RegionTable, right: RegionTable) -> bool:
    return all(
        np.array_equal(a, b) and a.dtype == b.dtype
        for a, b in (
            (left.vectors, right.vectors),
            (left.boxes_xyxy, right.boxes_xyxy),
            (left.areas, right.areas),
        )
    )


def contents(vocabulary: Vocabulary) -> list[object]:
    """Everything that the collections hold, comparable."""
    return [
        [
            (point.id, point.payload, None if point.vector is None else point.vector.tobytes())
            for point in vocabulary.engine.collection(name).scroll(with_vectors=True)
        ]
        for name in ("pictures", "regions", "prototypes")
    ]


def test_a_store_is_made_and_opened_again(open_engine: Open) -> None:
    with Vocabulary(open_engine(), fingerprint=FINGERPRINT, dim=DIM) as made:
        made.add([pair(1)])
        made.replace_prototypes("dog", prototypes("dog", 2))
    with Vocabulary(open_engine(), fingerprint=None, dim=None) as read:
        assert (read.fingerprint, read.dim, read.revision) == (FINGERPRINT, DIM, 2)
        assert read.picture("p0001") == picture(1)
    with Vocabulary(open_engine(), fingerprint=FINGERPRINT, dim=DIM) as again:
        assert again.revision == 2


def test_other_models_are_refused(open_engine: Open) -> None:
    Vocabulary(open_engine(), fingerprint=FINGERPRINT, dim=DIM).close()
    with pytest.raises(FingerprintMismatch, match=r"mini/crop.*'other'"):
        Vocabulary(open_engine(), fingerprint="other", dim=DIM)
    with pytest.raises(FingerprintMismatch, match=r"16.*32"):
        Vocabulary(open_engine(), fingerprint=FINGERPRINT, dim=32)
    Vocabulary(open_engine(), fingerprint=FINGERPRINT, dim=DIM).close()


def test_reading_makes_no_store(open_engine: Open) -> None:
    with pytest.raises(WrongInput, match="there is no dictionary at"):
        Vocabulary(open_engine(), fingerprint=None, dim=None)


def test_pictures_come_back_as_they_were_given(vocabulary: Vocabulary) -> None:
    items = [pair(9, source="web"), pair(2), pair(5, regions=0), pair(4, regions=1)]
    vocabulary.add(items)
    given = sorted((item for item, _ in items), key=lambda item: item.id)
    assert list(vocabulary.pictures()) == given
    assert vocabulary.pending() == {item.id: item.all_nouns for item in given}
    assert list(vocabulary.pictures(source="web")) == [picture(9, source="web")]
    assert [found.id for found in vocabulary.pictures(source="")] == ["p0002", "p0004", "p0005"]
    assert [found.id for found in vocabulary.pictures(noun="tree")] == ["p0004", "p0009"]
    assert [found.id for found in vocabulary.pictures(noun="tree", source="web")] == ["p0009"]
    assert vocabulary.picture("p0003") is None
    tables = vocabulary.region_tables([items[0][0], items[2][0], items[1][0], items[3][0]])
    expected = [items[number][1] for number in (0, 2, 1, 3)]
    assert all(same(left, right) for left, right in zip(tables, expected, strict=True))


def test_adding_again_changes_nothing(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1), pair(2)])
    vocabulary.tag("dog", [tag("dog", 2, 0)])
    vocabulary.settle(["p0001", "p0002"])
    before = contents(vocabulary)
    vocabulary.add([pair(2), pair(1)])
    assert contents(vocabulary) == before
    assert vocabulary.pending() == {}


def test_regions_without_a_record_do_not_stay(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1, regions=9)])
    vocabulary.engine.collection("pictures").delete([])
    ids = [p.id for p in vocabulary.engine.collection("pictures").scroll()]
    vocabulary.engine.collection("pictures").delete(ids)
    assert list(vocabulary.pictures()) == []
    assert vocabulary.stats().regions == 0
    vocabulary.add([pair(1)])
    assert vocabulary.engine.collection("regions").count() == 5
    assert same(vocabulary.region_tables([picture(1)])[0], table(1))


def test_a_table_of_another_length_is_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(CaptionaryError, match="regions=5 but came with 4"):
        vocabulary.add([(picture(1), table(1, regions=4))])
    assert vocabulary.stats().images == 0


def test_missing_regions_are_an_error(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(3)])
    lacking = "regions of picture 'p0001' and 1 more pictures are not in the store"
    with pytest.raises(MissingRegions, match=lacking) as caught:
        vocabulary.region_tables([picture(1), picture(3), picture(2)])
    assert caught.value.images == ("p0001", "p0002")


def test_amending_makes_a_picture_pending_again(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1), pair(2)])
    vocabulary.settle(["p0001", "p0002", "unknown"])
    assert vocabulary.pending() == {}
    more = replace(
        picture(1),
        captions=(*picture(1).captions, "a zebra"),
        nouns=(*picture(1).nouns, ("zebra",)),
        source="late",
    )
    vocabulary.amend([more])
    assert vocabulary.pending() == {more.id: more.all_nouns}
    assert list(vocabulary.pictures(noun="zebra")) == [more]
    small = replace(more, thumbnail=b"")
    assert more.thumbnail
    assert vocabulary.first_pictures("zebra", limit=1) == [small]
    assert vocabulary.engine.collection("regions").facet("source") == {"late": 5, "": 5}
    for wrong in (picture(7), replace(more, regions=3)):
        with pytest.raises(CaptionaryError, match="cannot be amended"):
            vocabulary.amend([wrong])


def test_retired_pictures_vanish_at_once_and_settle_deletes_them(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1), pair(2)])
    vocabulary.settle(["p0001", "p0002"])
    vocabulary.retire(["p0001", "unknown"])
    assert vocabulary.picture("p0001") is None
    assert list(vocabulary.pictures()) == [picture(2)]
    assert list(vocabulary.pending()) == vocabulary.retired() == ["p0001"]
    assert vocabulary.draw_sample() == ["p0002"]
    assert vocabulary.stats().images == 1
    vocabulary.settle(["p0001"])
    assert vocabulary.pending() == {}
    assert vocabulary.engine.collection("regions").count() == 5


def test_a_retired_picture_can_be_added_again(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1)])
    vocabulary.retire(["p0001"])
    vocabulary.add([pair(1)])
    vocabulary.settle(["p0001"])
    assert list(vocabulary.pictures()) == [picture(1)]


def test_a_noun_is_on_exactly_the_regions_given(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1), pair(2)])
    vocabulary.tag("dog", [tag("dog", 2, 1, 0.5), tag("dog", 1, 4, 1.0)])
    vocabulary.tag("animal", [tag("animal", 2, 1, -0.125)])
    assert vocabulary.tagged("dog") == [tag("dog", 1, 4, 1.0), tag("dog", 2, 1, 0.5)]
    vocabulary.tag("dog", [tag("dog", 2, 1, 0.75), tag("dog", 2, 0, 0.5)])
    assert vocabulary.tagged("dog") == [tag("dog", 2, 0, 0.5), tag("dog", 2, 1, 0.75)]
    assert vocabulary.tagged("animal") == [tag("animal", 2, 1, -0.125)]
    assert vocabulary.stats().tagged == 2
    vocabulary.tag("dog", [])
    assert vocabulary.tagged("dog") == []
    assert vocabulary.stats().tagged == 1


def test_the_order_of_tagging_leaves_no_trace(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1)])
    vocabulary.tag("b", [tag("b", 1, 0)])
    vocabulary.tag("a", [tag("a", 1, 0)])
    before = contents(vocabulary)
    vocabulary.tag("b", [])
    vocabulary.tag("b", [tag("b", 1, 0)])
    assert contents(vocabulary) == before


def test_wrong_tags_are_refused(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(1)])
    with pytest.raises(MissingRegions, match="regions of picture 'p0001' are not in the store"):
        vocabulary.tag("dog", [tag("dog", 1, 0), tag("dog", 1, 99)])
    with pytest.raises(CaptionaryError, match="tagged 'cat' was given for 'dog'"):
        vocabulary.tag("dog", [TaggedRegion("cat", "p0001", 0, 0.5)])
    assert vocabulary.tagged("dog") == []


def test_generations_follow_each_other(vocabulary: Vocabulary) -> None:
    assert vocabulary.generation("dog") is None
    vocabulary.replace_prototypes("dog", prototypes("dog", 3))
    vocabulary.replace_prototypes("cat", prototypes("cat", 1))
    assert (vocabulary.generation("dog"), vocabulary.revision) == ("g1", 4)
    vocabulary.replace_prototypes("dog", prototypes("dog", 3))
    assert vocabulary.revision == 4
    vocabulary.replace_prototypes("dog", prototypes("dog", 2, generation="g2"))
    assert (vocabulary.generation("dog"), vocabulary.revision) == ("g2", 6)
    kept = vocabulary.prototypes(["dog"])
    given = prototypes("dog", 2, generation="g2")
    assert [replace(item, vector=given[0].vector) for item in kept] == [
        replace(item, vector=given[0].vector) for item in given
    ]
    assert np.array_equal([p.vector for p in kept], [p.vector for p in given])
    vocabulary.replace_prototypes("dog", [])
    assert (vocabulary.generation("dog"), vocabulary.revision) == (None, 8)
    vocabulary.replace_prototypes("dog", [])
    assert vocabulary.revision == 8
    assert vocabulary.prototypes(["dog", "cat", "tree"])[0].noun == "cat"


def test_a_change_of_generation_that_was_cut_is_done_again(vocabulary: Vocabulary) -> None:
    vocabulary.replace_prototypes("dog", prototypes("dog", 2))
    new = prototypes("dog", 3, generation="g2")
    vocabulary.engine.collection("prototypes").upsert([prototype_point(p, of=3) for p in new])
    assert vocabulary.generation("dog") is None
    vocabulary.replace_prototypes("dog", new)
    assert (vocabulary.generation("dog"), vocabulary.revision) == ("g2", 4)
    assert len(vocabulary.prototypes(["dog"])) == 3


def test_mixed_prototypes_are_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(CaptionaryError, match="another noun"):
        vocabulary.replace_prototypes("dog", prototypes("cat", 1))
    both = prototypes("dog", 1) + prototypes("dog", 1, generation="g2")
    with pytest.raises(CaptionaryError, match="several generations"):
        vocabulary.replace_prototypes("dog", both)
    assert vocabulary.revision == 0


def test_the_sample_is_redrawn_only_when_it_must(vocabulary: Vocabulary) -> None:
    assert vocabulary.sample() == []
    vocabulary.add([pair(number, regions=1) for number in range(10)])
    first = vocabulary.draw_sample(4)
    assert len(set(first)) == 4
    vocabulary.add([pair(number, regions=1) for number in range(10, 19)])
    assert vocabulary.draw_sample(4) == vocabulary.sample() == first
    vocabulary.add([pair(19, regions=1)])
    second = vocabulary.draw_sample(4)
    vocabulary.retire([second[0]])
    third = vocabulary.draw_sample(4)
    assert third[:3] == second[1:]
    assert second[0] not in third


def test_the_sample_does_not_depend_on_the_order_of_adding(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(number, regions=1) for number in range(20)])
    other = Vocabulary(ExactEngine(), fingerprint=FINGERPRINT, dim=DIM)
    for number in reversed(range(20)):
        other.add([pair(number, regions=1)])
    assert vocabulary.draw_sample(7) == other.draw_sample(7)


def test_entries_and_stats(vocabulary: Vocabulary) -> None:
    vocabulary.add([pair(0), pair(1)])
    vocabulary.tag("cat", [tag("cat", 0, 0), tag("cat", 1, 0)])
    vocabulary.replace_prototypes("cat", prototypes("cat", 3))
    vocabulary.replace_prototypes("unicorn", prototypes("unicorn", 1))
    assert vocabulary.entries() == [
        NounEntry("bench", 1, 0, 0),
        NounEntry("cat", 2, 2, 3),
        NounEntry("unicorn", 0, 0, 1),
    ]
    assert vocabulary.stats() == VocabularyStats(
        images=2,
        regions=10,
        tagged=2,
        nouns=3,
        prototypes=4,
        revision=4,
        fingerprint=FINGERPRINT,
    )


def test_removal_leaves_what_would_be_there_without(open_engine: Open) -> None:
    def indexed(vocabulary: Vocabulary, numbers: list[int]) -> None:
        """What indexing does, with a rule simple enough for a test: a noun takes every region 0."""
        vocabulary.add([pair(number) for number in numbers])
        due = vocabulary.pending()
        for noun in sorted(set[str]().union(*due.values())):
            owners = [item.id for item in vocabulary.pictures(noun=noun)]
            vocabulary.tag(noun, [TaggedRegion(noun, owner, 0, 0.5) for owner in owners])
            made = prototypes(noun, len(owners), generation="+".join(owners))
            vocabulary.replace_prototypes(noun, made)
        vocabulary.settle(due)

    never = Vocabulary(ExactEngine(), fingerprint=FINGERPRINT, dim=DIM)
    indexed(never, [1, 2, 6])
    with Vocabulary(open_engine(), fingerprint=FINGERPRINT, dim=DIM) as vocabulary:
        indexed(vocabulary, [1, 2, 3, 4, 6, 7])
        vocabulary.retire(["p0003", "p0004", "p0007"])
        indexed(vocabulary, [])
        assert contents(vocabulary) == contents(never)
