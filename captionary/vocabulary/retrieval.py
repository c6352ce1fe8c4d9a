"""Reading the dictionary: prototypes as a matrix, near nouns and near regions.

Segmenting reads the prototypes of a class list once and multiplies; so the matrices of the last few
sets of nouns stay in memory. What is cached belongs to one revision of the dictionary.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
from cachetools import LRUCache, cachedmethod

from captionary.schemas.arrays import Box, Vector, Vectors
from captionary.schemas.dictionary import NounEntry, Picture, Prototype
from captionary.schemas.nouns import NounIndex
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.candidates import Candidates, candidates_of, joined
from captionary.vocabulary.centring import CommonParts, centred, common_parts
from captionary.vocabulary.engines.engine import Payload, Point, Where
from captionary.vocabulary.neighbours import NeighbourPool, Neighbours
from captionary.vocabulary.records.point_ids import picture_point_id
from captionary.vocabulary.records.points import VISIBLE, single
from captionary.vocabulary.stored_dictionary import StoredDictionary

Prototypes: TypeAlias = tuple[Prototype, ...]

NOUN_SETS = 32
"""Sets of nouns whose prototypes are cached."""

PROTOTYPES_A_NOUN = 4
"""How many prototypes a noun is taken to have when enough nouns are searched for."""

NEAR_FIELDS = ("image_id", "index", "box_xyxy", "area", "noun", "source", "tags")
"""Payload fields that a NearRegion is made of."""


@dataclass(frozen=True, slots=True)
class NearNoun:
    """A noun whose prototype is near to a query vector.

    number:     of the nearest of the noun's prototypes.
    similarity: cosine to the query vector, centred.
    """

    noun: str
    number: int
    similarity: float


@dataclass(frozen=True, slots=True)
class NearRegion:
    """A stored region that is near to a query vector.

    similarity: cosine to the query vector.
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
    """Prototypes sorted by noun and number, and their vectors row by row.

    vectors: (P, D) float32, to be compared with words.
    looks:   (P, L) float32, to be compared with regions; `vectors` without a look model.
    """

    prototypes: Prototypes
    vectors: Vectors
    looks: Vectors


@dataclass(frozen=True, slots=True)
class Sample:
    """The pictures that stand for all: their ids, their candidates, and what these have in common.

    Pictures whose regions are lost are left out.
    """

    pictures: tuple[str, ...]
    regions: Candidates
    common: CommonParts


def _at_revision(retriever: "Retriever", *arguments: Hashable) -> Hashable:
    """Cache key of what changes with the dictionary's revision."""
    return (retriever.revision, *arguments)


class Retriever:
    """Reads a dictionary; safe between threads."""

    def __init__(self, dictionary: StoredDictionary) -> None:
        self.dictionary = dictionary
        # The lock is held around the caches only, never while the store is read.
        self._lock = Lock()
        self._matrices: LRUCache[Any, PrototypeMatrix] = LRUCache(NOUN_SETS)
        self._nouns: LRUCache[Any, tuple[str, ...]] = LRUCache(1)
        self._indexes: LRUCache[Any, NounIndex] = LRUCache(1)
        self._entries: LRUCache[Any, tuple[NounEntry, ...]] = LRUCache(1)
        self._samples: LRUCache[Any, Sample] = LRUCache(1)
        self._pools: LRUCache[Any, NeighbourPool] = LRUCache(1)

    @property
    def revision(self) -> int:
        """The revision of the dictionary that is being read."""
        return self.dictionary.revision

    @cachedmethod(attrgetter("_nouns"), key=_at_revision, lock=attrgetter("_lock"))
    def nouns(self) -> tuple[str, ...]:
        """All nouns that have prototypes, sorted."""
        facet = self.dictionary.engine.collection("prototypes").facet
        # One that is just being replaced may be missed once, but not twice in a row.
        where = self.dictionary.speaking
        return tuple(sorted(facet("noun", where).keys() | facet("noun", where).keys()))

    @cachedmethod(attrgetter("_indexes"), key=_at_revision, lock=attrgetter("_lock"))
    def noun_index(self) -> NounIndex:
        """Finds those of `nouns` by any spelling."""
        return NounIndex(self.nouns(), self.dictionary.corrections.rules.aliases)

    @cachedmethod(attrgetter("_entries"), key=_at_revision, lock=attrgetter("_lock"))
    def entries(self) -> tuple[NounEntry, ...]:
        """A line for every noun, sorted, as they were when first read at this revision."""
        return tuple(self.dictionary.entries())

    def matrix(self, nouns: Iterable[str]) -> PrototypeMatrix:
        """The prototypes of nouns, sorted, with their vectors; nouns without any are left out."""
        return self._matrix(frozenset(nouns))

    @cachedmethod(attrgetter("_matrices"), key=_at_revision, lock=attrgetter("_lock"))
    def _matrix(self, nouns: frozenset[str]) -> PrototypeMatrix:
        prototypes = tuple(self.dictionary.prototypes(sorted(nouns)))
        count, look_dim = len(prototypes), self.dictionary.look_dim
        rows = np.array([prototype.vector for prototype in prototypes], np.float32)
        vectors = rows.reshape(count, self.dictionary.dim)
        if not look_dim:
            return PrototypeMatrix(prototypes, vectors, vectors)
        looks = np.array([prototype.look for prototype in prototypes], np.float32)
        return PrototypeMatrix(prototypes, vectors, looks.reshape(count, look_dim))

    def common_parts(self) -> CommonParts:
        """What the dictionary's regions have in common, by its sample (see centring.py)."""
        return self._pool().common

    def neighbours(self, table: RegionTable, *, without: str | None = None) -> Neighbours:
        """The regions of the sample that look most like those of a picture (see neighbours.py).

        without: id of a picture that is not asked, as it is the one whose regions these are.
        """
        return self._pool().find(table, without=without)

    def sampled_nouns(self) -> frozenset[str]:
        """The nouns of the captions of the sample."""
        return self._pool().in_captions

    # Captions may come to the pictures of a sample; their regions stay.
    @cachedmethod(attrgetter("_pools"), key=_at_revision, lock=attrgetter("_lock"))
    def _pool(self) -> NeighbourPool:
        pictures = self.dictionary.as_called(self.dictionary.sample())
        sample = self._sample(pictures)
        nouns = {picture.id: picture.all_nouns for picture in pictures}
        said = tuple(nouns[image_id] for image_id in sample.pictures)
        captions = frozenset(
            noun for picture in pictures for nouns in picture.nouns for noun in nouns
        )
        return NeighbourPool(sample.regions, sample.pictures, said, captions, sample.common)

    # Not by the ids alone: a picture may be removed, and another one of its id come.
    @cachedmethod(
        attrgetter("_samples"),
        key=lambda _, pictures: tuple((picture.id, picture.sha256) for picture in pictures),
        lock=attrgetter("_lock"),
    )
    def _sample(self, pictures: Sequence[Picture]) -> Sample:
        stored = self.dictionary
        whole, tables = stored.whole_tables(pictures)
        common = common_parts(tables, dim=stored.dim, look_dim=stored.look_dim)
        regions = joined([candidates_of(table, common) for table in tables], common)
        return Sample(tuple(picture.id for picture in whole), regions, common)

    def nearest_nouns(self, look: Vector, *, limit: int, noun: str | None = None) -> list[NearNoun]:
        """The nouns with the prototypes nearest to a region, each with its nearest.

        Args:
            look:   (L,) as of `RegionTable.looks`: not centred, as it will be here.
            limit:  how many nouns at most.
            noun:   the only one to search for, in any spelling; None: all.
        """
        # The store searches: all prototypes at once, with their pictures, would fill the memory.
        query = centred(look[None], self.common_parts().look)
        any_of = {} if noun is None else {"noun": self._stored(noun)}
        where = replace(self.dictionary.speaking, any_of=any_of)
        collection = self.dictionary.engine.collection("prototypes")
        reach = limit * PROTOTYPES_A_NOUN
        while True:
            hits = collection.search(query, where, limit=reach, using=self.dictionary.alike)[0]
            similarity = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
            nearest: dict[str, NearNoun] = {}
            # Hits fall in similarity, so the first of a noun is its nearest.
            for point in collection.retrieve(hits.ids, fields=["noun", "number"]):
                near = NearNoun(similarity=similarity[point.id], **point.payload)
                nearest.setdefault(near.noun, near)
            if len(nearest) >= limit or len(hits.ids) < reach:
                ranked = sorted(nearest.values(), key=lambda near: (-near.similarity, near.noun))
                return ranked[:limit]
            reach *= 2

    def nearest_regions(
        self,
        look: Vector,
        *,
        limit: int,
        noun: str | None = None,
        source: str | None = None,
        tag: str | None = None,
    ) -> list[NearRegion]:
        """The stored regions nearest to a region, nearest first, of a noun, source or tag.

        look: (L,) as of `RegionTable.looks`.
        """
        fields = {"source": source, "tags": tag}
        any_of = {k: [v] for k, v in fields.items() if v is not None}
        if noun is not None:
            any_of["noun"] = self._stored(noun)
        where = Where(any_of=any_of)
        collection = self.dictionary.engine.collection("regions")
        reach = limit
        while True:
            hits = collection.search(look[None], where, limit=reach, using=self.dictionary.alike)[0]
            points = self._visible(collection.retrieve(hits.ids, fields=NEAR_FIELDS))
            if len(points) >= limit or len(hits.ids) < reach:
                break
            reach *= 2
        scores = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
        return [_near(point.payload, scores[point.id]) for point in points[:limit]]

    def _stored(self, noun: str) -> list[str]:
        """The stored nouns that a name means; itself where there are none."""
        return list(self.noun_index().resolve(noun)) or [noun]

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
