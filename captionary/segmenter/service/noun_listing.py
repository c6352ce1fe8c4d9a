"""What the dictionary has, noun by noun. To count it, all of it is read: so not too often."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar

from captionary.schemas.bodies import NounBody
from captionary.schemas.dictionary import DictionaryStats, NounEntry, Prototype
from captionary.segmenter.outputs import exemplar_json
from captionary.vocabulary.stored_dictionary import StoredDictionary

T = TypeVar("T")

PAUSE, PAUSE_BY_COUNT = 0.5, 20
"""Between two counts there are so many seconds, or so many times what the last one took."""


class Counted(Generic[T]):
    """A count of a dictionary, with the revision it is of.

    It is counted anew when the revision has changed, by one thread, and after a pause: an indexer
    at work changes it all the time. Others go on with the last count meanwhile.
    """

    def __init__(self, dictionary: StoredDictionary, count: Callable[[], T]) -> None:
        self._dictionary = dictionary
        self._count = count
        self._counting = Lock()
        self._due = 0.0
        self.last: tuple[int, T] | None = None

    def get(self) -> tuple[int, T]:
        """Revision and count."""
        # Where there is none yet, whoever asks waits for the one who counts.
        if self._counting.acquire(blocking=self.last is None):
            try:
                if self._is_old():
                    self._renew()
            finally:
                self._counting.release()
        assert self.last is not None
        return self.last

    def _is_old(self) -> bool:
        if self.last is None:
            return True
        return self.last[0] != self._dictionary.revision and time.monotonic() >= self._due

    def _renew(self) -> None:
        start, revision = time.monotonic(), self._dictionary.revision
        self.last = revision, self._count()
        end = time.monotonic()
        self._due = end + max(PAUSE, PAUSE_BY_COUNT * (end - start))


class Listing:
    """The nouns of a dictionary, and how much there is of everything."""

    def __init__(self, dictionary: StoredDictionary) -> None:
        self._dictionary = dictionary
        self._entries = Counted(dictionary, self._sorted)
        self._stats = Counted(dictionary, dictionary.stats)

    def stats(self) -> DictionaryStats:
        """Counts of everything."""
        return self._stats.get()[1]

    @property
    def counted(self) -> DictionaryStats | None:
        """The last of `stats`, without a look at the store; None: there is none yet."""
        return None if self._stats.last is None else self._stats.last[1]

    def entries(self) -> tuple[NounEntry, ...]:
        """All nouns, those of most pictures first."""
        return self._entries.get()[1]

    def _sorted(self) -> tuple[NounEntry, ...]:
        found = self._dictionary.entries()
        return tuple(sorted(found, key=lambda entry: (-entry.pictures, entry.noun)))

    def find(self, part: str) -> tuple[int, list[NounEntry]]:
        """The nouns that a text is part of, first those that start with it; and the revision."""
        wanted = " ".join(part.casefold().split())
        revision, entries = self._entries.get()
        found = [entry for entry in entries if wanted in entry.noun.casefold()]
        return revision, sorted(
            found, key=lambda entry: not entry.noun.casefold().startswith(wanted)
        )

    def entry(self, noun: str) -> NounEntry | None:
        """What is known of one noun."""
        return next((entry for entry in self.entries() if entry.noun == noun), None)

    def detail(self, entry: NounEntry) -> dict[str, Any]:
        """A noun with its prototypes, as `schemas.bodies.NounDetailBody`."""
        revision = self._dictionary.revision
        looks = [_look_json(item) for item in self._dictionary.prototypes([entry.noun])]
        return {**noun_body(entry).model_dump(), "looks": looks, "revision": revision}


def noun_body(entry: NounEntry) -> NounBody:
    """A line of the listing."""
    return NounBody(
        noun=entry.noun,
        pictures=entry.pictures,
        regions=entry.regions,
        prototypes=entry.prototypes,
    )


def _look_json(prototype: Prototype) -> dict[str, Any]:
    return {
        "number": prototype.number,
        "size": prototype.size,
        "spread": prototype.spread,
        "exemplars": [exemplar_json(exemplar) for exemplar in prototype.exemplars],
    }
