"""Pairs that point at regions: they become certain regions of their picture, in any order."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from captionary.indexer.corrector import Corrector
from captionary.indexer.nouns import NounExtractor
from captionary.indexer.records import EmbeddedPair
from captionary.schemas.dictionary import Prototype
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption
from captionary.schemas.pointing import BoxArea, MaskArea, PointedArea, PolygonArea
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.indexer.planted import (
    COLOURS,
    SCENES,
    dump,
    histogram,
    index,
    indexer,
    opened,
    pairs,
    stored,
)
from tests.vocabulary.made_up_records import tagged


def block_of(image: str, thing: str) -> tuple[int, int, int, int]:
    """Where a thing was painted: left, top, width, height."""
    pixels = np.asarray(Image.open(image)).astype(int)
    inside = (np.abs(pixels - np.array(COLOURS[thing])) <= 6).all(axis=2)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )


def boxed(pair: ImageCaption, thing: str, *, refused: bool = False) -> ImageCaption:
    area = BoxArea(*map(float, block_of(str(pair.image), thing)))
    return replace(pair, areas=(*pair.areas, PointedArea(thing, area, refused)))


@pytest.fixture
def world(tmp_path: Path) -> list[ImageCaption]:
    return pairs(tmp_path / "pictures", [*SCENES, ("kite", "lake")])


def pointed(dictionary: StoredDictionary, noun: str) -> list[Prototype]:
    return [item for item in dictionary.prototypes([noun]) if item.kind == "pointed"]


def test_a_box_is_the_thing_in_it(
    world: list[ImageCaption], tmp_path: Path, nouns: NounExtractor
) -> None:
    silent = replace(boxed(world[-1], "kite"), captions=())
    job = index(tmp_path / "s", [*world[:-1], silent], nouns)
    assert (job.added, job.failures, job.notes) == (7, (), ())
    with opened(tmp_path / "s") as dictionary:
        (kite,) = pointed(dictionary, "kite")
        (region,) = tagged(dictionary, "kite")
        table = dictionary.rows_of([(region.image_id, region.index)])
    seen = histogram(np.array([COLOURS["kite"]], np.uint8))
    assert table.vectors[0] @ seen > 0.99, "the region that fills the box, not its corners"
    left, top, width, height = block_of(str(world[-1].image), "kite")
    assert_allclose(table.boxes_xyxy[0], [left, top, left + width, top + height], atol=3)
    assert kite.size == 1
    assert kite.exemplars[0].thumbnail


def test_what_is_pointed_at_is_not_guessed(
    world: list[ImageCaption], tmp_path: Path, nouns: NounExtractor
) -> None:
    """Also where it is wrong: the apple is where someone says that it is."""
    wrong = PointedArea("apple", BoxArea(*map(float, block_of(str(world[0].image), "lake"))))
    index(tmp_path / "s", [replace(world[0], areas=(wrong,)), *world[1:]], nouns)
    with opened(tmp_path / "s") as dictionary:
        regions = {item.image_id: item.index for item in tagged(dictionary, "apple")}
        assert len(regions) == 3, "one in each of its pictures"
        first = next(item for item in dictionary.pictures() if item.pointings)
        assert regions[first.id] == first.pointings[0].index


def test_order_and_repetition_leave_no_trace(
    world: list[ImageCaption], tmp_path: Path, nouns: NounExtractor
) -> None:
    areas = boxed(boxed(world[0], "apple"), "lake", refused=True)
    later = [
        replace(boxed(world[0], "apple"), captions=()),
        replace(boxed(world[0], "lake", refused=True), captions=()),
    ]
    index(tmp_path / "whole", [areas, *world[1:]], nouns)
    index(tmp_path / "single", world, nouns)
    for number in range(2):
        for pair in later:
            job = index(tmp_path / "single", [pair], nouns)
            assert job.known == number
    index(tmp_path / "batch", reversed([*world, *later]), nouns)
    assert stored(tmp_path / "single") == stored(tmp_path / "whole")
    assert stored(tmp_path / "batch") == stored(tmp_path / "whole")


def test_what_cannot_be_pointed_at_is_told_and_the_rest_is_kept(
    world: list[ImageCaption], tmp_path: Path, nouns: NounExtractor
) -> None:
    outside = PointedArea("apple", BoxArea(900.0, 900.0, 5.0, 5.0))
    missing = PointedArea("lake", MaskArea(str(tmp_path / "none.png")))
    triangle = PointedArea("Leaves", PolygonArea(((1.0, 1.0, 40.0, 1.0, 1.0, 40.0),)))
    job = index(tmp_path / "s", [replace(world[0], areas=(outside, missing, triangle))], nouns)
    assert (job.added, job.failures) == (1, ())
    assert any("outside of its picture" in str(note) for note in job.notes)
    assert any("none.png" in str(note) for note in job.notes)
    with opened(tmp_path / "s") as dictionary:
        assert len(pointed(dictionary, "leaf")) == 1, "in the singular, as captions would have it"
    alone = replace(world[1], captions=(), areas=(outside,))
    (failed,) = index(tmp_path / "s", [alone], nouns).failures
    assert "outside of its picture" in failed.reason


def test_teaching_a_new_picture_is_undone_without_a_trace(
    world: list[ImageCaption], tmp_path: Path, nouns: NounExtractor
) -> None:
    index(tmp_path / "s", world[:-1], nouns)
    with opened(tmp_path / "s") as dictionary:
        before = dump(dictionary)
        made = indexer(dictionary, nouns)
        corrector = Corrector(dictionary, made.refresher)

        def taught(pair: ImageCaption) -> EmbeddedPair:
            item = made.embed(pair)
            assert isinstance(item, EmbeddedPair)
            return item

        new = replace(boxed(boxed(world[-1], "kite"), "lake"), captions=())
        done = corrector.teach(taught(new))
        assert [item.noun for item in done.corrections] == ["kite", "lake"]
        assert {item.number for item in done.corrections} == {1}
        assert corrector.teach(taught(new)).corrections == ()
        known = boxed(world[0], "apple")
        corrector.teach(taught(known))
        assert {"kite", "lake"} <= _pointed_nouns(dictionary, ["kite", "lake", "apple"])
        corrector.undo(1)
        assert corrector.undo().number == 2
        assert dump(dictionary) == before
        corrector.block("kite")
        with pytest.raises(WrongInput, match="blocked"):
            corrector.teach(taught(new))


def _pointed_nouns(dictionary: StoredDictionary, nouns: Sequence[str]) -> set[str]:
    return {noun for noun in nouns if pointed(dictionary, noun)}
