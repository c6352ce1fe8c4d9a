"""Reading the dictionary: similarities to prototypes, by query or by matrix, and near regions.

Both ways of reading similarities give the same numbers; a test says so. The matrix way keeps the
prototypes of the last few noun sets in memory, and is what segmenting many pictures into the same
classes uses.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from captionary.schemas.arrays import Box, Scores, Vector, Vectors
from captionary.schemas.dictionary import NounEntry, Prototype
from captionary.schemas.errors import CaptionaryError
from captionary.vocabulary.engines.engine import Hits, Payload, Point, Where, check_vectors
from captionary.vocabulary.generations import READS
from captionary.vocabulary.point_ids import picture_point_id, prototype_point_id
from captionary.vocabulary.points import VISIBLE, single
from captionary.vocabulary.stored_dictionary import StoredDictionary

Prototypes: TypeAlias = tuple[Prototype, ...]
T = TypeVar("T")

NOUN_SETS = 32
"""Noun sets whose prototypes are kept in memory."""


@dataclass(frozen=True, slots=True)
class NearRegion:
    """A stored region that looks like what was asked for.

    similarity: cosine to the vector asked for.
    nouns:      the nouns it carries, sorted.
    """

    image_id: str
    index: int
    box_xyxy: Box
    area: float
    nouns: tuple[str, ...]
    source: str
    tags: tuple[str, ...]
    similarity: float


@dataclass(frozen=True, slots=True)
class PrototypeMatrix:
    """Prototypes sorted by noun and number, and their vectors, (P, D) float32, row by row."""

    prototypes: Prototypes
    vectors: Vectors


class RecentlyUsed(Generic[T]):
    """The last `size` values asked for, by key; safe between threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of a key, made where it is not kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return value


class Retriever:
    """Reads a dictionary; what it keeps in memory belongs to one revision of it."""

    def __init__(self, dictionary: StoredDictionary, *, noun_sets: int = NOUN_SETS) -> None:
        self.dictionary = dictionary
        self._matrices: RecentlyUsed[PrototypeMatrix] = RecentlyUsed(noun_sets)
        self._samples: RecentlyUsed[Vectors] = RecentlyUsed(1)
        self._nouns: RecentlyUsed[tuple[str, ...]] = RecentlyUsed(1)
        self._entries: RecentlyUsed[tuple[NounEntry, ...]] = RecentlyUsed(1)

    @property
    def revision(self) -> int:
        """The revision of the dictionary that is being read."""
        return self.dictionary.revision

    def nouns(self) -> tuple[str, ...]:
        """All nouns that have prototypes, sorted."""
        return self._nouns.get(self.revision, self._read_nouns)

    def entries(self) -> tuple[NounEntry, ...]:
        """A line for every noun, sorted, as they were when first asked for at this revision."""
        return self._entries.get(self.revision, lambda: tuple(self.dictionary.entries()))

    def prototypes(self, nouns: Iterable[str]) -> Prototypes:
        """The prototypes of nouns, sorted by noun and number; nouns without any are left out."""
        return self.matrix(nouns).prototypes

    def similarities(self, vectors: Vectors, nouns: Iterable[str]) -> tuple[Prototypes, Scores]:
        """Cosines of (R, D) vectors to the P prototypes of nouns: the prototypes, (R, P) float32.

        Reads from memory where it can; `by_query` asks the store and answers the same.
        """
        matrix = self.matrix(nouns)
        regions = check_vectors(vectors, dim=self.dictionary.dim)
        return matrix.prototypes, regions @ matrix.vectors.T

    def by_query(self, vectors: Vectors, nouns: Iterable[str]) -> tuple[Prototypes, Scores]:
        """As `similarities`, in one batch of a query a region, filtered to the nouns.

        Every query asks for as many hits as these nouns have points, so no cell stays empty.

        Raises:
            CaptionaryError: the prototypes change faster than they can be read.
        """
        wanted = frozenset(nouns)
        where = Where(any_of={"noun": sorted(wanted)})
        collection = self.dictionary.engine.collection("prototypes")
        prototypes = self.prototypes(wanted)
        for _ in range(READS):
            found = collection.search(vectors, where, limit=collection.count(where))
            if (scores := _aligned(found, prototypes)) is not None:
                return prototypes, scores
            # Some were replaced meanwhile, or since these were kept.
            prototypes = self._read_matrix(wanted).prototypes
        raise CaptionaryError("prototypes change faster than they can be read; try again later")

    def sample_vectors(self) -> Vectors:
        """(N, D) vectors of all regions of the dictionary's sample of pictures."""
        # A picture of the sample that is removed takes the sample with it: the ids are enough.
        ids = tuple(self.dictionary.sample())
        return self._samples.get(ids, lambda: self._read_sample(ids))

    def nearest_regions(
        self,
        vector: Vector,
        *,
        limit: int,
        noun: str | None = None,
        source: str | None = None,
        tag: str | None = None,
    ) -> list[NearRegion]:
        """The stored regions nearest to a (D,) vector, nearest first, of a noun, source or tag."""
        asked = {"noun": noun, "source": source, "tags": tag}
        where = Where(any_of={k: [v] for k, v in asked.items() if v is not None})
        collection = self.dictionary.engine.collection("regions")
        reach = limit
        while True:
            hits = collection.search(vector[None], where, limit=reach)[0]
            points = self._visible(collection.retrieve(hits.ids, fields=NEAR_FIELDS))
            if len(points) >= limit or len(hits.ids) < reach:
                break
            reach *= 2
        scores = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
        return [_near(point.payload, scores[point.id]) for point in points[:limit]]

    def matrix(self, nouns: Iterable[str]) -> PrototypeMatrix:
        """The prototypes of nouns with their vectors, kept in memory until the revision changes."""
        wanted = frozenset(nouns)
        return self._matrices.get((wanted, self.revision), lambda: self._read_matrix(wanted))

    def _read_nouns(self) -> tuple[str, ...]:
        facet = self.dictionary.engine.collection("prototypes").facet
        # One that is just being replaced may be missed once, but not twice in a row.
        return tuple(sorted(facet("noun").keys() | facet("noun").keys()))

    def _read_matrix(self, nouns: frozenset[str]) -> PrototypeMatrix:
        prototypes = tuple(self.dictionary.prototypes(sorted(nouns)))
        shape = (len(prototypes), self.dictionary.dim)
        rows = np.array([prototype.vector for prototype in prototypes], np.float32)
        return PrototypeMatrix(prototypes, rows.reshape(shape))

    def _read_sample(self, ids: tuple[str, ...]) -> Vectors:
        tables = self.dictionary.region_tables(self.dictionary.pictures_named(ids))
        none = np.zeros((0, self.dictionary.dim), np.float32)
        return np.concatenate([none, *(table.vectors for table in tables)])

    def _visible(self, points: list[Point]) -> list[Point]:
        """Without regions of pictures that are retired, or whose addition was cut short."""
        owners = {point.payload["image_id"] for point in points}
        ids = {picture_point_id(owner): owner for owner in owners}
        records = self.dictionary.engine.collection("pictures").retrieve(
            list(ids), fields=["state"]
        )
        gone = set(VISIBLE.none_of["state"])
        kept = {ids[record.id] for record in records if record.payload["state"] not in gone}
        return [point for point in points if point.payload["image_id"] in kept]


NEAR_FIELDS = ("image_id", "index", "box_xyxy", "area", "noun", "source", "tags")


def _aligned(found: list[Hits], prototypes: Prototypes) -> Scores | None:
    """Hits as (R, P) scores, a column a prototype; None if some prototypes are not among them."""
    names = (prototype_point_id(p.noun, p.number, p.generation) for p in prototypes)
    column = {name.int: number for number, name in enumerate(names)}
    scores = np.full((len(found), len(prototypes)), np.nan, np.float32)
    for row, hits in zip(scores, found, strict=True):
        # Others are of a generation that comes or goes.
        known = [number for number, name in enumerate(hits.ids) if name.int in column]
        row[[column[hits.ids[number].int] for number in known]] = hits.scores[known]
    return None if np.isnan(scores).any() else scores


def _near(payload: Payload, similarity: float) -> NearRegion:
    left, top, right, bottom = payload["box_xyxy"]
    return NearRegion(
        image_id=payload["image_id"],
        index=payload["index"],
        box_xyxy=(left, top, right, bottom),
        area=single(payload["area"]),
        nouns=tuple(payload["noun"]),
        source=payload["source"],
        tags=tuple(payload["tags"]),
        similarity=similarity,
    )
