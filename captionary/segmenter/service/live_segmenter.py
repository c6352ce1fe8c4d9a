"""The segmenter of a running service: opened beside the requests, kept up with its dictionary."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

from captionary.schemas.dictionary import DictionaryStats, NounEntry
from captionary.schemas.errors import CaptionaryError, FingerprintMismatch
from captionary.schemas.nouns import NounIndex, normal_form
from captionary.segmenter.segmenter import Segmenter
from captionary.serving.problems import RETRY_AFTER, service_unavailable
from captionary.vocabulary.stored_dictionary import StoredDictionary

T = TypeVar("T")

CHECK_INTERVAL = 0.5
"""Seconds between two checks whether the dictionary has changed, at least."""

COUNT_INTERVAL, COUNT_COST = 0.5, 20
"""Between two counts lie so many seconds, or so many times what the last one took."""

NO_STATS = DictionaryStats(
    images=0, regions=0, tagged=0, nouns=0, prototypes=0, revision=0, fingerprint=""
)
"""While nothing is open, or counted yet."""

log = logging.getLogger("captionary")


@contextmanager
def errors_as_unavailable() -> Iterator[None]:
    """Turn errors of the store or the models into 503: none of them is the client's mistake."""
    try:
        yield
    except CaptionaryError as error:
        raise service_unavailable(str(error), retry_after=RETRY_AFTER) from error


class CachedCount(Generic[T]):
    """A count over the whole dictionary, cached with the revision it is of.

    It is renewed when the revision has changed, by one thread, and after a pause in proportion to
    its cost: an indexer at work changes the revision all the time. Other threads get the last count
    meanwhile.
    """

    def __init__(self, dictionary: StoredDictionary, count: Callable[[], T]) -> None:
        self._dictionary = dictionary
        self._count = count
        self._counting = threading.Lock()
        self._due = 0.0
        self.last: tuple[int, T] | None = None

    def get(self) -> tuple[int, T]:
        """Revision and count."""
        # Only where there is no count yet do other threads wait for the one that counts.
        if self._counting.acquire(blocking=self.last is None):
            try:
                if self._is_stale():
                    self._renew()
            finally:
                self._counting.release()
        assert self.last is not None
        return self.last

    def _is_stale(self) -> bool:
        if self.last is None:
            return True
        return self.last[0] != self._dictionary.revision and monotonic() >= self._due

    def _renew(self) -> None:
        # The revision is read first: what changes during the count is counted again next time.
        start, revision = monotonic(), self._dictionary.revision
        self.last = revision, self._count()
        end = monotonic()
        self._due = end + max(COUNT_INTERVAL, COUNT_COST * (end - start))


class NounListing:
    """The nouns of a dictionary and its statistics, cached: to count them reads all of it."""

    def __init__(self, dictionary: StoredDictionary) -> None:
        self._dictionary = dictionary
        self._nouns = CachedCount(dictionary, lambda: _CountedNouns(dictionary.entries()))
        self._stats = CachedCount(dictionary, dictionary.stats)

    def stats(self) -> DictionaryStats:
        """Counts of everything."""
        return self._stats.get()[1]

    @property
    def last_stats(self) -> DictionaryStats | None:
        """What `stats` returned last, without reading the store; None: nothing yet."""
        return None if self._stats.last is None else self._stats.last[1]

    def entries(self) -> tuple[NounEntry, ...]:
        """All nouns, those of most pictures first."""
        return tuple(self._nouns.get()[1].entries.values())

    def find(self, part: str) -> tuple[int, list[NounEntry]]:
        """The revision, and the nouns that contain a text, those that start with it first.

        The text may be in any spelling; where no noun contains it, it may be a plural.
        """
        text = normal_form(part)
        revision, nouns = self._nouns.get()
        matches = [noun for noun, form in nouns.forms.items() if text in form]
        matches.sort(key=lambda noun: not nouns.forms[noun].startswith(text))
        return revision, [nouns.entries[noun] for noun in matches or nouns.index.find(part)]

    def entry(self, noun: str) -> NounEntry | None:
        """The entry of one noun, in any spelling; None: the dictionary lacks it."""
        nouns = self._nouns.get()[1]
        return next((nouns.entries[found] for found in nouns.index.resolve(noun)), None)


class _CountedNouns:
    """The nouns of a dictionary with what is asked of them: entries and normal forms, by noun.

    Those of most pictures come first.
    """

    def __init__(self, entries: Iterable[NounEntry]) -> None:
        ranked = sorted(entries, key=lambda entry: (-entry.pictures, entry.noun))
        self.entries = {entry.noun: entry for entry in ranked}
        self.forms = {noun: normal_form(noun) for noun in self.entries}
        self.index = NounIndex(self.entries)


class LiveSegmenter:
    """A segmenter with its dictionary, which another process may be writing to meanwhile.

    Raises:
        ValueError: the segmenter has no dictionary.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        if segmenter.retriever is None:
            raise ValueError("a service needs a Segmenter with a retriever")
        self.segmenter = segmenter
        self.retriever = segmenter.retriever
        self.dictionary = segmenter.retriever.dictionary
        self.listing = NounListing(self.dictionary)
        self._checking = threading.Lock()
        self._due = 0.0
        self._failure: str | None = None

    def catch_up(self) -> None:
        """Take over changes of the dictionary, if the last check is not too recent.

        One thread checks; others that come meanwhile go on with what is known.

        Raises:
            CaptionaryError: the store is away, or its dictionary was built with other models.
        """
        if monotonic() >= self._due and self._checking.acquire(blocking=False):
            try:
                self._failure = self._check()
            finally:
                self._due = monotonic() + CHECK_INTERVAL
                self._checking.release()
        # Kept as text: one exception raised by many threads would grow a traceback of them all.
        if (failure := self._failure) is not None:
            raise CaptionaryError(failure)

    def _check(self) -> str | None:
        """Read what has changed, and return what is wrong."""
        running = self.segmenter.extractor.fingerprint
        try:
            self.dictionary.catch_up()
            if (store := self.dictionary.fingerprint) != running:
                raise FingerprintMismatch(store=store, running=running)
        except CaptionaryError as error:
            return str(error)
        return None


class SegmenterOpener:
    """Opens a segmenter in the background, again and again until that works.

    open_segmenter: opens the store and loads the models.
    retry_seconds:  between two attempts.
    """

    def __init__(self, open_segmenter: Callable[[], Segmenter], *, retry_seconds: float) -> None:
        self._open_segmenter = open_segmenter
        self._retry_seconds = retry_seconds
        self._stopped = threading.Event()
        self._reason = "the models are still being loaded; come again in a moment"
        self._live: LiveSegmenter | None = None

    def run(self) -> None:
        """Return when it is open, or was stopped."""
        while self._live is None and not self._stopped.is_set():
            try:
                self._live = LiveSegmenter(self._open_segmenter())
            except CaptionaryError as error:
                self._reason = str(error)
                log.warning("not open", extra={"reason": self._reason})
            except Exception:  # whatever it is, the service goes on answering and trying
                self._reason = "the segmenter cannot be opened; the log of the service says why"
                log.exception("not open")
            if self._live is None:
                self._stopped.wait(self._retry_seconds)

    def stop(self) -> None:
        """Make no further attempt."""
        self._stopped.set()

    @property
    def live(self) -> LiveSegmenter:
        """The open segmenter.

        Raises:
            CaptionaryError: it is not open, and why.
        """
        if self._live is None:
            raise CaptionaryError(self._reason)
        return self._live

    def caught_up(self) -> LiveSegmenter:
        """The open segmenter, with the latest changes of its dictionary.

        Raises:
            CaptionaryError: it is not open, or its dictionary cannot be read.
        """
        live = self.live
        live.catch_up()
        return live

    def stats(self) -> DictionaryStats:
        """Counts of the dictionary.

        Raises:
            CaptionaryError: as `caught_up`.
        """
        return self.caught_up().listing.stats()

    @property
    def last_stats(self) -> DictionaryStats:
        """The last of `stats`, without reading the store."""
        if self._live is None:
            return NO_STATS
        return self._live.listing.last_stats or NO_STATS
