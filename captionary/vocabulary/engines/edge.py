"""Qdrant Edge, the engine in process, on a folder. Every call to qdrant_edge stands in this file.

Settings, as measured on 2 cores (see benchmarks/retrieval.py):

- No HNSW graph (m=0, no indexing): queries for prototypes are filtered to a few nouns and exact,
  which a scan of the filtered points answers as fast as a graph, while building one for 10,000
  points took 14 s with Python standing still. What is left for `optimize` is to drop deleted points
  where they are more than a fifth; `close` has it do that (24,000 points, 18,000 deleted: 0.3 s).
- Dot product, not cosine: vectors arrive with unit length, and are then stored bit for bit.
- The write-ahead log is on: what an `update` acknowledged survives `kill -9`; `flush` is what makes
  it survive a power cut, and costs about 0.1 s.
- An empty store takes about 0.5 MB of disk (400 MB in sparse files).
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from captionary.schemas.arrays import Vectors
from captionary.schemas.errors import CaptionaryError, StoreInUse, WrongInput, one_line
from captionary.vocabulary.engines.edge_folder import StoreFolder, damaged
from captionary.vocabulary.engines.engine import (
    EVERYTHING,
    INTEGERS,
    KEYWORDS,
    NAMES,
    TENANT,
    VECTORLESS,
    CollectionName,
    Hits,
    Payload,
    Point,
    Where,
    check_vectors,
    vectors_of,
)

VECTOR = "clip"
WRITE_PAGE = 500
READ_PAGE = 1000
ALL_VALUES = 1_000_000_000


@contextmanager
def engine_errors(path: Path) -> Iterator[None]:
    """Translate what the engine raises: plain Exception, or a panic that is no Exception."""
    try:
        yield
    except (CaptionaryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise CaptionaryError(f"the store {path} failed: {one_line(error)}") from error


class EdgeCollection:
    """A Collection in one shard of Qdrant Edge; `dim` 0 is a collection without vectors."""

    def __init__(self, path: Path, shard: edge.EdgeShard, *, dim: int) -> None:
        self._path = path
        self._shard = shard
        self._dim = dim
        self._written = False
        self._flushed = False

    def upsert(self, points: Sequence[Point]) -> None:
        """Write whole points, WRITE_PAGE to an operation."""
        if self._dim and points:
            rows = list(vectors_of(points, dim=self._dim))
            vectors: list[dict[str, Any]] = [{VECTOR: row} for row in rows]
        else:
            vectors = [{} for _ in points]
        with engine_errors(self._path):
            written = [
                edge.Point(point.id, vector, point.payload)
                for point, vector in zip(points, vectors, strict=True)
            ]
            for page in _pages(written, WRITE_PAGE):
                self._update(edge.UpdateOperation.upsert_points(page))

    def set_payload(self, updates: Mapping[UUID, Payload]) -> None:
        """Replace the named payload fields, an operation a point."""
        # An operation on a point that is not there would fail, with its entry in the log.
        present = [point.id for point in self.retrieve(list(updates), fields=[])]
        with engine_errors(self._path):
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
            for page in _pages(list(which), READ_PAGE):
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
            for page in _pages(list(ids), READ_PAGE):
                records = self._shard.retrieve(page, _selected(fields), self._vectors(with_vectors))
                points = [self._point(record, with_vectors) for record in records]
                if [point.id for point in points] != page:
                    by_id = {point.id: point for point in points}
                    points = [by_id[name] for name in page if name in by_id]
                found += points
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
                        with_payload=_selected(fields),
                        with_vector=self._vectors(with_vectors),
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
                    with_payload=_selected(fields),
                    with_vector=False,
                    order_by=edge.OrderBy(order_by, edge.Direction.Asc),
                )
            )
            return [self._point(record, False) for record in records]

    def search(self, vectors: Vectors, where: Where, *, limit: int) -> list[Hits]:
        """Search exactly, all queries planned as one batch."""
        matrix = check_vectors(vectors, dim=self._dim)
        if where.impossible or limit <= 0 or not len(matrix):
            return [Hits((), np.zeros(0, np.float32)) for _ in matrix]
        condition = _filter(where)
        with engine_errors(self._path):
            requests = [
                edge.QueryRequest(
                    limit=limit,
                    query=edge.Query.Nearest(row, using=VECTOR),
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
                if self._written:
                    self._shard.optimize()
                    self._shard.flush()
            finally:
                self._shard.close()

    def _update(self, operation: edge.UpdateOperation) -> None:
        self._written, self._flushed = True, False
        self._shard.update(operation)

    def _vectors(self, wanted: bool) -> bool | list[str]:
        return [VECTOR] if wanted and self._dim else False

    def _point(self, record: Any, with_vectors: bool) -> Point:
        vector = None
        if with_vectors and self._dim:
            vector = np.array(record.vector[VECTOR], np.float32)
        return Point(record.id, record.payload or {}, vector)


class EdgeEngine:
    """An Engine on a folder, open in one process at a time; never use it in a forked child.

    Raises:
        WrongInput: the folder is not a store, is damaged, or cannot be written.
        StoreInUse: another process has it open.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = StoreFolder(Path(folder))
        self._open: dict[CollectionName, EdgeCollection] = {}
        try:
            if (meta := self._folder.read_meta()) is not None:
                self._load(int(meta["dim"]))
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder.path)

    def create(self, *, dim: int) -> None:
        """Make the three collections, on top of whatever a cut-short creation left."""
        self._folder.lock()
        if self.read_meta() is not None:
            raise CaptionaryError(f"the store {self.address} exists already")
        for name in NAMES:
            self._folder.clear(name)
            with engine_errors(self._folder.path):
                self._open[name] = self._created(name, dim=_dim(name, dim))
            self._open[name].flush()

    def read_meta(self) -> Payload | None:
        """What the store says of itself."""
        return self._folder.read_meta()

    def write_meta(self, meta: Payload) -> None:
        """Replace the meta file."""
        self._folder.write_meta(meta)

    def collection(self, name: CollectionName) -> EdgeCollection:
        """One of the collections."""
        if name not in self._open:
            raise CaptionaryError(f"the store {self.address} is closed, or was never made")
        return self._open[name]

    def close(self) -> None:
        """Flush, close the shards, let go of the lock."""
        try:
            with ExitStack() as closing:
                while self._open:
                    closing.callback(self._open.popitem()[1].close)
        finally:
            self._folder.unlock()

    def _created(self, name: CollectionName, *, dim: int) -> EdgeCollection:
        path = self._folder.path / name
        path.mkdir()
        shard = edge.EdgeShard.create(str(path), _config(dim))
        for field in KEYWORDS[name]:
            index = edge.KeywordIndexParams(is_tenant=field == TENANT)
            shard.update(edge.UpdateOperation.create_field_index(field, index))
        for field in INTEGERS[name]:
            order = edge.IntegerIndexParams(lookup=False, range=True)
            shard.update(edge.UpdateOperation.create_field_index(field, order))
        return EdgeCollection(path, shard, dim=dim)

    def _load(self, dim: int) -> None:
        for name in NAMES:
            path = self._folder.path / name
            # The engine itself opens a shard that lost its segments as an empty one.
            if not (path / "wal").is_dir() or not any((path / "segments").glob("*")):
                raise WrongInput(damaged(self._folder.path, f"{name}/ is incomplete"))
            try:
                with engine_errors(path):
                    shard = edge.EdgeShard.load(str(path))
            except CaptionaryError as error:
                if "WouldBlock" in str(error):
                    raise StoreInUse(self.address) from error
                raise WrongInput(damaged(self._folder.path, str(error))) from error
            self._open[name] = EdgeCollection(path, shard, dim=_dim(name, dim))


def _dim(name: CollectionName, dim: int) -> int:
    return 0 if name in VECTORLESS else dim


def _config(dim: int) -> edge.EdgeConfig:
    optimizers = edge.EdgeOptimizersConfig(indexing_threshold=0, default_segment_number=1)
    if not dim:
        # The engine insists on some vector; a sparse one that no point has costs nothing.
        return edge.EdgeConfig(
            sparse_vectors={"none": edge.EdgeSparseVectorParams()},
            optimizers=optimizers,
            wal_enabled=True,
        )
    return edge.EdgeConfig(
        vectors={VECTOR: edge.EdgeVectorParams(size=dim, distance=edge.Distance.Dot)},
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10),
        optimizers=optimizers,
        wal_enabled=True,
    )


def _hits(points: list[Any]) -> Hits:
    scores = np.array([point.score for point in points], np.float32)
    return Hits(tuple([point.id for point in points]), scores)


def _filter(where: Where) -> edge.Filter:
    return edge.Filter(
        must=[_match(field, list(values)) for field, values in where.any_of.items()],
        must_not=[_match(field, list(values)) for field, values in where.none_of.items() if values],
    )


def _match(field: str, values: list[Any]) -> edge.FieldCondition:
    return edge.FieldCondition(field, match=edge.MatchAny(values))


def _selected(fields: Sequence[str] | None) -> bool | list[str]:
    if fields is None:
        return True
    return list(fields) or False


def _pages(items: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
