"""Payloads hold everything of the contracts, exactly, also after a journey through the engine."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.schemas.dictionary import Exemplar, Picture, Prototype
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import half
from captionary.vocabulary.engines.engine import Engine
from captionary.vocabulary.records.point_ids import (
    RANK_BITS,
    picture_point_id,
    rank,
    region_point_id,
)
from captionary.vocabulary.records.points import (
    picture_from,
    picture_point,
    prototype_from,
    prototype_point,
    region_points,
    single,
    table_from,
)
from captionary.vocabulary.records.regions import Tag, retagged, tags_of, tags_payload
from tests.vocabulary.made_up_records import DIM, LOOK_DIM, picture, table, unit

WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
LISTS = st.lists(WORDS, max_size=4).map(tuple)
SIZES = st.integers(1, 100_000)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32).map(single)
BOXES = st.tuples(SIZES, SIZES, SIZES, SIZES)

PICTURES = st.builds(
    Picture,
    id=WORDS,
    image=WORDS,
    sha256=WORDS,
    size_hw=st.tuples(SIZES, SIZES),
    captions=LISTS,
    nouns=st.lists(LISTS, max_size=3).map(tuple),
    regions=st.integers(0, 500),
    source=WORDS,
    tags=LISTS,
    thumbnail=st.binary(max_size=40),
)
EXEMPLARS = st.builds(
    Exemplar,
    image_id=WORDS,
    index=SIZES,
    box_xyxy=BOXES,
    caption=WORDS,
    source=WORDS,
    similarity=FINITE,
    thumbnail=st.binary(max_size=40),
)
PROTOTYPES = st.builds(
    Prototype,
    noun=WORDS,
    number=SIZES,
    vector=st.integers(0, 1000).map(lambda seed: unit(1, seed=seed)[0]),
    size=SIZES,
    spread=FINITE,
    generation=WORDS,
    exemplars=st.lists(EXEMPLARS, max_size=3).map(tuple),
    look_vector=st.integers(0, 1000).map(lambda seed: unit(1, seed=seed, dim=LOOK_DIM)[0]),
)


@pytest.fixture(scope="module")
def look_dim() -> int:
    """All points that can have looks have them."""
    return LOOK_DIM


THROUGH_THE_ENGINE = settings(max_examples=40)


@THROUGH_THE_ENGINE
@given(item=PICTURES)
def test_pictures(engine: Engine, item: Picture) -> None:
    point = picture_point(item, state="new")
    assert picture_from(point.payload) == item
    engine.collection("pictures").upsert([point])
    stored = engine.collection("pictures").retrieve([picture_point_id(item.id)])
    assert picture_from(stored[0].payload) == item


@THROUGH_THE_ENGINE
@given(prototype=PROTOTYPES)
def test_prototypes(engine: Engine, prototype: Prototype) -> None:
    point = prototype_point(prototype, of=1)
    engine.collection("prototypes").upsert([point])
    stored = engine.collection("prototypes").retrieve([point.id], with_vectors=True)
    for read in (prototype_from(point), prototype_from(stored[0])):
        assert read.vector.tobytes() == prototype.vector.tobytes()
        assert read.look.tobytes() == prototype.look.tobytes()
        assert (read.noun, read.number, read.size) == (
            prototype.noun,
            prototype.number,
            prototype.size,
        )
        assert (read.spread, read.generation, read.exemplars) == (
            prototype.spread,
            prototype.generation,
            prototype.exemplars,
        )


@THROUGH_THE_ENGINE
@given(
    given_picture=PICTURES,
    regions=st.integers(0, 6),
    numbers=st.lists(st.floats(0, 1, width=32), min_size=6, max_size=6),
)
def test_region_tables(
    engine: Engine, given_picture: Picture, regions: int, numbers: list[float]
) -> None:
    rows = RegionTable(
        vectors=unit(regions, seed=regions),
        boxes_xyxy=np.arange(regions * 4, dtype=np.int32).reshape(regions, 4),
        areas=np.array(numbers[:regions], np.float32),
        look_vectors=half(unit(regions, seed=regions, dim=LOOK_DIM)),
    )
    owner = replace(given_picture, regions=regions)
    points = region_points(owner, rows, fingerprint="f")
    engine.collection("regions").upsert(points)
    ids = [point.id for point in points]
    stored = engine.collection("regions").retrieve(ids, with_vectors=True)
    read = table_from(stored, dim=DIM, look_dim=LOOK_DIM)
    assert read.vectors.tobytes() == rows.vectors.tobytes()
    assert (read.looks.shape, read.looks.tobytes()) == (rows.looks.shape, rows.looks.tobytes())
    assert np.array_equal(read.boxes_xyxy, rows.boxes_xyxy)
    assert read.areas.tobytes() == rows.areas.tobytes()


@given(first=WORDS, second=WORDS, index=st.integers(0, 99))
def test_ids_are_derived_and_differ(first: str, second: str, index: int) -> None:
    assert region_point_id(first, index, fingerprint=second) == region_point_id(
        first, index, fingerprint=second
    )
    assert region_point_id(first, 1, fingerprint="2/f") != region_point_id(
        first, 12, fingerprint="f"
    )
    assert 0 <= rank(first) < 2**RANK_BITS
    if first != second:
        assert picture_point_id(first) != picture_point_id(second)


TAGS = st.builds(Tag, FINITE, st.integers(-1, 9), WORDS)


@given(tags=st.dictionaries(WORDS, TAGS), noun=WORDS, tag=TAGS)
def test_tagging_and_untagging(tags: dict[str, Tag], noun: str, tag: Tag) -> None:
    payload = tags_payload(tags)
    assert payload["noun"] == sorted(tags)
    assert tags_of(payload) == tags
    with_it = retagged(tags, noun, tag)
    assert with_it == {**tags, noun: tag}
    without = {name: value for name, value in tags.items() if name != noun}
    assert retagged(with_it, noun, None) == without


def test_payload_numbers_that_are_read_and_written_again_do_not_drift(engine: Engine) -> None:
    numbers = np.random.default_rng(0).normal(size=2000)
    tags = {str(position): Tag(float(number), 0, "") for position, number in enumerate(numbers)}
    point = region_points(picture(1), table(1, look_dim=LOOK_DIM), fingerprint="drift")[0]
    regions = engine.collection("regions")
    regions.upsert([point])
    written = {name: tag._replace(similarity=single(tag.similarity)) for name, tag in tags.items()}
    for _ in range(3):
        regions.set_payload({point.id: tags_payload(tags)})
        tags = tags_of(regions.retrieve([point.id])[0].payload)
        assert tags == written
