"""Shares taken in, on every engine: the same as having indexed everything, once, in any parts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from captionary.indexer.corrector import Corrector
from captionary.indexer.importing import Importer
from captionary.indexer.refresh import Refresher
from captionary.schemas.corrections import with_pointing
from captionary.schemas.jobs import Job
from captionary.schemas.pointing import FIRST_POINTED
from captionary.schemas.regions import PointedTable
from captionary.vocabulary.sharing import SharedFile, SharedStore, write_share
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.engines import Open, opener
from tests.contract.exact_engine import ExactEngine
from tests.indexer.test_corrector import State
from tests.indexer.test_corrector import state_of as points_of
from tests.indexer.test_refresh import (
    DIM,
    PlantedText,
    in_memory,
    pairs_of_nouns,
    planted,
    with_looks,
)
from tests.vocabulary.made_up_records import rounded


@pytest.fixture(params=["edge", "exact"])
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with opener(request.param, tmp_path) as opened:
        yield opened


def state_of(dictionary: StoredDictionary) -> State:
    """All points, with numbers of the precision that every engine keeps."""
    return {
        name: found
        if name == "corrections"
        else [(p, rounded(payload), vector) for p, payload, vector in found]
        for name, found in points_of(dictionary).items()
    }


def taught(dictionary: StoredDictionary) -> Corrector:
    """Some pictures, one pointed at and one refused, and a noun that is called otherwise."""
    dictionary.add(pairs_of_nouns(1))
    corrector = Corrector(dictionary, Refresher(dictionary, PlantedText()))
    point(dictionary, "p000", "cat", FIRST_POINTED + 5)
    corrector.point("cat", "p004", 7, refused=True)
    corrector.rename("dog", "hound")
    corrector.alias("hound", "pooch")
    return corrector


def point(dictionary: StoredDictionary, image_id: str, noun: str, index: int) -> None:
    """Keep an area of the picture that looks like its region 7, as of a dataset."""
    picture = dictionary.picture(image_id)
    assert picture is not None
    table = dictionary.region_tables([picture])[0].rows([7])
    pointed = {} if index in picture.pointed_indices else {image_id: PointedTable((index,), table)}
    dictionary.amend([with_pointing(picture, index, noun, "is")], pointed)


def taken_in(dictionary: StoredDictionary, *shares: SharedFile | SharedStore) -> Job:
    return Importer(dictionary, Refresher(dictionary, PlantedText())).take_in(shares)


def file_of(dictionary: StoredDictionary, path: Path) -> SharedFile:
    write_share(SharedStore(dictionary), path)
    return SharedFile(path)


def test_a_file_and_a_store_bring_the_same_bit_for_bit(open_engine: Open, tmp_path: Path) -> None:
    with in_memory() as original:
        taught(original)
        expected = state_of(original)
        with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
            job = taken_in(dictionary, file_of(original, tmp_path / "a.parquet"))
            assert (job.pairs, job.added, job.known, job.state) == (15, 15, 0, "done")
            assert state_of(dictionary) == expected
            revision = dictionary.revision
            job = taken_in(dictionary, SharedStore(original))
            assert (job.added, job.known, job.nouns) == (0, 15, 0)
            assert state_of(dictionary) == expected
            assert dictionary.revision == revision
            back = file_of(dictionary, tmp_path / "b.parquet")
        with in_memory() as other:
            taken_in(other, back)
            assert state_of(other) == expected
            undone = Corrector(other, Refresher(other, PlantedText()))
            for _ in original.corrections.all():
                undone.undo()
            assert undone.history() == ()


def test_looks_come_along(open_engine: Open, tmp_path: Path) -> None:
    engine = ExactEngine()
    sizes = {"fingerprint": "planted", "dim": DIM, "look_dim": DIM}
    with StoredDictionary(engine, **sizes) as original:  # type: ignore[arg-type]
        original.add(with_looks(pairs_of_nouns(1)))
        Refresher(original, PlantedText()).refresh()
        with StoredDictionary(open_engine(), **sizes) as dictionary:  # type: ignore[arg-type]
            share = file_of(original, tmp_path / "a.parquet")
            assert share.dims == (DIM, DIM)
            taken_in(dictionary, share)
            assert state_of(dictionary) == state_of(original)
            looks = [
                p.look_vector is not None and p.look_vector.tobytes()
                for p in dictionary.engine.collection("regions").scroll(with_vectors=True)
            ]
            assert looks == [
                p.look_vector is not None and p.look_vector.tobytes()
                for p in engine.collection("regions").scroll(with_vectors=True)
            ]


def test_parts_in_any_order_make_the_whole() -> None:
    items = pairs_of_nouns(1)
    with in_memory() as whole, in_memory() as some, in_memory() as rest, in_memory() as joined:
        for dictionary, own in ((whole, items), (some, items[:5]), (rest, items[5:])):
            dictionary.add(own)
            Refresher(dictionary, PlantedText()).refresh()
        taken_in(joined, SharedStore(rest), SharedStore(some))
        assert state_of(joined) == state_of(whole)
        taken_in(some, SharedStore(rest))
        assert _without_tags(state_of(some)) == _without_tags(state_of(whole))


def _without_tags(state: State) -> list[tuple[object, object]]:
    """Pictures and regions with their vectors: the sample is of pictures before the last ones."""
    return [(p[0], p[2]) for name in ("pictures", "regions") for p in state[name]]


def test_known_pictures_are_joined_and_the_own_word_stands() -> None:
    with in_memory() as mine, in_memory() as theirs:
        (one, table), two = planted(1, ("cat", "dog")), planted(2, ("cat", "tree"))
        mine.add([(one, table)])
        other = type(one)(
            **{
                name: getattr(one, name) for name in ("id", "image", "sha256", "size_hw", "regions")
            },
            captions=("a bench", *one.captions),
            nouns=(("bench",), *one.nouns),
            source="another",
            tags=("new",),
        )
        theirs.add([(other, table), two])
        for dictionary in (mine, theirs):
            Refresher(dictionary, PlantedText()).refresh()
        index = FIRST_POINTED + 5
        point(mine, "p001", "cat", index)
        ours, said = (Corrector(d, Refresher(d, PlantedText())) for d in (mine, theirs))
        ours.point("dog", "p001", 3, refused=True)
        said.point("dog", "p001", 3, refused=False)
        said.point("tree", "p001", 4, refused=False)
        point(theirs, "p001", "bench", index)
        point(theirs, "p001", "wug", index + 1)
        job = taken_in(mine, SharedStore(theirs))
        assert (job.added, job.known, job.failures) == (2, 0, ())
        picture = mine.picture("p001")
        assert picture is not None
        assert picture.captions == (*one.captions, "a bench")
        assert (picture.source, picture.tags) == ("odd", ("new",))
        assert [(p.index, p.noun, p.refused) for p in picture.pointings] == [
            (3, "dog", True),
            (4, "tree", False),
            (index, "bench", False),
            (index, "cat", False),
            (index + 1, "wug", False),
        ]
        listed = [(c.number, c.kind, c.noun) for c in mine.corrections.all()]
        assert listed == [(1, "refuse", "dog"), (2, "teach", "tree")]
        regions = mine.engine.collection("regions").scroll()
        tags = {
            p.payload["index"]: p.payload["noun"] for p in regions if "cat" in p.payload["noun"]
        }
        assert tags[index] == ["bench", "cat"], "a stored region keeps its tags"
        before = state_of(mine)
        assert taken_in(mine, SharedStore(theirs)).known == 2
        assert state_of(mine) == before


def test_an_id_of_another_picture_is_reported_and_left_out() -> None:
    with in_memory() as mine, in_memory() as theirs:
        own, table = planted(1, ("cat", "dog"))
        mine.add([(own, table)])
        Refresher(mine, PlantedText()).refresh()
        taught(theirs)
        Corrector(theirs, Refresher(theirs, PlantedText())).point("cat", "p001", 2, refused=True)
        changed = replace(own, sha256="f" * 64)
        mine.add([(changed, table)])
        job = taken_in(mine, SharedStore(theirs))
        assert (job.pairs, job.added, len(job.failures)) == (15, 14, 1)
        assert "the id 'p001' belongs to another picture" in job.failures[0].reason
        assert mine.picture("p001") == changed
        assert "p001" not in {item.image_id for item in mine.corrections.all()}


def test_cut_short_it_goes_on(open_engine: Open, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    class Breaking(SharedFile):
        def items(self) -> Iterator[object]:  # type: ignore[override]
            for number, item in enumerate(super().items()):
                if number == 20:
                    raise Killed
                yield item

    with in_memory() as original:
        taught(original)
        original.add(pairs_of_nouns(1, first=100))
        Refresher(original, PlantedText()).refresh()
        path = tmp_path / "a.parquet"
        file_of(original, path)
        with StoredDictionary(open_engine(), fingerprint="planted", dim=DIM) as dictionary:
            with pytest.raises(Killed):
                taken_in(dictionary, Breaking(path))
            assert dictionary.stats().images == 16
            job = taken_in(dictionary, SharedFile(path))
            assert (job.added, job.known) == (14, 16)
            assert state_of(dictionary) == state_of(original)
