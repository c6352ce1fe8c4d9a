"""The small interface between the dictionary's rules and the engine that keeps its points.

An engine keeps three collections: `pictures` (no vectors), `regions` and `prototypes` (one vector
a point). It knows nothing of nouns, and `StoredDictionary` knows nothing of files and servers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_args
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.errors import CaptionaryError

CollectionName: TypeAlias = Literal["pictures", "regions", "prototypes"]
NAMES: tuple[CollectionName, ...] = get_args(CollectionName)

Value: TypeAlias = str | int
Payload: TypeAlias = dict[str, Any]
"""What a point carries beside its vector: strings, numbers and lists of them, as in JSON."""

VECTORLESS: frozenset[CollectionName] = frozenset({"pictures"})

KEYWORDS: Mapping[CollectionName, tuple[str, ...]] = {
    "pictures": ("noun", "source", "state"),
    "regions": ("noun", "image_id", "source", "tags"),
    "prototypes": ("noun",),
}
"""Payload fields that filters and facets use, by collection."""

INTEGERS: Mapping[CollectionName, tuple[str, ...]] = {
    "pictures": ("rank",),
    "regions": (),
    "prototypes": (),
}
"""Payload fields that `first` orders by, by collection."""

TENANT = "noun"
"""The field by which retrieval is nearly always filtered."""

UNIT_TOLERANCE = 1e-3
"""How far the length of a vector may be from one."""


@dataclass(frozen=True, slots=True)
class Point:
    """A stored thing: an id, a payload and, where the collection has one, a vector.

    payload: holds only the fields asked for, when it was read.
    vector:  (D,) float32, unit length; None in `pictures`, or when it was not asked for.
    """

    id: UUID
    payload: Payload
    vector: Vector | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on payload fields; a list in the payload counts as each of its members.

    any_of:  every one of these fields has at least one of its values; an empty sequence of values
             therefore lets nothing through.
    none_of: none of these fields has any of its values; a field that is missing has none.
    """

    any_of: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    none_of: Mapping[str, Sequence[Value]] = field(default_factory=dict)

    @property
    def impossible(self) -> bool:
        """Whether no point can satisfy it."""
        return any(not values for values in self.any_of.values())


EVERYTHING = Where()


@dataclass(frozen=True, slots=True)
class Hits:
    """What one query found, nearest first.

    ids:    n point ids.
    scores: (n,) float32, dot products, falling.
    """

    ids: tuple[UUID, ...]
    scores: NDArray[np.float32]


class Collection(Protocol):
    """Points of one kind.

    `fields` names the payload fields to read; None reads all, an empty sequence none.
    """

    def upsert(self, points: Sequence[Point]) -> None:
        """Write whole points; a point that was there is replaced, payload and vector.

        Raises:
            CaptionaryError: a vector is missing, not finite, of the wrong size or not unit length.
        """
        ...

    def set_payload(self, updates: Mapping[UUID, Payload]) -> None:
        """Replace the named payload fields of points that exist; other fields stay."""
        ...

    def delete(self, which: Where | Sequence[UUID]) -> None:
        """Delete points by condition or by id; ids that are not there are ignored."""
        ...

    def flush(self) -> None:
        """Return when everything written so far would survive a power cut."""
        ...

    def retrieve(
        self,
        ids: Sequence[UUID],
        *,
        fields: Sequence[str] | None = None,
        with_vectors: bool = False,
    ) -> list[Point]:
        """Read points by id, in the order of `ids`; ids that are not there are left out."""
        ...

    def scroll(
        self,
        where: Where = EVERYTHING,
        *,
        fields: Sequence[str] | None = None,
        with_vectors: bool = False,
    ) -> Iterator[Point]:
        """Read all points that satisfy a condition, in rising order of id, page by page."""
        ...

    def first(
        self, where: Where, *, order_by: str, limit: int, fields: Sequence[str] | None = None
    ) -> list[Point]:
        """Read the `limit` points with the smallest value of an integer field, in its order."""
        ...

    def search(self, vectors: Vectors, where: Where, *, limit: int) -> list[Hits]:
        """For each row of (Q, D) vectors, its exact nearest points by dot product; one batch."""
        ...

    def count(self, where: Where = EVERYTHING) -> int:
        """How many points satisfy a condition."""
        ...

    def facet(self, field: str, where: Where = EVERYTHING) -> dict[str, int]:
        """How many points have each value of a keyword field."""
        ...


class Engine(Protocol):
    """Where collections are kept. Opening one that does not exist yet creates nothing."""

    @property
    def address(self) -> str:
        """The folder or URL, for messages."""
        ...

    def create(self, *, dim: int) -> None:
        """Make the three collections, empty, for vectors of `dim`; the store has no meta yet."""
        ...

    def check_writable(self) -> None:
        """Check that it can be written at present, as far as can be told beforehand.

        Raises:
            WrongInput: it is read only.
            DiskFull: its disk has too little space left.
        """
        ...

    def read_meta(self) -> Payload | None:
        """What the store says of itself; None where no store has been made completely."""
        ...

    def write_meta(self, meta: Payload) -> None:
        """Replace the meta, atomically and durably."""
        ...

    def collection(self, name: CollectionName) -> Collection:
        """One of the collections of a store that exists."""
        ...

    def close(self) -> None:
        """Flush and let go; closing twice is allowed."""
        ...


def vector_size(name: CollectionName, *, dim: int) -> int:
    """The size of the vectors of a collection in a store of `dim`; 0 where it has none."""
    return 0 if name in VECTORLESS else dim


def check_vectors(vectors: Sequence[Vector] | Vectors, *, dim: int) -> Vectors:
    """The (N, D) float32 matrix of vectors that an engine may take.

    The engine itself stores NaN without a word, and would be asked for it for ever.

    Raises:
        CaptionaryError: a vector has another size or type, is not finite or not of unit length.
    """
    for vector in vectors:
        if vector.shape != (dim,) or vector.dtype != np.float32:
            raise CaptionaryError(
                f"the store takes vectors of shape ({dim},) float32, "
                f"got {vector.shape} {vector.dtype}; was it made with another encoder?"
            )
    matrix: Vectors = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), dim)
    lengths = np.linalg.norm(matrix, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE))
    if len(wrong):
        raise CaptionaryError(
            f"{len(wrong)} of {len(matrix)} vectors are not finite and of unit length "
            f"(number {wrong[0]} has length {lengths[wrong[0]]}); the encoder is at fault"
        )
    return matrix


def vectors_of(points: Sequence[Point], *, dim: int) -> Vectors:
    """The checked (N, D) vectors of points.

    Raises:
        CaptionaryError: as `check_vectors`, or a point has no vector.
    """
    vectors = [point.vector for point in points if point.vector is not None]
    if len(vectors) < len(points):
        raise CaptionaryError(f"{len(points) - len(vectors)} of {len(points)} points lack a vector")
    return check_vectors(vectors, dim=dim)
