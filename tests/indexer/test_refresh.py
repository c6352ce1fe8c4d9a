"""Tags and prototypes from stored regions, in worlds of which the truth is known."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from captionary.indexer.candidate_regions import CandidateReader
from captionary.indexer.refresh import Refresher
from captionary.indexer.region_choice import RegionChooser
from captionary.schemas.arrays import Vectors
from captionary.schemas.dictionary import Picture
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import half, unit
from captionary.vocabulary.centring import centred, common_part, common_parts
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.records.point_ids import rank
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.exact_engine import ExactEngine
from tests.indexer.planted import Dump, dump
from tests.vocabulary.made_up_records import tagged

DIM = 48
REGIONS = 10
KNOWN = ("bench", "cat", "dog", "tree")
UNKNOWN = ("blicket", "wug")
NOUNS = (*KNOWN, *UNKNOWN)


def direction(name: str) -> Vectors:
    """What a thing looks like: a unit vector of chance, the same for the same name."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return unit(np.random.default_rng(seed).normal(size=DIM).astype(np.float32))


CONE = direction("what all regions share")
TEXT_SIDE = direction("what all texts share")


@dataclass(frozen=True)
class PlantedText:
    """Knows the look of KNOWN words; any other word gets a direction that means nothing."""

    dim: int = DIM

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        del templates
        looks = [direction(name if name in KNOWN else f"no look: {name}") for name in names]
        return unit(np.array(looks, np.float32).reshape(-1, DIM) + TEXT_SIDE)


def planted(number: int, nouns: Sequence[str]) -> tuple[Picture, RegionTable]:
    """A picture whose region i is its i-th noun; the rest is clutter."""
    chance = np.random.default_rng(number)
    clutter = chance.normal(size=(REGIONS - len(nouns), DIM)) / np.sqrt(DIM)
    looks = np.concatenate([np.array([direction(noun) for noun in nouns]), clutter])
    raw = looks + 0.4 / np.sqrt(DIM) * chance.normal(size=looks.shape) + 1.5 * CONE
    table = RegionTable(
        vectors=unit(raw.astype(np.float32)),
        boxes_xyxy=np.tile(np.array([2, 3, 20, 30], np.int32), (REGIONS, 1)),
        areas=np.full(REGIONS, 0.1, np.float32),
    )
    picture = Picture(
        id=f"p{number:03d}",
        image=f"{number}.jpg",
        sha256=f"{number:064x}",
        size_hw=(48, 64),
        captions=(f"a {' and a '.join(nouns)}",),
        nouns=(tuple(nouns),),
        regions=REGIONS,
        source="odd" if number % 2 else "even",
    )
    return picture, table


def pairs_of_nouns(times: int, first: int = 0) -> list[tuple[Picture, RegionTable]]:
    """Every two nouns together, so many times: 5 pictures a noun each time."""
    scenes = list(combinations(NOUNS, 2)) * times
    return [planted(number, scene) for number, scene in enumerate(scenes, start=first)]


def in_memory() -> StoredDictionary:
    return StoredDictionary(ExactEngine(), fingerprint="planted", dim=DIM)


@pytest.fixture
def dictionary() -> Iterator[StoredDictionary]:
    with in_memory() as made:
        yield made


def refreshed(dictionary: StoredDictionary, items: list[tuple[Picture, RegionTable]]) -> int:
    dictionary.add(items)
    return Refresher(dictionary, PlantedText()).refresh()


def with_looks(items: list[tuple[Picture, RegionTable]]) -> list[tuple[Picture, RegionTable]]:
    """The same pictures, whose look vectors are their vectors turned in space."""
    turned = np.linalg.qr(np.random.default_rng(7).normal(size=(DIM, DIM)))[0].astype(np.float32)
    return [
        (picture, replace(table, look_vectors=half(unit(table.vectors @ turned))))
        for picture, table in items
    ]


def share_right(dictionary: StoredDictionary, noun: str) -> float:
    """The share of the noun's pictures in which it took its own region."""
    pictures = {picture.id: picture for picture in dictionary.pictures(noun=noun)}
    carrying = tagged(dictionary, noun)
    assert {region.image_id for region in carrying} <= pictures.keys()
    hits = [pictures[region.image_id].nouns[0].index(noun) == region.index for region in carrying]
    return sum(hits) / len(pictures)


def share_right_by_text_alone(dictionary: StoredDictionary, noun: str) -> float:
    pictures = list(dictionary.pictures(noun=noun))
    reader = CandidateReader(dictionary, dictionary.sample())
    own = reader.read(pictures)
    scores = own.vectors @ PlantedText().encode_texts([noun])[0]
    best = [int(scores[own.rows_of(number)].argmax()) for number in range(len(pictures))]
    hits = [
        index == picture.nouns[0].index(noun) for index, picture in zip(best, pictures, strict=True)
    ]
    return sum(hits) / len(hits)


def test_known_and_unknown_nouns_find_their_regions(dictionary: StoredDictionary) -> None:
    """Where text means nothing its best region is right by chance, 1 in 10; consistency is not."""
    assert refreshed(dictionary, pairs_of_nouns(2)) == len(NOUNS)
    for noun in NOUNS:
        assert share_right(dictionary, noun) >= 0.9
    for noun in KNOWN:
        assert share_right_by_text_alone(dictionary, noun) >= 0.9
    assert np.mean([share_right_by_text_alone(dictionary, noun) for noun in UNKNOWN]) <= 0.2


def test_looks_choose_regions_and_words_are_kept_beside(dictionary: StoredDictionary) -> None:
    """Turned vectors are as near to each other as they were, so nouns take the same regions."""
    items = pairs_of_nouns(2)
    refreshed(dictionary, items)
    two = StoredDictionary(ExactEngine(), fingerprint="planted", dim=DIM, look_dim=DIM)
    looked = with_looks(items)
    refreshed(two, looked)
    tables = [table for _, table in looked]
    common = common_parts(tables, dim=DIM, look_dim=DIM)
    for noun in NOUNS:
        places = [(region.image_id, region.index) for region in tagged(two, noun)]
        assert places == [(region.image_id, region.index) for region in tagged(dictionary, noun)]
        rows = [(tables[int(image_id[1:])], index) for image_id, index in places]
        (prototype,), (one,) = two.prototypes([noun]), dictionary.prototypes([noun])
        words = centred(np.stack([table.vectors[index] for table, index in rows]), common.vector)
        looks = centred(np.stack([table.looks[index] for table, index in rows]), common.look)
        assert_allclose(prototype.vector, unit(words.mean(axis=0)), atol=1e-5)
        assert_allclose(prototype.look, unit(looks.mean(axis=0)), atol=1e-5)
        assert_allclose(prototype.vector, one.vector, atol=1e-5)
        assert one.look_vector is None
        assert_allclose(prototype.spread, one.spread, atol=1e-3)


def test_prototypes_point_where_their_things_lie(dictionary: StoredDictionary) -> None:
    items = pairs_of_nouns(2)
    refreshed(dictionary, items)
    regions = np.concatenate([table.vectors for _, table in items])
    common = common_part(regions, pictures=len(items))
    for noun in NOUNS:
        (prototype,) = dictionary.prototypes([noun])
        look = centred(unit(direction(noun) + 1.5 * CONE)[None], common)[0]
        assert float(prototype.vector @ look) > 0.95
        assert prototype.size == len(tagged(dictionary, noun)) == 10
        assert 0 <= prototype.spread < 0.5
        assert 1 <= len(prototype.exemplars) <= 4
        similarity = [exemplar.similarity for exemplar in prototype.exemplars]
        assert similarity == sorted(similarity, reverse=True)
        assert all(noun in exemplar.caption for exemplar in prototype.exemplars)


def test_refreshing_again_does_nothing(dictionary: StoredDictionary) -> None:
    refreshed(dictionary, pairs_of_nouns(1))
    before, revision = dump(dictionary), dictionary.revision
    assert Refresher(dictionary, PlantedText()).refresh() == 0
    assert dump(dictionary) == before
    assert dictionary.revision == revision
    assert dictionary.pending() == {}


def test_new_pictures_touch_only_their_nouns(dictionary: StoredDictionary) -> None:
    refreshed(dictionary, pairs_of_nouns(2))
    before = dictionary.generations()
    assert refreshed(dictionary, [planted(100 + n, ("cat", "wug")) for n in range(3)]) == 2
    after = dictionary.generations()
    assert {noun for noun in NOUNS if after[noun] != before[noun]} == {"cat", "wug"}
    assert len(tagged(dictionary, "wug")) == 13


def test_a_doubled_dictionary_is_made_anew(dictionary: StoredDictionary) -> None:
    refreshed(dictionary, pairs_of_nouns(1))
    more = [planted(100 + n, ("cat", "wug")) for n in range(15)]
    assert refreshed(dictionary, more) == len(NOUNS)


def test_a_picture_that_gains_captions_refreshes_its_nouns(dictionary: StoredDictionary) -> None:
    refreshed(dictionary, pairs_of_nouns(1))
    picture = next(dictionary.pictures(noun="cat"))
    nouns = (*picture.nouns, ("mat",))
    dictionary.amend([replace(picture, captions=(*picture.captions, "on a mat"), nouns=nouns)])
    assert Refresher(dictionary, PlantedText()).refresh() == len({"mat", *picture.all_nouns})
    assert [region.image_id for region in tagged(dictionary, "mat")] == [picture.id]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Dump:
    """What one refresh makes, in a folder; what is done in memory is to be equal to it."""
    engine = EdgeEngine(tmp_path_factory.mktemp("clean") / "store")
    with StoredDictionary(engine, fingerprint="planted", dim=DIM) as clean:
        refreshed(clean, pairs_of_nouns(1))
        return dump(clean)


@pytest.mark.parametrize("step", ["added", "half", "tagged", "written"])
def test_work_cut_short_is_done_again(
    dictionary: StoredDictionary, expected: Dump, step: str
) -> None:
    items = pairs_of_nouns(1)
    dictionary.add(items[:7] if step == "half" else items)
    if step == "tagged":
        sample = dictionary.draw_sample()
        assert len(sample) == len(items)
        dictionary.tag("cat", [])
    if step == "written":
        Stopped(dictionary, PlantedText()).run_and_stop(after=3)
    refreshed(dictionary, items)
    assert dump(dictionary) == expected


class Stopped(Refresher):
    """A refresher that is broken off after some nouns."""

    def run_and_stop(self, *, after: int) -> None:
        def stop(done: int, _due: int) -> None:
            if done == after:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.refresh(stop)


def test_removed_pictures_leave_no_trace(dictionary: StoredDictionary) -> None:
    items = pairs_of_nouns(2)
    even = [item for item in items if item[0].source == "even"]
    refreshed(dictionary, items)
    dictionary.retire([picture.id for picture in dictionary.pictures(source="odd")])
    Refresher(dictionary, PlantedText()).refresh()
    with in_memory() as alone:
        refreshed(alone, even)
        assert dump(dictionary) == dump(alone)
        assert dictionary.sample() == alone.sample()


def test_everything_can_be_removed(dictionary: StoredDictionary) -> None:
    refreshed(dictionary, pairs_of_nouns(1))
    dictionary.retire([picture.id for picture in dictionary.pictures()])
    assert Refresher(dictionary, PlantedText()).refresh() == len(NOUNS)
    assert all(not points for points in dump(dictionary).values())
    assert refreshed(dictionary, pairs_of_nouns(1)) == len(NOUNS)


def test_fewer_regions_than_nouns_are_shared(dictionary: StoredDictionary) -> None:
    """One region and two nouns, as with the proposer `whole`: both nouns are taught by it."""
    picture, table = planted(0, ("cat", "wug"))
    one = RegionTable(table.vectors[:1], table.boxes_xyxy[:1], table.areas[:1])
    refreshed(dictionary, [(replace(picture, regions=1), one)])
    assert [(entry.noun, entry.prototypes) for entry in dictionary.entries()] == [
        ("cat", 1),
        ("wug", 1),
    ]


def steps(dictionary: StoredDictionary) -> Iterator[None]:
    """A dictionary grows, gets captions, loses pictures, and gets one anew that looks different."""
    for batch in range(4):
        dictionary.add(pairs_of_nouns(1, first=100 * batch))
        yield
    known = dictionary.pictures_named(["p000", "p101"])
    dictionary.amend(
        [replace(p, captions=(*p.captions, "a wug"), nouns=(*p.nouns, ("wug",))) for p in known]
    )
    yield
    dictionary.retire(["p001", "p102"])
    yield
    picture, table = planted(55, ("cat", "wug"))
    dictionary.add([(replace(picture, id="p001"), table)])
    yield
    dictionary.add(pairs_of_nouns(4, first=1000))
    yield


def test_what_is_kept_between_refreshes_changes_nothing() -> None:
    dumps = []
    for name in ("kept", "fresh"):
        with in_memory() as dictionary:
            lasting = Refresher(dictionary, PlantedText())
            for _ in steps(dictionary):
                refresher = lasting if name == "kept" else Refresher(dictionary, PlantedText())
                refresher.refresh()
            dumps.append(dump(dictionary))
    assert dumps[0] == dumps[1]


def test_a_choice_stays_while_its_basis_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new picture has itself judged; and what comes of it is what judging all anew gives."""
    judged: list[str] = []
    choose = RegionChooser.choose

    def counted(chooser: RegionChooser, picture: Picture, *args: Any, **named: Any) -> Any:
        judged.append(picture.id)
        return choose(chooser, picture, *args, **named)

    monkeypatch.setattr(RegionChooser, "choose", counted)
    cats = [planted(number, ("cat", UNKNOWN[number % 2])) for number in range(90)]
    late = max((picture for picture, _ in cats), key=lambda picture: rank(picture.id))
    first = [item for item in cats if item[0] is not late]
    last = [item for item in cats if item[0] is late]
    with in_memory() as kept, in_memory() as anew:
        monkeypatch.setattr(anew, "tagged", lambda _noun: [])
        for dictionary in (kept, anew):
            refreshed(dictionary, first)
        judged.clear()
        refreshed(kept, last)
        assert judged == [late.id] * 2  # once for each of its nouns
        refreshed(anew, last)
        assert len(judged) > len(first)
        gone = min((picture.id for picture, _ in first), key=rank)  # one that others are judged by
        for dictionary in (kept, anew):
            dictionary.retire([gone])
            Refresher(dictionary, PlantedText(), workers=3).refresh()
            said = replace(late, captions=("a cat", "a dog"), nouns=(("cat",), ("dog",)))
            dictionary.amend([said])
            Refresher(dictionary, PlantedText()).refresh()
        assert dump(kept) == dump(anew)
