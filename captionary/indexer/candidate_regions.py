"""The regions that nouns may take, read from the dictionary and centred."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from cachetools import LRUCache

from captionary.indexer.association import Floats, Ints, mean_and_spread, standardised
from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import MissingRegions
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.centring import centred, common_part
from captionary.vocabulary.stored_dictionary import StoredDictionary

SMALLEST = 0.02
"""Share of the picture below which a region is no candidate: small crops embed badly."""

LACKING_PICTURES = 128
"""Pictures of the sample that stand for those without a noun, at most."""

CACHED_PICTURES, CACHED_WORDS = 2000, 10_000
"""Pictures whose candidates, and words whose scores, stay in memory between nouns."""

Content: TypeAlias = tuple[str, str]
"""Id and digest of a picture: the same, and its regions are the same."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate regions of some pictures, picture after picture.

    vectors:    (n, D) float32, centred, unit length.
    index:      (n,) number of the region within its picture.
    boxes_xyxy: (n, 4) pixels, half-open.
    picture:    (n,) which of the pictures it belongs to: 0, 1, ...; rising.
    """

    vectors: Vectors
    index: Ints
    boxes_xyxy: Ints
    picture: Ints

    def rows_of(self, picture: int) -> slice:
        """The rows of one of the pictures."""
        start, stop = np.searchsorted(self.picture, [picture, picture + 1])
        return slice(int(start), int(stop))

    def first(self, pictures: int) -> "Candidates":
        """Those of the first so many pictures."""
        stop = int(np.searchsorted(self.picture, pictures))
        return Candidates(
            self.vectors[:stop], self.index[:stop], self.boxes_xyxy[:stop], self.picture[:stop]
        )


class CandidateReader:
    """Reads candidates, and caches those of recent pictures.

    sample: ids of the pictures that stand for all; one whose regions are lost is left out.
    """

    def __init__(self, dictionary: StoredDictionary, sample: Sequence[str]) -> None:
        self._dictionary = dictionary
        self._cache: LRUCache[Content, Candidates] = LRUCache(CACHED_PICTURES)
        self._standards: LRUCache[bytes, tuple[float, float]] = LRUCache(CACHED_WORDS)
        self._drawn = dictionary.pictures_named(sample)
        self._sample, tables = _whole(dictionary, self._drawn)
        none = np.zeros((0, dictionary.dim), dtype=np.float32)
        everything = np.concatenate([none, *(table.vectors for table in tables)])
        self._common = common_part(everything, pictures=len(self._sample))
        parts = [_candidates(table, self._common) for table in tables]
        self._background = _joined(parts, dictionary.dim)

    def renewed(self, sample: Sequence[str]) -> "CandidateReader":
        """A reader of the dictionary as it is now: this one, unless the sample has changed."""
        now = self._dictionary.pictures_named(sample)
        if list(map(_content, now)) != list(map(_content, self._drawn)):
            return CandidateReader(self._dictionary, sample)
        whole = {picture.id for picture in self._sample}
        self._drawn = now  # captions may have come
        self._sample = [picture for picture in now if picture.id in whole]
        return self

    def read(self, pictures: Sequence[Picture]) -> Candidates:
        """The candidates of pictures, in the order of the pictures."""
        missing = [picture for picture in pictures if _content(picture) not in self._cache]
        tables = self._dictionary.region_tables(missing)
        fresh = {
            _content(picture): _candidates(table, self._common)
            for picture, table in zip(missing, tables, strict=True)
        }
        names = map(_content, pictures)
        # Before `fresh` goes into the cache, which may throw out what is wanted here.
        parts = [fresh.get(name) or self._cache[name] for name in names]
        self._cache.update(fresh)
        return _joined(parts, self._dictionary.dim)

    def sample_without(self, noun: str) -> Candidates:
        """The candidates of pictures of the sample whose captions lack a noun."""
        lacking = [n for n, picture in enumerate(self._sample) if noun not in picture.all_nouns]
        numbers = lacking[:LACKING_PICTURES]
        kept = np.isin(self._background.picture, numbers)
        picture = np.searchsorted(numbers, self._background.picture[kept])
        return Candidates(
            self._background.vectors[kept],
            self._background.index[kept],
            self._background.boxes_xyxy[kept],
            picture.astype(np.int64),
        )

    def text_scores(self, word: Vector, vectors: Vectors) -> Floats:
        """Cosine of regions to a word, in standard deviations over the sample's regions, (n,)."""
        key = word.tobytes()
        if key not in self._standards:
            self._standards[key] = mean_and_spread(self._background.vectors @ word)
        return standardised(vectors @ word, *self._standards[key])


def _whole(
    dictionary: StoredDictionary, pictures: Sequence[Picture]
) -> tuple[list[Picture], list[RegionTable]]:
    """Pictures with their regions, without those of which some are lost."""
    whole = list(pictures)
    while True:
        try:
            return whole, dictionary.region_tables(whole)
        except MissingRegions as error:
            whole = [picture for picture in whole if picture.id not in error.images]


def _content(picture: Picture) -> Content:
    return picture.id, picture.sha256


def _candidates(table: RegionTable, common: Vector) -> Candidates:
    index = np.flatnonzero(table.areas >= SMALLEST)
    if not len(index):
        index = np.arange(len(table))
    return Candidates(
        vectors=centred(table.vectors[index], common),
        index=index,
        boxes_xyxy=table.boxes_xyxy[index].astype(np.int64),
        picture=np.zeros(len(index), dtype=np.int64),
    )


def _joined(parts: Sequence[Candidates], dim: int) -> Candidates:
    number = [np.full(len(part.index), n, dtype=np.int64) for n, part in enumerate(parts)]
    return Candidates(
        vectors=np.concatenate([np.zeros((0, dim), np.float32), *(p.vectors for p in parts)]),
        index=np.concatenate([np.zeros(0, np.int64), *(part.index for part in parts)]),
        boxes_xyxy=np.concatenate(
            [np.zeros((0, 4), np.int64), *(part.boxes_xyxy for part in parts)]
        ),
        picture=np.concatenate([np.zeros(0, np.int64), *number]),
    )
