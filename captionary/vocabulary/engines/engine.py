"""The small interface between the dictionary's rules and the engine that keeps its points.

An engine keeps three collections: `pictures` (no vectors), `regions` and `prototypes` (a vector a
point, and a second one where the dictionary has a look model). It knows nothing of nouns, and
`StoredDictionary` knows nothing of files and servers.
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

VectorName: TypeAlias = Literal["clip", "looks"]
"""The vectors of a point, by the names that the engines know them by."""

VECTOR_NAMES: tuple[VectorName, ...] = get_args(VectorName)

Sizes: TypeAlias = Mapping[VectorName, int]
"""The vectors that each point of a collection has, with their sizes."""

Value: TypeAlias = str | int
Payload: TypeAlias = dict[str, Any]
"""What a point carries beside its vector: strings, numbers and lists of them, as in JSON."""

VECTORLESS: frozenset[CollectionName] = frozenset({"pictures"})

HALF: frozenset[tuple[CollectionName, VectorName]] = frozenset({("regions", "looks")})
"""Vectors that are kept in half precision: they are many and large, and nothing is lost by it."""

KEYWORDS: Mapping[CollectionName, tuple[str, ...]] = {
    "pictures": ("noun", "source", "state"),
    "regions": ("noun", "image_id", "source", "tags"),
    "prototypes": ("noun",),
}
"""Payload fields that filters and facets use, by collection."""

CORRECTED: Mapping[CollectionName, tuple[str, ...]] = {
    "pictures": ("pointed", "said"),
    "regions": (),
    "prototypes": ("kind",),
}
"""More of them, which only points of a dictionary have that users have corrected: `index_corrected`
makes them known."""

INTEGERS: Mapping[CollectionName, tuple[str, ...]] = {
    "pictures": ("rank",),
    "regions": (),
    "prototypes": (),
}
"""Payload fields that `first` orders by, by collection."""

COUNTED: Mapping[CollectionName, tuple[str, ...]] = {
    "pictures": ("regions",),
    "regions": (),
    "prototypes": (),
}
"""Whole numbers that facets count, by collection. Stores that an earlier version made lack them."""

TENANT = "noun"
"""The field by which retrieval is nearly always filtered."""

UNIT_TOLERANCE = 1e-3
"""How far the length of a vector may be from one."""


@dataclass(frozen=True, slots=True)
class Point:
    """A stored thing: an id, a payload and, where the collection has them, vectors.

    payload:     holds only the fields asked for, when it was read.
    vector:      (D,) float32, unit length, "clip"; None in `pictures`, or when not asked for.
    look_vector: (L,) float32, unit length, "looks"; None also where the store has none.
    """

    id: UUID
    payload: Payload
    vector: Vector | None = None
    look_vector: Vector | None = None


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
        """Write whole points; a point that was there is replaced, payload and vectors.

        Those of HALF are rounded to half precision, and come back so.

        Raises:
            CaptionaryError: a vector is missing, not finite, of the wrong size or not unit length,
                or the collection has none of its name.
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

    def search(
        self, vectors: Vectors, where: Where, *, limit: int, using: VectorName = "clip"
    ) -> list[Hits]:
        """For each row of (Q, D) vectors, its exact nearest points by dot product; one batch.

        Args:
            vectors: of the space of `using`; where that is of HALF they are rounded likewise.
            using:   which of the points' vectors they are compared with.

        Raises:
            CaptionaryError: a vector is none of that space, or the collection has no such vectors.
        """
        ...

    def count(self, where: Where = EVERYTHING) -> int:
        """How many points satisfy a condition."""
        ...

    def facet(self, field: str, where: Where = EVERYTHING) -> dict[str, int]:
        """How many points have each value of a field of KEYWORDS or COUNTED, as text.

        Raises:
            CaptionaryError: the store does not count this field.
        """
        ...


class Engine(Protocol):
    """Where collections are kept. Opening one that does not exist yet creates nothing."""

    @property
    def address(self) -> str:
        """The folder or URL, for messages."""
        ...

    def create(self, *, dim: int, look_dim: int = 0) -> None:
        """Make the three collections, empty; the store has no meta yet.

        Args:
            dim:      size of the vectors.
            look_dim: size of the look vectors; 0: it has none.
        """
        ...

    def index_corrected(self) -> None:
        """Make the fields of CORRECTED known to filters and facets; again changes nothing."""
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


def vector_sizes(name: CollectionName, *, dim: int, look_dim: int) -> Sizes:
    """The vectors of a collection's points, in a store of these dimensions."""
    if name in VECTORLESS:
        return {}
    return {"clip": dim, "looks": look_dim} if look_dim else {"clip": dim}


def look_dim_of(meta: Payload) -> int:
    """The size of a store's look vectors, by its meta; 0: it has none, as all old ones."""
    return int(meta.get("look_dim", 0))


def check_vectors(
    vectors: Sequence[Vector] | Vectors, *, dim: int, using: VectorName = "clip"
) -> Vectors:
    """The (N, D) float32 matrix of vectors that an engine may take.

    The engine itself stores NaN without a word, and would be asked for it for ever.

    Raises:
        CaptionaryError: a vector has another size or type, is not finite or not of unit length; or
            `dim` is 0: the store has none of these.
    """
    what, model = ("vectors", "encoder") if using == "clip" else ("look vectors", "look model")
    if not dim:
        raise CaptionaryError(f"the store takes no {what}; was it made without a {model}?")
    for vector in vectors:
        if vector.shape != (dim,) or vector.dtype != np.float32:
            raise CaptionaryError(
                f"the store takes {what} of shape ({dim},) float32, "
                f"got {vector.shape} {vector.dtype}; was it made with another {model}?"
            )
    matrix: Vectors = np.asarray(vectors, dtype=np.float32).reshape(len(vectors), dim)
    lengths = np.linalg.norm(matrix, axis=1)
    wrong = np.flatnonzero(~(np.abs(lengths - 1.0) <= UNIT_TOLERANCE))
    if len(wrong):
        raise CaptionaryError(
            f"{len(wrong)} of {len(matrix)} {what} are not finite and of unit length "
            f"(number {wrong[0]} has length {lengths[wrong[0]]}); the {model} is at fault"
        )
    return matrix


def vectors_of(points: Sequence[Point], sizes: Sizes) -> dict[VectorName, Vectors]:
    """The checked (N, D) vectors of points, by name.

    Raises:
        CaptionaryError: as `check_vectors`; or a point lacks a vector, or has one too many.
    """
    found: dict[VectorName, Vectors] = {}
    for name in VECTOR_NAMES:
        both = ((point.vector if name == "clip" else point.look_vector) for point in points)
        vectors = [vector for vector in both if vector is not None]
        if (size := sizes.get(name, 0)) and len(vectors) < len(points):
            what = "a vector" if name == "clip" else "a look vector"
            lacking = len(points) - len(vectors)
            raise CaptionaryError(f"{lacking} of {len(points)} points lack {what}")
        if size or vectors:
            found[name] = check_vectors(vectors, dim=size, using=name)
    return found
