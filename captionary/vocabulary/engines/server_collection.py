"""A Collection on a Qdrant server."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from qdrant_client import QdrantClient
from qdrant_client import models as api

from captionary.schemas.arrays import Vectors
from captionary.vocabulary.engines.engine import (
    EVERYTHING,
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
from captionary.vocabulary.engines.server_requests import ServerRequests
from captionary.vocabulary.records.paging import pages

T = TypeVar("T")

QUERY_PAGE = 100
"""Queries in one request."""

MAX_ITEMS = 500
"""Points, or changes of points, in one request."""

MAX_BYTES = 8_000_000
"""Of one request, about; servers refuse more than 32 MB unless configured otherwise."""

NUMBER_BYTES = 23
"""Of one number of a vector as JSON, at most."""


class ServerCollection:
    """A Collection on a server.

    name:  of the collection on the server.
    sizes: of the vectors of its points.
    """

    def __init__(self, requests: ServerRequests, name: str, sizes: Sizes) -> None:
        self._request = requests
        self._name = name
        self._sizes = sizes

    def upsert(self, points: Sequence[Point]) -> None:
        """Write whole points, in requests of bounded size."""
        vectors = named_vectors(points, self._sizes)
        written = (
            api.PointStruct(
                id=point.id,
                vector={name: row.tolist() for name, row in named.items()},
                payload=point.payload,
            )
            for point, named in zip(points, vectors, strict=True)
        )
        for batch in in_batches(written, self._size):
            self._request(QdrantClient.upsert, self._name, batch, wait=True)

    def set_payload(self, updates: Mapping[UUID, Payload]) -> None:
        """Replace the named payload fields, many points to a request."""
        # A change of a point that is not there would fail, and with it the rest of its request.
        present = [point.id for point in self.retrieve(list(updates), fields=[])]
        # Most changes are alike (a state, a source), and then go with all their ids in one.
        alike: dict[str, list[UUID]] = {}
        for name in present:
            alike.setdefault(json.dumps(updates[name], sort_keys=True), []).append(name)
        changes = (
            api.SetPayload(payload=updates[names[0]], points=page)
            for names in alike.values()
            for page in id_pages(names)
        )
        for batch in in_batches(changes, _change_size):
            operations = [api.SetPayloadOperation(set_payload=change) for change in batch]
            self._request(QdrantClient.batch_update_points, self._name, operations, wait=True)

    def delete(self, which: Where | Sequence[UUID]) -> None:
        """Delete points by condition or by id."""
        if isinstance(which, Where):
            if not which.impossible:
                by_filter = api.FilterSelector(filter=_filter(which))
                self._request(QdrantClient.delete, self._name, by_filter, wait=True)
            return
        for page in id_pages(which):
            by_id = api.PointIdsList(points=page)
            self._request(QdrantClient.delete, self._name, by_id, wait=True)

    def flush(self) -> None:
        """Nothing is left to do: each request waits until the server has it applied and logged."""

    def retrieve(
        self,
        ids: Sequence[UUID],
        *,
        fields: Sequence[str] | None = None,
        with_vectors: bool = False,
    ) -> list[Point]:
        """Read points by id, in the order of `ids`."""
        found: dict[UUID, Point] = {}
        for page in id_pages(ids):
            records = self._request(
                QdrantClient.retrieve,
                self._name,
                page,
                with_payload=payload_selector(fields),
                with_vectors=vector_selector(with_vectors, self._sizes),
            )
            found |= {point.id: point for point in map(_point, records)}
        return [found[name] for name in ids if name in found]

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
            records, after = self._request(
                QdrantClient.scroll,
                self._name,
                scroll_filter=_filter(where),
                limit=READ_PAGE,
                offset=after,
                with_payload=payload_selector(fields),
                with_vectors=vector_selector(with_vectors, self._sizes),
            )
            yield from map(_point, records)
            if after is None:
                return

    def first(
        self, where: Where, *, order_by: str, limit: int, fields: Sequence[str] | None = None
    ) -> list[Point]:
        """Read the points with the smallest values of an integer field."""
        if where.impossible or limit <= 0:
            return []
        records, _ = self._request(
            QdrantClient.scroll,
            self._name,
            scroll_filter=_filter(where),
            limit=limit,
            order_by=api.OrderBy(key=order_by, direction=api.Direction.ASC),
            with_payload=payload_selector(fields),
            with_vectors=False,
        )
        return [_point(record) for record in records]

    def search(
        self, vectors: Vectors, where: Where, *, limit: int, using: VectorName = "clip"
    ) -> list[Hits]:
        """Search exactly, QUERY_PAGE queries to a request; no more than the server allows."""
        matrix = check_vectors(vectors, dim=self._sizes.get(using, 0), using=using)
        if where.impossible or limit <= 0:
            return no_hits(matrix)
        condition = _filter(where)
        requests = [
            api.QueryRequest(
                query=row,
                using=using,
                filter=condition,
                limit=min(limit, self._most_values),
                params=api.SearchParams(exact=True),
                with_payload=False,
                with_vector=False,
            )
            for row in matrix.tolist()
        ]
        found: list[Hits] = []
        for page in pages(requests, QUERY_PAGE):
            answers = self._request(QdrantClient.query_batch_points, self._name, page)
            found += [_hits(answer.points) for answer in answers]
        return found

    def count(self, where: Where = EVERYTHING) -> int:
        """How many points satisfy a condition."""
        if where.impossible:
            return 0
        answer = self._request(
            QdrantClient.count, self._name, count_filter=_filter(where), exact=True
        )
        return answer.count

    def facet(self, field: str, where: Where = EVERYTHING) -> dict[str, int]:
        """How many points have each value of a keyword field."""
        if where.impossible:
            return {}
        answer = self._request(
            QdrantClient.facet,
            self._name,
            field,
            facet_filter=_filter(where),
            limit=self._most_values,
            exact=True,
        )
        if len(answer.hits) < self._most_values:
            return {str(hit.value): hit.count for hit in answer.hits}
        # There may be more, and the server has no next page of them.
        found: Counter[str] = Counter()
        for point in self.scroll(where, fields=[field]):
            value = point.payload.get(field, ())
            found.update({value} if isinstance(value, str) else set(value))
        return dict(found)

    @cached_property
    def _most_values(self) -> int:
        """What may be asked for at once: in strict mode, as managed servers have it, little."""
        info = self._request(QdrantClient.get_collection, self._name)
        strict = info.config.strict_mode_config
        most = strict.max_query_limit if strict is not None and strict.enabled else None
        return most or ALL_VALUES

    def _size(self, point: api.PointStruct) -> int:
        return NUMBER_BYTES * sum(self._sizes.values()) + len(json.dumps(point.payload))


def in_batches(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Lists of up to MAX_ITEMS and up to MAX_BYTES; an item that is larger comes alone."""
    batch: list[T] = []
    total = 0
    for item in items:
        added = size(item)
        if batch and (len(batch) == MAX_ITEMS or total + added > MAX_BYTES):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += added
    if batch:
        yield batch


def _change_size(change: api.SetPayload) -> int:
    return len(json.dumps(change.payload)) + 40 * len(change.points or ())


def _filter(where: Where) -> api.Filter:
    # An empty `any_of` is never asked for (`Where.impossible`), so all of it has values.
    return api.Filter(
        must=[_match(*condition) for condition in non_empty(where.any_of)],
        must_not=[_match(*condition) for condition in non_empty(where.none_of)],
    )


def _match(field: str, values: list[Any]) -> api.FieldCondition:
    return api.FieldCondition(key=field, match=api.MatchAny(any=values))


def _point(record: api.Record) -> Point:
    return point_from(UUID(str(record.id)), record.payload, record.vector)


def _hits(points: Sequence[api.ScoredPoint]) -> Hits:
    scores = np.array([point.score for point in points], np.float32)
    return Hits(tuple(UUID(str(point.id)) for point in points), scores)
