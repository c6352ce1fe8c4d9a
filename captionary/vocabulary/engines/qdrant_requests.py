"""What requests to Qdrant have in common, to the engine in process and to a server."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np

from captionary.schemas.arrays import Vectors
from captionary.vocabulary.engines.engine import Hits, Payload, Point, Sizes, Value, vectors_of
from captionary.vocabulary.records.paging import pages

READ_PAGE = 1000
"""Points read, or named by id, in one request."""

ALL_VALUES = 1_000_000_000
"""Limit of a facet that is to count all values."""


def id_pages(ids: Sequence[UUID]) -> Iterator[list[int | str | UUID]]:
    """Yield lists of at most READ_PAGE ids, of the type that both clients take."""
    return pages(ids, READ_PAGE)


def payload_selector(fields: Sequence[str] | None) -> bool | list[str]:
    """Which payload fields a request is to return: all for None, none for an empty sequence."""
    if fields is None:
        return True
    # An empty list would mean all of them to Qdrant.
    return list(fields) or False


def vector_selector(wanted: bool, sizes: Sizes) -> bool | list[str]:
    """Which vectors a request is to return: all that the collection has, or none."""
    return list(sizes) if wanted and sizes else False


def named_vectors(points: Sequence[Point], sizes: Sizes) -> list[dict[str, Any]]:
    """The checked vectors of each point, by name.

    Raises:
        CaptionaryError: as `vectors_of`.
    """
    found = vectors_of(points, sizes)
    return [{name: rows[at] for name, rows in found.items()} for at in range(len(points))]


def point_from(name: UUID, payload: Payload | None, vectors: Any) -> Point:
    """A point that was read; `vectors`: by name, or anything else where none were asked for."""
    named = vectors if isinstance(vectors, dict) else {}
    read = {key: np.array(vector, np.float32) for key, vector in named.items()}
    return Point(name, payload or {}, read.get("clip"), read.get("looks"))


def non_empty(conditions: Mapping[str, Sequence[Value]]) -> Iterator[tuple[str, list[Any]]]:
    """The fields of a condition that have values, with these."""
    return ((field, list(values)) for field, values in conditions.items() if values)


def no_hits(queries: Vectors) -> list[Hits]:
    """The result of queries that can find nothing."""
    return [Hits((), np.zeros(0, np.float32)) for _ in queries]
