"""What every engine of the dictionary does, run over all of them and over the exact oracle."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID, uuid5

import numpy as np
import pytest

from captionary.schemas.arrays import Vectors
from captionary.schemas.errors import CaptionaryError
from captionary.vocabulary.engines.engine import Collection, Engine, Payload, Point, Where
from tests.contract.engines import ENGINES, opener

DIM = 16
SPACE = UUID("00000000-0000-5000-8000-000000000000")


def unit(rows: int, *, seed: int = 0) -> Vectors:
    raw = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float32)
    vectors: Vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return vectors


def name(number: int) -> UUID:
    return uuid5(SPACE, str(number))


def points(
    count: int, *, payload: Callable[[int], Payload] = lambda number: {"index": number}
) -> list[Point]:
    rows = unit(count)
    return [Point(name(number), payload(number), rows[number]) for number in range(count)]


def nouns(number: int) -> Payload:
    return {"noun": [["dog"], ["cat", "dog"], [], ["tree"]][number % 4], "source": "ab"[number % 2]}


def ids(found: Sequence[Point]) -> set[UUID]:
    return {point.id for point in found}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with opener(request.param, tmp_path) as open_engine, closing(open_engine()) as opened:
        yield opened


@pytest.fixture(scope="module", params=ENGINES)
def made(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("contract")
    with opener(request.param, folder) as open_engine, closing(open_engine()) as opened:
        opened.create(dim=DIM)
        yield opened


@pytest.fixture
def regions(made: Engine) -> Collection:
    made.collection("regions").delete(Where())
    return made.collection("regions")


@pytest.fixture
def pictures(made: Engine) -> Collection:
    made.collection("pictures").delete(Where())
    return made.collection("pictures")


def test_a_store_has_no_meta_until_it_is_written(engine: Engine) -> None:
    assert engine.read_meta() is None
    engine.create(dim=DIM)
    assert engine.read_meta() is None
    engine.write_meta({"dim": DIM, "name": "é", "sample": None})
    engine.write_meta({"dim": DIM, "name": "ü", "sample": {"ids": ["a"]}})
    meta = engine.read_meta() or {}
    assert {key: meta[key] for key in ("dim", "name", "sample")} == {
        "dim": DIM,
        "name": "ü",
        "sample": {"ids": ["a"]},
    }
    with pytest.raises(CaptionaryError, match="exists already"):
        engine.create(dim=DIM)


def test_an_unmade_store_has_no_collections(engine: Engine) -> None:
    with pytest.raises(CaptionaryError, match="never made"):
        engine.collection("regions")


def test_what_is_written_is_read_bit_for_bit(regions: Collection) -> None:
    payload: Payload = {"noun": ["fire hydrant", "é 🐯"], "area": 0.1, "whole": 1.0, "index": 2**40}
    rows = unit(3)
    regions.upsert([Point(name(number), payload, row) for number, row in enumerate(rows)])
    regions.flush()
    found = regions.retrieve([name(2), name(9), name(0)], with_vectors=True)
    assert [point.id for point in found] == [name(2), name(0)]
    assert found[0].payload == payload
    read = [point.vector for point in found if point.vector is not None]
    assert np.array_equal(read, rows[[2, 0]])
    assert all(p.vector is not None and p.vector.dtype == np.float32 for p in found)


def test_only_what_is_asked_for_is_read(regions: Collection) -> None:
    regions.upsert(points(1, payload=lambda _: {"a": 1, "b": [2]}))
    assert regions.retrieve([name(0)])[0].vector is None
    assert regions.retrieve([name(0)], fields=["b", "c"])[0].payload == {"b": [2]}
    assert regions.retrieve([name(0)], fields=[])[0].payload == {}
    assert regions.retrieve([]) == []


def test_upsert_replaces_the_whole_point(regions: Collection) -> None:
    regions.upsert([])
    regions.upsert(points(1, payload=lambda _: {"a": 1, "b": 2}))
    other = unit(1, seed=1)[0]
    regions.upsert([Point(name(0), {"b": 3}, other)])
    found = regions.retrieve([name(0)], with_vectors=True)[0]
    assert found.payload == {"b": 3}
    assert np.array_equal(found.vector, other) if found.vector is not None else False
    assert regions.count() == 1


def test_set_payload_keeps_other_fields_and_makes_no_points(regions: Collection) -> None:
    regions.upsert(points(2, payload=lambda _: {"noun": ["dog"], "source": "a"}))
    regions.set_payload({name(0): {"noun": ["cat"]}, name(7): {"noun": ["cat"]}})
    regions.set_payload({})
    assert regions.retrieve([name(0)])[0].payload == {"noun": ["cat"], "source": "a"}
    assert regions.count() == 2
    assert regions.facet("noun") == {"cat": 1, "dog": 1}


CONDITIONS = [
    Where(),
    Where(any_of={"noun": ["dog"]}),
    Where(any_of={"noun": ["dog", "tree", "nothing"]}),
    Where(any_of={"noun": ["dog"], "source": ["b"]}),
    Where(none_of={"noun": ["dog"]}),
    Where(any_of={"source": ["a"]}, none_of={"noun": ["dog", "tree"]}),
    Where(any_of={"noun": []}),
    Where(none_of={"noun": []}),
    Where(none_of={"missing": ["dog"]}),
    Where(any_of={"missing": ["dog"]}),
    Where(any_of={"source": [""]}),
]


def satisfying(where: Where, count: int) -> set[UUID]:
    def wanted(number: int) -> bool:
        have = {"noun": set(nouns(number)["noun"]), "source": {nouns(number)["source"]}}
        return all(have.get(k, set()) & set(v) for k, v in where.any_of.items()) and not any(
            have.get(k, set()) & set(v) for k, v in where.none_of.items()
        )

    return {name(number) for number in range(count) if wanted(number)}


def test_conditions(regions: Collection) -> None:
    for where in CONDITIONS:
        regions.upsert(points(40, payload=nouns))
        expected = satisfying(where, 40)
        assert [point.id for point in regions.scroll(where, fields=[])] == sorted(expected)
        assert regions.count(where) == len(expected)
        hits = regions.search(unit(2, seed=5), where, limit=100)
        assert [set(hit.ids) for hit in hits] == [expected] * 2
        regions.delete(where)
        assert ids(list(regions.scroll())) == {name(number) for number in range(40)} - expected


def test_an_empty_string_is_a_value(regions: Collection) -> None:
    regions.upsert(points(2, payload=lambda number: {"source": ["", "x"][number]}))
    assert ids(list(regions.scroll(Where(any_of={"source": [""]})))) == {name(0)}
    assert regions.facet("source") == {"": 1, "x": 1}


def test_scroll_reads_every_point_once_over_many_pages(regions: Collection) -> None:
    regions.upsert(points(2345, payload=nouns))
    assert [p.id for p in regions.scroll(fields=[])] == sorted(map(name, range(2345)))
    dogs = list(regions.scroll(Where(any_of={"noun": ["dog"]}), with_vectors=True))
    assert len(dogs) == len(ids(dogs)) == regions.count(Where(any_of={"noun": ["dog"]}))
    assert all(point.vector is not None for point in dogs)


def test_delete_by_id(regions: Collection) -> None:
    regions.upsert(points(3))
    regions.delete([name(0), name(2), name(9)])
    regions.delete([])
    assert ids(list(regions.scroll())) == {name(1)}


def test_first_orders_by_an_integer(pictures: Collection) -> None:
    ranks = [(number * 7919 * 123456789) % 2**52 for number in range(50)]
    pictures.upsert([Point(name(n), {"rank": r, **nouns(n)}) for n, r in enumerate(ranks)])
    found = pictures.first(Where(), order_by="rank", limit=10, fields=["rank"])
    assert [point.payload["rank"] for point in found] == sorted(ranks)[:10]
    cats = pictures.first(Where(any_of={"noun": ["cat"]}), order_by="rank", limit=999)
    assert [p.payload["rank"] for p in cats] == sorted(ranks[number] for number in range(1, 50, 4))
    assert pictures.first(Where(), order_by="rank", limit=0) == []


def test_points_without_vectors(pictures: Collection) -> None:
    pictures.upsert([Point(name(0), {"noun": ["dog"]})])
    assert pictures.retrieve([name(0)], with_vectors=True)[0].vector is None
    assert next(pictures.scroll(with_vectors=True)).payload == {"noun": ["dog"]}


def test_facets_count_points_not_values(regions: Collection) -> None:
    regions.upsert(points(40, payload=nouns))
    assert regions.facet("noun") == {"dog": 20, "cat": 10, "tree": 10}
    assert regions.facet("noun", Where(any_of={"source": ["a"]})) == {"dog": 10}
    assert regions.facet("noun", Where(any_of={"source": []})) == {}
    regions.delete(Where(any_of={"noun": ["cat"]}))
    assert regions.facet("noun") == {"dog": 10, "tree": 10}


def test_search_is_exact(regions: Collection) -> None:
    stored, queries = unit(600), unit(7, seed=3)
    regions.upsert([Point(name(n), nouns(n), row) for n, row in enumerate(stored)])
    dogs = [number for number in range(600) if "dog" in nouns(number)["noun"]]
    expected = queries @ stored[dogs].T
    for limit in (5, len(dogs), 1000):
        found = regions.search(queries, Where(any_of={"noun": ["dog"]}), limit=limit)
        for row, hits in zip(expected, found, strict=True):
            order = np.argsort(-row)[:limit]
            assert hits.ids == tuple(name(dogs[k]) for k in order)
            assert hits.scores.dtype == np.float32
            np.testing.assert_allclose(hits.scores, row[order], atol=1e-6)
    assert regions.search(unit(0), Where(), limit=3) == []


def broken(value: float) -> Vectors:
    rows = unit(3)
    rows[1, 0] = value
    return rows


REFUSED: list[tuple[Vectors, str]] = [
    (broken(np.nan), "1 of 3 vectors are not finite and of unit length"),
    (broken(np.inf), "1 of 3 vectors are not finite and of unit length"),
    (unit(3) * 2, "3 of 3 vectors are not finite and of unit length"),
    (np.zeros((3, DIM), np.float32), "3 of 3 vectors are not finite and of unit length"),
    (unit(3)[:, :-1], r"shape \(16,\) float32, got \(15,\) float32"),
    (unit(3).astype(np.float64), r"shape \(16,\) float32, got \(16,\) float64"),
]


def test_vectors_that_are_no_embeddings_are_refused(regions: Collection) -> None:
    for rows, message in REFUSED:
        with pytest.raises(CaptionaryError, match=message):
            regions.upsert([Point(name(number), {}, row) for number, row in enumerate(rows)])
        with pytest.raises(CaptionaryError, match=message):
            regions.search(rows, Where(), limit=1)
    assert regions.count() == 0


def test_a_missing_vector_is_refused(regions: Collection) -> None:
    with pytest.raises(CaptionaryError, match="1 of 2 points lack a vector"):
        regions.upsert([points(1)[0], Point(name(1), {})])


def test_a_store_without_looks_takes_none(regions: Collection) -> None:
    given = points(1)[0]
    with pytest.raises(CaptionaryError, match="the store takes no look vectors"):
        regions.upsert([Point(given.id, {}, given.vector, given.vector)])
    regions.upsert([given])
    assert regions.retrieve([given.id], with_vectors=True)[0].look_vector is None
    with pytest.raises(CaptionaryError, match="the store takes no look vectors"):
        regions.search(unit(1), Where(), limit=1, using="looks")
