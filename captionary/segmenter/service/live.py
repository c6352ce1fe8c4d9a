"""The segmenter of a service: opened beside the requests, and kept up with its dictionary."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from captionary.schemas.errors import CaptionaryError, FingerprintMismatch
from captionary.segmenter.segmenter import Segmenter
from captionary.segmenter.service.noun_listing import Listing
from captionary.serving.problems import busy

LOOK_EVERY = 0.5
"""Seconds between two looks at whether the dictionary has changed, at least."""

COME_AGAIN = 5
"""Seconds after which a request may find open what was not."""

log = logging.getLogger("captionary")


@contextmanager
def told_as_busy() -> Iterator[None]:
    """Have what the store or the models lack told as 503, never as a mistake of who asks."""
    try:
        yield
    except CaptionaryError as error:
        raise busy(str(error), seconds=COME_AGAIN) from error


class Live:
    """A segmenter with its dictionary, which may be written to by another process meanwhile.

    Raises:
        ValueError: the segmenter has no dictionary.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        if segmenter.retriever is None:
            raise ValueError("a service needs a Segmenter with a retriever")
        self.segmenter = segmenter
        self.retriever = segmenter.retriever
        self.dictionary = segmenter.retriever.dictionary
        self.listing = Listing(self.dictionary)
        self._looking = threading.Lock()
        self._due = 0.0
        self._failure: str | None = None

    def catch_up(self) -> None:
        """Take over what the dictionary has become, if it is time to look.

        One thread looks; others that come meanwhile go on with what is known.

        Raises:
            CaptionaryError: the store is away, or its dictionary was built with other models.
        """
        if time.monotonic() >= self._due and self._looking.acquire(blocking=False):
            try:
                self._failure = self._look()
            finally:
                self._due = time.monotonic() + LOOK_EVERY
                self._looking.release()
        if (failure := self._failure) is not None:
            raise CaptionaryError(failure)

    def _look(self) -> str | None:
        """Look, and answer what is wrong."""
        running = self.segmenter.extractor.fingerprint
        try:
            self.dictionary.catch_up()
            if (store := self.dictionary.fingerprint) != running:
                raise FingerprintMismatch(store=store, running=running)
        except CaptionaryError as error:
            return str(error)
        return None


class Opening:
    """Opens a segmenter, and tries again until that works.

    opened: opens the store and loads the models.
    every:  seconds between two tries.
    """

    def __init__(self, opened: Callable[[], Segmenter], *, every: float) -> None:
        self._opened = opened
        self._every = every
        self._stopped = threading.Event()
        self._reason = "the models are still being loaded; come again in a moment"
        self._live: Live | None = None

    def keep_trying(self) -> None:
        """Return when it is open, or was stopped."""
        while self._live is None and not self._stopped.is_set():
            try:
                self._live = Live(self._opened())
            except CaptionaryError as error:
                self._reason = str(error)
                log.warning("not open", extra={"reason": self._reason})
            except Exception:  # whatever it is, the service goes on telling and trying
                self._reason = "the segmenter cannot be opened; the log of the service says why"
                log.exception("not open")
            if self._live is None:
                self._stopped.wait(self._every)

    def stop(self) -> None:
        """Try no more."""
        self._stopped.set()

    @property
    def live(self) -> Live:
        """The open segmenter.

        Raises:
            CaptionaryError: it is not open, and why.
        """
        if self._live is None:
            raise CaptionaryError(self._reason)
        return self._live
