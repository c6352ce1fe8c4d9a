"""What every engine does with a second vector of a point, run over all of them and the oracle."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from captionary.schemas.arrays import Vectors
from captionary.schemas.errors import CaptionaryError
from captionary.schemas.vectors import half, unit
from captionary.vocabulary.engines.engine import (
    Collection,
    CollectionName,
    Engine,
    Point,
    VectorName,
    Where,
)
from tests.contract.engines import ENGINES, opener
from tests.contract.test_engine import name, nouns

DIM, LOOK_DIM = 16, 40
SPACES: tuple[tuple[VectorName, int], ...] = (("clip", DIM), ("looks", LOOK_DIM))
DOGS = Where(any_of={"noun": ["dog"]})


def rows(count: int, dim: int, *, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32))


def points(count: int, *, seed: int = 0) -> list[Point]:
    """With looks that half precision has."""
    clip, looks = rows(count, DIM, seed=seed), half(rows(count, LOOK_DIM, seed=seed + 1))
    return [Point(name(n), nouns(n), clip[n], looks[n]) for n in range(count)]


def same(found: list[Point], given: list[Point]) -> bool:
    def content(point: Point) -> tuple[object, ...]:
        assert point.vector is not None
        assert point.look_vector is not None
        assert point.vector.dtype == point.look_vector.dtype == np.float32
        return point.id, point.payload, point.vector.tobytes(), point.look_vector.tobytes()

    return [*map(content, found)] == [*map(content, given)]


@pytest.fixture(scope="module", params=ENGINES)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("looks")
    with opener(request.param, folder) as open_engine, closing(open_engine()) as opened:
        opened.create(dim=DIM, look_dim=LOOK_DIM)
        yield opened


@pytest.fixture(params=["regions", "prototypes"])
def collection(request: pytest.FixtureRequest, made: Engine) -> Collection:
    made.collection(request.param).delete(Where())
    return made.collection(request.param)


@pytest.fixture
def regions(made: Engine) -> Collection:
    made.collection("regions").delete(Where())
    return made.collection("regions")


def test_both_vectors_are_read_bit_for_bit(collection: Collection) -> None:
    given = points(60)
    collection.upsert(given)
    assert same(collection.retrieve([name(7), name(2)], with_vectors=True), [given[7], given[2]])
    by_id = sorted(given, key=lambda point: point.id)
    assert same(list(collection.scroll(with_vectors=True)), by_id)
    plain = collection.retrieve([name(7)])[0]
    assert plain.vector is plain.look_vector is None


def test_upsert_replaces_both_vectors(collection: Collection) -> None:
    collection.upsert(points(1))
    collection.upsert(points(1, seed=5))
    assert same(list(collection.scroll(with_vectors=True)), points(1, seed=5))


def test_set_payload_keeps_both_vectors(collection: Collection) -> None:
    given = points(2)
    collection.upsert(given)
    collection.set_payload({name(0): {"noun": ["cat"]}})
    given[0].payload["noun"] = ["cat"]
    assert same(collection.retrieve([name(0), name(1)], with_vectors=True), given)


def test_delete_takes_the_whole_point(collection: Collection) -> None:
    collection.upsert(points(8))
    collection.delete([name(3)])
    collection.delete(DOGS)
    for using, dim in SPACES:
        found = collection.search(rows(1, dim), Where(), limit=9, using=using)
        assert set(found[0].ids) == {name(2), name(6), name(7)}


def test_regions_keep_looks_in_half_precision_and_prototypes_whole(made: Engine) -> None:
    looks = rows(50, LOOK_DIM)
    # Also what half precision has as subnormal numbers only, and what is less than these.
    looks[:, :4] = [3e-5, -1e-6, 7e-8, 1e-9]
    looks = unit(looks)
    given = [Point(name(n), {}, rows(1, DIM)[0], look) for n, look in enumerate(looks)]
    stored: dict[CollectionName, Vectors] = {"regions": half(looks), "prototypes": looks}
    for kind, expected in stored.items():
        collection = made.collection(kind)
        collection.delete(Where())
        collection.upsert(given)
        found = collection.retrieve([point.id for point in given], with_vectors=True)
        read = [point.look_vector for point in found if point.look_vector is not None]
        assert np.array_equal(read, expected)


def test_search_by_each_name_is_exact(collection: Collection) -> None:
    given = points(120)
    collection.upsert(given)
    dogs = [point for point in given if "dog" in point.payload["noun"]]
    for using, dim in SPACES:
        stored = [point.vector if using == "clip" else point.look_vector for point in dogs]
        # In float64: what it says is the truth that float32 sums are measured by.
        queries = half(rows(7, dim, seed=9))
        expected = queries.astype(np.float64) @ np.array(stored, np.float64).T
        for limit in (5, 1000):
            found = collection.search(queries, DOGS, limit=limit, using=using)
            for row, hits in zip(expected, found, strict=True):
                order = np.argsort(-row)[:limit]
                assert hits.ids == tuple(dogs[k].id for k in order)
                np.testing.assert_allclose(hits.scores, row[order], rtol=0, atol=1e-6)


def test_a_search_among_looks_of_regions_rounds_its_queries(regions: Collection) -> None:
    given, queries = points(200), rows(7, LOOK_DIM, seed=9)
    regions.upsert(given)
    rounded = regions.search(half(queries), Where(), limit=200, using="looks")
    found = regions.search(queries, Where(), limit=200, using="looks")
    for one, other in zip(found, rounded, strict=True):
        assert one.ids == other.ids
        assert np.array_equal(one.scores, other.scores)


def test_wrong_looks_are_refused(collection: Collection) -> None:
    good = points(3)
    clip, looks = good[1].vector, good[1].look_vector
    assert clip is not None
    assert looks is not None
    broken = looks.copy()
    broken[0] = np.nan
    refused: list[tuple[Vectors | None, str]] = [
        (None, "1 of 3 points lack a look vector"),
        (clip, r"takes look vectors of shape \(40,\) float32, got \(16,\) float32; .* look model"),
        (broken, "1 of 3 look vectors are not finite and of unit length .*; the look model is at"),
        (looks * 2, "1 of 3 look vectors are not finite and of unit length"),
        (looks.astype(np.float64), r"got \(40,\) float64"),
    ]
    for wrong, message in refused:
        with pytest.raises(CaptionaryError, match=message):
            collection.upsert([good[0], Point(name(1), {}, clip, wrong), good[2]])
        if wrong is not None:
            with pytest.raises(CaptionaryError, match=message.replace(" of 3", " of 1")):
                collection.search(wrong[None], Where(), limit=1, using="looks")
    with pytest.raises(CaptionaryError, match="1 of 1 points lack a vector"):
        collection.upsert([Point(name(1), {}, None, looks)])
    assert collection.count() == 0


def test_pictures_have_no_looks(made: Engine) -> None:
    pictures = made.collection("pictures")
    with pytest.raises(CaptionaryError, match="takes no look vectors; was it made without a look"):
        pictures.upsert([Point(name(0), {}, None, points(1)[0].look_vector)])
    pictures.upsert([Point(name(0), {})])
    found = pictures.retrieve([name(0)], with_vectors=True)[0]
    assert found.vector is found.look_vector is None
