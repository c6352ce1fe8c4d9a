"""A Collection in one shard of Qdrant Edge, the engine in process."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from captionary.files.free_space import free_space
from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.errors import CaptionaryError, DiskFull, one_line
from captionary.vocabulary.engines.edge_folder import StoreFolder, allocated
from captionary.vocabulary.engines.engine import (
    EVERYTHING,
    CollectionName,
    Hits,
    Payload,
    Point,
    Sizes,
    VectorName,
    Where,
    check_vectors,
)
from captionary.vocabulary.engines.qdrant_requests import (
    ALL_VALUES,
    READ_PAGE,
    id_pages,
    named_vectors,
    no_hits,
    non_empty,
    payload_selector,
    point_from,
    vector_selector,
)
from captionary.vocabulary.records.paging import pages

WRITE_PAGE = 500
"""Points written in one operation."""


FULL = re.compile(r"no space left|quota exceeded|os error (28|122)\b", re.IGNORECASE)
"""What the engine says where the disk is full; 28 and 122 are ENOSPC and EDQUOT."""


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Translate what the engine raises: plain Exception, or a panic that is no Exception.

    Raises:
        DiskFull, CaptionaryError: instead.
    """
    try:
        yield
    except (CaptionaryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if FULL.search(str(error)):
            raise DiskFull(str(path), free=free_space(path)) from error
        raise CaptionaryError(f"the store {path} failed: {one_line(error)}") from error


class EdgeCollection:
    """A Collection in one shard of Qdrant Edge, whose points have vectors of these sizes."""

    def __init__(
        self, folder: StoreFolder, name: CollectionName, shard: edge.EdgeShard, sizes: Sizes
    ) -> None:
        self._folder = folder
        self._path = folder.shards / name
        self._shard = shard
        self._sizes = sizes
        self._written = False
        self._flushed = False

    def upsert(self, points: Sequence[Point]) -> None:
        """Write whole points, WRITE_PAGE to an operation."""
        vectors = named_vectors(points, self._sizes)
        with engine_errors(self._path):
            written = [
                edge.Point(
                    point.id, {name: _view(row) for name, row in named.items()}, point.payload
                )
                for point, named in zip(points, vectors, strict=True)
            ]
            for page in pages(written, WRITE_PAGE):
                self._update(edge.UpdateOperation.upsert_points(page))

    def set_payload(self, updates: Mapping[UUID, Payload]) -> None:
        """Replace the named payload fields, an operation a point."""
        # An operation on a point that is not there would fail, with its entry in the log.
        present = [point.id for point in self.retrieve(list(updates), fields=[])]
        with engine_errors(self._path):
            # Edge has no operation with a payload for each of many points.
            for name in present:
                self._update(edge.UpdateOperation.set_payload([name], updates[name]))

    def delete(self, which: Where | Sequence[UUID]) -> None:
        """Delete points by condition or by id."""
        with engine_errors(self._path):
            if isinstance(which, Where):
                if not which.impossible:
                    operation = edge.UpdateOperation.delete_points_by_filter(_filter(which))
                    self._update(operation)
                return
            for page in id_pages(which):
                self._update(edge.UpdateOperation.delete_points(page))

    def flush(self) -> None:
        """Write everything to disk, if there may be anything to write."""
        if not self._flushed:
            with engine_errors(self._path):
                self._shard.flush()
            self._flushed = True

    def retrieve(
        self,
        ids: Sequence[UUID],
        *,
        fields: Sequence[str] | None = None,
        with_vectors: bool = False,
    ) -> list[Point]:
        """Read points by id, in the order of `ids`."""
        found: list[Point] = []
        with engine_errors(self._path):
            payload, vectors = (
                payload_selector(fields),
                vector_selector(with_vectors, self._sizes),
            )
            for page in id_pages(ids):
                records = self._shard.retrieve(page, payload, vectors)
                found += [self._point(record, with_vectors) for record in records]
        # Nearly always all come, and in order: sorting thousands again would be felt.
        if [point.id for point in found] != list(ids):
            by_id = {point.id: point for point in found}
            found = [by_id[name] for name in ids if name in by_id]
        return found

    def scroll(
        self,
        where: Where = EVERYTHING,
        *,
        fields: Sequence[str] | None = None,
        with_vectors: bool = False,
    ) -> Iterator[Point]:
        """Read all points that satisfy a condition, READ_PAGE at a time."""
        after: Any = None
        while not where.impossible:
            with engine_errors(self._path):
                records, after = self._shard.scroll(
                    edge.ScrollRequest(
                        offset=after,
                        limit=READ_PAGE,
                        filter=_filter(where),
                        with_payload=payload_selector(fields),
                        with_vector=vector_selector(with_vectors, self._sizes),
                    )
                )
                points = [self._point(record, with_vectors) for record in records]
            yield from points
            if after is None:
                return

    def first(
        self, where: Where, *, order_by: str, limit: int, fields: Sequence[str] | None = None
    ) -> list[Point]:
        """Read the points with the smallest values of an integer field."""
        if where.impossible or limit <= 0:
            return []
        with engine_errors(self._path):
            records, _ = self._shard.scroll(
                edge.ScrollRequest(
                    limit=limit,
                    filter=_filter(where),
                    with_payload=payload_selector(fields),
                    with_vector=False,
                    order_by=edge.OrderBy(order_by, edge.Direction.Asc),
                )
            )
            return [self._point(record, False) for record in records]

    def search(
        self, vectors: Vectors, where: Where, *, limit: int, using: VectorName = "clip"
    ) -> list[Hits]:
        """Search exactly, all queries planned as one batch."""
        matrix = check_vectors(vectors, dim=self._sizes.get(using, 0), using=using)
        if where.impossible or limit <= 0 or not len(matrix):
            return no_hits(matrix)
        condition = _filter(where)
        with engine_errors(self._path):
            requests = [
                edge.QueryRequest(
                    limit=limit,
                    query=edge.Query.Nearest(row, using=using),
                    filter=condition,
                    with_payload=False,
                    with_vector=False,
                    params=edge.SearchParams(exact=True),
                )
                for row in matrix
            ]
            found = self._shard.query_batch(edge.QueryBatchRequest(requests))
            return [_hits(points) for points in found]

    def count(self, where: Where = EVERYTHING) -> int:
        """How many points satisfy a condition."""
        if where.impossible:
            return 0
        with engine_errors(self._path):
            request = edge.CountRequest(exact=True, filter=_filter(where))
            return int(self._shard.count(request))

    def index_keyword(self, field: str) -> None:
        """Make a keyword field known to filters and facets."""
        with engine_errors(self._path):
            self._update(edge.UpdateOperation.create_field_index(field, edge.KeywordIndexParams()))

    def facet(self, field: str, where: Where = EVERYTHING) -> dict[str, int]:
        """How many points have each value of a keyword field."""
        if where.impossible:
            return {}
        with engine_errors(self._path):
            request = edge.FacetRequest(field, limit=ALL_VALUES, exact=True, filter=_filter(where))
            return {str(hit.value): int(hit.count) for hit in self._shard.facet(request)}

    def close(self) -> None:
        """Drop the remains of deleted points, flush, let go of the shard."""
        with engine_errors(self._path):
            try:
                # A store that was only read is left as it is, down to its files' times.
                if self._written:
                    # It writes what is left once more, beside what there is; another time will do.
                    if self._folder.has_room_for(allocated(self._path / "segments")):
                        self._shard.optimize()
                    self._shard.flush()
            finally:
                self._shard.close()

    def _update(self, operation: edge.UpdateOperation) -> None:
        self._folder.check_writable()
        self._written, self._flushed = True, False
        self._shard.update(operation)

    def _point(self, record: Any, with_vectors: bool) -> Point:
        return point_from(record.id, record.payload, record.vector if with_vectors else None)


def _hits(points: list[Any]) -> Hits:
    scores = np.array([point.score for point in points], np.float32)
    return Hits(tuple([point.id for point in points]), scores)


def _filter(where: Where) -> edge.Filter:
    # An empty `any_of` is never asked for (`Where.impossible`), so all of it has values.
    return edge.Filter(
        must=[_match(*condition) for condition in non_empty(where.any_of)],
        must_not=[_match(*condition) for condition in non_empty(where.none_of)],
    )


def _match(field: str, values: list[Any]) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchAny(values))


def _view(vector: Vector) -> Any:
    """A vector as the engine takes it in less than half the time that the array itself takes."""
    return vector.data
