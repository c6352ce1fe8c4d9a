"""The oracle of the contract suite: an Engine in memory that does everything the plain way."""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args
from uuid import UUID

import numpy as np

from captionary.schemas.arrays import Vectors
from captionary.schemas.errors import CaptionaryError
from captionary.schemas.vectors import half
from captionary.vocabulary.engines.engine import (
    CORRECTED,
    COUNTED,
    EVERYTHING,
    HALF,
    KEYWORDS,
    VECTOR_NAMES,
    CollectionName,
    Hits,
    Payload,
    Point,
    Sizes,
    Value,
    VectorName,
    Where,
    check_vectors,
    vector_sizes,
    vectors_of,
)


def values_of(payload: Payload, name: str) -> list[Value]:
    found = payload.get(name, [])
    return found if isinstance(found, list) else [found]


def matches(payload: Payload, where: Where) -> bool:
    return all(
        set(values_of(payload, name)) & set(values) for name, values in where.any_of.items()
    ) and not any(
        set(values_of(payload, name)) & set(values) for name, values in where.none_of.items()
    )


@dataclass
class ExactCollection:
    name: CollectionName
    sizes: Sizes
    points: dict[UUID, Point] = field(default_factory=dict)
    corrected: bool = False

    def upsert(self, points: Sequence[Point]) -> None:
        found = {
            name: self._kept(rows, name) for name, rows in vectors_of(points, self.sizes).items()
        }
        for number, point in enumerate(points):
            clip, looks = (found[name][number] if name in found else None for name in VECTOR_NAMES)
            self.points[point.id] = Point(point.id, copy.deepcopy(point.payload), clip, looks)

    def set_payload(self, updates: Mapping[UUID, Payload]) -> None:
        for name, payload in updates.items():
            if name in self.points:
                self.points[name].payload.update(copy.deepcopy(payload))

    def delete(self, which: Where | Sequence[UUID]) -> None:
        ids = [p.id for p in self._matching(which)] if isinstance(which, Where) else which
        for name in ids:
            self.points.pop(name, None)

    def flush(self) -> None:
        """Nothing here survives the process anyway."""

    def retrieve(
        self,
        ids: Sequence[UUID],
        *,
        fields: Sequence[str] | None = None,
        with_vectors: bool = False,
    ) -> list[Point]:
        return [read(self.points[i], fields, with_vectors) for i in ids if i in self.points]

    def scroll(
        self,
        where: Where = EVERYTHING,
        *,
        fields: Sequence[str] | None = None,
        with_vectors: bool = False,
    ) -> Iterator[Point]:
        return iter([read(point, fields, with_vectors) for point in self._matching(where)])

    def first(
        self, where: Where, *, order_by: str, limit: int, fields: Sequence[str] | None = None
    ) -> list[Point]:
        found = sorted(self._matching(where), key=lambda point: int(point.payload[order_by]))
        return [read(point, fields, False) for point in found[: max(limit, 0)]]

    def search(
        self, vectors: Vectors, where: Where, *, limit: int, using: VectorName = "clip"
    ) -> list[Hits]:
        queries = check_vectors(vectors, dim=self.sizes.get(using, 0), using=using)
        queries = self._kept(queries, using)
        found = self._matching(where)
        rows = vectors_of(found, self.sizes)[using]
        answer = []
        for scores in queries @ rows.T:
            order = np.argsort(-scores, kind="stable")[: max(limit, 0)]
            answer.append(Hits(tuple(found[k].id for k in order), scores[order]))
        return answer

    def count(self, where: Where = EVERYTHING) -> int:
        return len(self._matching(where))

    def facet(self, field: str, where: Where = EVERYTHING) -> dict[str, int]:
        corrected = CORRECTED[self.name] if self.corrected else ()
        if field not in (*KEYWORDS[self.name], *COUNTED[self.name], *corrected):
            raise CaptionaryError(f"no index on {field}")
        counts: Counter[str] = Counter()
        for point in self._matching(where):
            counts.update({str(value) for value in values_of(point.payload, field)})
        return dict(counts)

    def _kept(self, rows: Vectors, name: VectorName) -> Vectors:
        return half(rows) if (self.name, name) in HALF else rows.copy()

    def _matching(self, where: Where) -> list[Point]:
        found = (point for point in self.points.values() if matches(point.payload, where))
        return sorted(found, key=lambda point: point.id)


def read(point: Point, fields: Sequence[str] | None, with_vectors: bool) -> Point:
    kept = {k: v for k, v in point.payload.items() if fields is None or k in fields}
    vectors = (point.vector, point.look_vector) if with_vectors else (None, None)
    clip, looks = (None if vector is None else vector.copy() for vector in vectors)
    return Point(point.id, copy.deepcopy(kept), clip, looks)


@dataclass
class ExactEngine:
    collections: dict[CollectionName, ExactCollection] = field(default_factory=dict)
    meta: Payload | None = None

    @property
    def address(self) -> str:
        return "memory"

    def create(self, *, dim: int, look_dim: int = 0) -> None:
        if self.meta is not None:
            raise CaptionaryError("the store memory exists already")
        names: tuple[CollectionName, ...] = get_args(CollectionName)
        self.collections = {
            n: ExactCollection(n, vector_sizes(n, dim=dim, look_dim=look_dim)) for n in names
        }

    def read_meta(self) -> Payload | None:
        return copy.deepcopy(self.meta)

    def index_corrected(self) -> None:
        for collection in self.collections.values():
            collection.corrected = True

    def check_writable(self) -> None:
        """It always can."""

    def write_meta(self, meta: Payload) -> None:
        self.meta = copy.deepcopy(meta)

    def collection(self, name: CollectionName) -> ExactCollection:
        if name not in self.collections:
            raise CaptionaryError("the store memory was never made")
        return self.collections[name]

    def close(self) -> None:
        """Kept, so that it can be opened again as a folder can."""
