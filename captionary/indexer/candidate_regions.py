"""The regions that nouns may take, read from the dictionary and centred."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from threading import Lock
from typing import TypeAlias

import numpy as np
from cachetools import LRUCache

from captionary.indexer.association import (
    FARTHEST,
    Floats,
    largest,
    mean_and_spread,
    standardised,
)
from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.dictionary import Picture
from captionary.vocabulary.candidates import Candidates, candidates_at, candidates_of, joined
from captionary.vocabulary.centring import common_parts
from captionary.vocabulary.stored_dictionary import StoredDictionary

LACKING_PICTURES = 64
"""Pictures of the sample that stand for those without a noun, at most."""

CACHED_PICTURES, CACHED_WORDS = 2000, 10_000
"""Pictures whose candidates, and words whose scores, stay in memory between nouns."""

CACHED_FAR = 20_000
"""Pictures with a set of pictures without a noun whose cosines stay in memory, some 15 kB each."""

CACHED_LACKING = 4
"""Sets of pictures without a noun that stay in memory."""

Content: TypeAlias = tuple[str, str]
"""Id and digest of a picture: the same, and its regions are the same."""


class CandidateReader:
    """Reads candidates, and caches those of recent pictures; safe between threads.

    sample: ids of the pictures that stand for all; one whose regions are lost is left out.
    """

    def __init__(self, dictionary: StoredDictionary, sample: Sequence[str]) -> None:
        self._dictionary = dictionary
        # Held around the caches only, never while the store is read or vectors are multiplied.
        self._lock = Lock()
        self._cache: LRUCache[Content, Candidates] = LRUCache(CACHED_PICTURES)
        self._standards: LRUCache[bytes, tuple[float, float]] = LRUCache(CACHED_WORDS)
        self._lacking: LRUCache[tuple[int, ...], Candidates] = LRUCache(CACHED_LACKING)
        self._far: LRUCache[tuple[Content, tuple[int, ...]], Floats] = LRUCache(CACHED_FAR)
        self._numbers: LRUCache[str, tuple[int, ...]] = LRUCache(CACHED_WORDS)
        self._drawn = dictionary.as_called(sample)
        self._sample, tables = dictionary.whole_tables(self._drawn)
        self._common = common_parts(tables, dim=dictionary.dim, look_dim=dictionary.look_dim)
        parts = [candidates_of(table, self._common) for table in tables]
        self._background = joined(parts, self._common)

    def renewed(self, sample: Sequence[str]) -> "CandidateReader":
        """A reader of the dictionary as it is now: this one, unless the sample has changed."""
        now = self._dictionary.as_called(sample)
        if list(map(_content, now)) != list(map(_content, self._drawn)):
            return CandidateReader(self._dictionary, sample)
        whole = {picture.id for picture in self._sample}
        self._drawn = now  # captions may have come
        self._numbers.clear()
        self._sample = [picture for picture in now if picture.id in whole]
        return self

    def read(self, pictures: Sequence[Picture]) -> Candidates:
        """The candidates of pictures, in the order of the pictures."""
        names = list(map(_content, pictures))
        with self._lock:
            parts = {name: self._cache[name] for name in names if name in self._cache}
        missing = [picture for picture in pictures if _content(picture) not in parts]
        tables = self._dictionary.region_tables(missing)
        fresh = {
            _content(picture): candidates_of(table, self._common)
            for picture, table in zip(missing, tables, strict=True)
        }
        with self._lock:
            self._cache.update(fresh)
        parts |= fresh
        return joined([parts[name] for name in names], self._common)

    def read_regions(self, named: Sequence[tuple[str, int]]) -> Candidates:
        """Single regions, by picture and index; each is numbered as a picture of its own."""
        if not named:
            return joined([], self._common)
        table = self._dictionary.rows_of(named)
        index = np.array([number for _, number in named], np.int64)
        parts = candidates_at(table, np.arange(len(named)), self._common)
        return replace(parts, index=index, picture=np.arange(len(named)))

    def lacking(self, noun: str) -> list[str]:
        """The pictures of `sample_without`, each by its id and digest."""
        found = (self._sample[number] for number in self._numbers_lacking(noun))
        return [repr(_content(picture)) for picture in found]

    def _numbers_lacking(self, noun: str) -> tuple[int, ...]:
        with self._lock:
            if (known := self._numbers.get(noun)) is not None:
                return known
        lacking = (n for n, picture in enumerate(self._sample) if noun not in picture.all_nouns)
        found = tuple(islice(lacking, LACKING_PICTURES))
        with self._lock:
            self._numbers[noun] = found
        return found

    def sample_without(self, noun: str) -> Candidates:
        """The candidates of pictures of the sample whose captions lack a noun."""
        numbers = self._numbers_lacking(noun)
        # Most nouns lack the same first ones, and a copy of these takes as long as all the rest.
        with self._lock:
            if (known := self._lacking.get(numbers)) is not None:
                return known
        found = self._background.of_rows(np.isin(self._background.picture, numbers))
        picture = np.searchsorted(numbers, found.picture).astype(np.int64)
        found = replace(found, picture=picture)
        with self._lock:
            self._lacking[numbers] = found
        return found

    def far(self, noun: str, picture: Picture, own: Candidates) -> Floats:
        """The largest cosines of a picture's candidates to `sample_without` the noun, falling.

        Most nouns lack the same pictures, and a picture has many nouns.
        """
        key = (_content(picture), self._numbers_lacking(noun))
        with self._lock:
            known = self._far.get(key)
        if known is None:
            known = largest(own.looks @ self.sample_without(noun).looks.T, FARTHEST)
            with self._lock:
                self._far[key] = known
        return known

    def text_scores(self, word: Vector, vectors: Vectors) -> Floats:
        """Cosine of regions to a word, in standard deviations over the sample's regions, (n,)."""
        key = word.tobytes()
        with self._lock:
            standard = self._standards.get(key)
        if standard is None:
            standard = mean_and_spread(self._background.vectors @ word)
            with self._lock:
                self._standards[key] = standard
        return standardised(vectors @ word, *standard)


def _content(picture: Picture) -> Content:
    return picture.id, picture.sha256
