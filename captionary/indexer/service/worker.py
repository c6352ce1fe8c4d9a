"""The one thread that writes the dictionary: it takes jobs from the queue, a batch at a time.

What breaks off is never lost. A store that does not answer, or whose disk is full, is waited for;
after any other error in a batch its pictures are tried singly, so that only the one to blame is
given up, after some attempts.
"""

import logging
import threading
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

from captionary.indexer.pipeline import Indexer
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.jobs import FinishedJob, Order, QueuedPair
from captionary.indexer.service.orders import Orders, stage_of
from captionary.indexer.service.queue_rows import MAX_ATTEMPTS
from captionary.indexer.service.spool import Spool
from captionary.indexer.service.url_fetching import Fetcher
from captionary.schemas.errors import (
    CaptionaryError,
    DiskFull,
    StoreUnreachable,
    UnreadablePicture,
    WrongInput,
    one_line,
)
from captionary.schemas.jobs import Job
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.serving.metrics import Metrics
from captionary.vocabulary.stored_dictionary import StoredDictionary

BATCH = 32
"""Pairs indexed in one go; then their nouns are refreshed."""

FETCHES = 8
"""Pictures fetched at a time."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before work that broke off is tried again; they double each time."""

log = logging.getLogger("captionary")


class StoppedError(Exception):
    """Raised inside the worker to stop in the middle of work."""


class Worker:
    """Works at a queue between `start` and `stop`."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        spool: Spool,
        fetcher: Fetcher,
        indexer: Indexer,
        dictionary: StoredDictionary,
        metrics: Metrics,
    ) -> None:
        self._queue = queue
        self._spool = spool
        self._fetcher = fetcher
        self._indexer = indexer
        self._dictionary = dictionary
        self._metrics = metrics
        self._orders = Orders(dictionary, indexer, self._between_nouns)
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._problem = ""
        self._batch: Sequence[QueuedPair] = ()
        self._embedded = 0
        self._counts: Counter[str] = Counter()
        self._latency = 0.0
        metrics.add_gauges(
            "pairs_indexed",
            "Pairs dealt with since the start.",
            "outcome",
            {kind: partial(self._counts.__getitem__, kind) for kind in ("done", "failed")},
        )
        metrics.add_gauge(
            "caption_to_use_seconds",
            "From the acceptance of the last finished job to its end.",
            lambda: self._latency,
        )

    def start(self) -> None:
        """Begin."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._work, name="indexer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at the next picture, or noun; what is not done then stays queued."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def wake(self) -> None:
        """Say that there is work."""
        self._woken.set()

    def check(self) -> None:
        """Check that work gets done.

        Raises:
            CaptionaryError: it is waiting for the store, or for whatever else failed.
        """
        if self._problem:
            raise CaptionaryError(f"nothing is indexed at present: {self._problem}")
        if self._thread is None or not self._thread.is_alive():
            raise CaptionaryError("the indexer does not run; start the service again")

    def embedded_pairs(self) -> Mapping[int, int]:
        """How many pairs of each job the batch at hand has embedded."""
        return Counter(queued.job for queued in self._batch[: self._embedded])

    def _work(self) -> None:
        wait, full = FIRST_PAUSE, False
        while not self._stopping.is_set():
            # Before the queue is read: work that comes after it wakes the worker again.
            self._woken.clear()
            try:
                busy = self._step()
            except StoppedError:
                return
            except Exception as error:
                self._problem = _reason(error)
                # A full disk may stay so for days: said once, and by `check` all the time.
                if not (full and isinstance(error, DiskFull)):
                    log.warning(
                        "indexing broke off and is tried again",
                        extra={"reason": self._problem, "seconds": wait},
                        exc_info=None if isinstance(error, CaptionaryError) else error,
                    )
                full = isinstance(error, DiskFull)
                self._stopping.wait(wait)
                wait = min(2 * wait, LONGEST_PAUSE)
            else:
                self._problem, wait, full = "", FIRST_PAUSE, False
                if not busy:
                    self._woken.wait()

    def _step(self) -> bool:
        """Do what is next, if there is anything."""
        work = self._queue.take(BATCH)
        if work is None:
            return False
        if isinstance(work, Order):
            with self._metrics.stage(stage_of(work)):
                failure = self._orders.do(work)
            self._problem = ""
            self._log_finished(self._queue.finish_order(work, failure))
        else:
            with self._metrics.stage("index"):
                self._index(work)
        return True

    def _index(self, batch: Sequence[QueuedPair]) -> None:
        fetched: list[str] = []
        self._batch = batch
        try:
            self._dictionary.engine.check_writable()  # before anything is embedded in vain
            with closing(self._read_pairs(batch, fetched)) as pairs:
                if batch[0].kind == "teaching":
                    job = self._orders.teach(pairs)
                else:
                    job = self._indexer.index(
                        pairs, report=self._between_pictures, refreshed=self._between_nouns
                    )
        except StoppedError:
            self._queue.requeue(batch)
            raise
        except Exception as error:
            if _is_environmental(error):
                self._queue.requeue(batch)
                raise
            known = isinstance(error, CaptionaryError)
            details = {"pairs": len(batch), "reason": _reason(error)}
            log.warning("a batch failed", extra=details, exc_info=None if known else error)
            given_up = self._try_singly(batch, f"it cannot be indexed: {_reason(error)}")
            if known and not given_up:
                raise  # it may be the store after all: later
        else:
            for note in job.notes:
                log.warning("not taken as it stood", extra={"note": str(note)})
            self._finish(batch, {failure.where: failure.reason for failure in job.failures})
        finally:
            self._batch, self._embedded = (), 0
            self._spool.remove(fetched)

    def _read_pairs(
        self, batch: Sequence[QueuedPair], fetched: list[str]
    ) -> Generator[ImageCaption | PairFailure, None, None]:
        """Yield the pairs for the indexer; pictures by URL are fetched meanwhile.

        fetched: receives the names of the spooled files, to be removed after the batch.
        """
        pool = ThreadPoolExecutor(FETCHES, thread_name_prefix="fetch")
        try:
            coming = {
                queued.key: pool.submit(self._fetch, queued.pair.url, fetched)
                for queued in batch
                if queued.pair.url is not None
            }
            for queued in batch:
                try:
                    upload = queued.pair.upload or coming[queued.key].result()
                except UnreadablePicture as error:
                    yield PairFailure(queued.key, queued.pair.name, str(error))
                else:
                    yield _to_image_caption(queued, image=str(self._spool.path(upload)))
        finally:
            pool.shutdown(cancel_futures=True)

    def _fetch(self, url: str, fetched: list[str]) -> str:
        name = self._spool.write(self._fetcher.fetch(url)).name
        fetched.append(name)
        return name

    def _try_singly(self, batch: Sequence[QueuedPair], reason: str) -> bool:
        """Queue pairs to be tried singly; whether one is given up, as it failed so too often."""
        given_up = len(batch) == 1 and batch[0].attempts + 1 >= MAX_ATTEMPTS
        if given_up:
            self._finish(batch, {batch[0].key: reason})
        else:
            self._queue.isolate(batch)
        return given_up

    def _finish(self, batch: Sequence[QueuedPair], failures: Mapping[str, str]) -> None:
        self._problem = ""  # before the end of the job can be seen
        self._log_finished(self._queue.finish_pairs(batch, failures))
        self._counts.update(done=len(batch) - len(failures), failed=len(failures))
        self._spool.remove(queued.pair.upload for queued in batch if queued.pair.upload)

    def _log_finished(self, finished: Sequence[FinishedJob]) -> None:
        for job in finished:
            self._latency = job.seconds
            details = {"job": job.id, "kind": job.kind, "pairs": job.pairs, "failed": job.failed}
            log.info("job finished", extra={**details, "seconds": round(job.seconds, 3)})

    def _between_pictures(self, state: Job) -> None:
        self._embedded = state.pairs
        if self._stopping.is_set():
            raise StoppedError

    def _between_nouns(self, _done: int, _due: int) -> None:
        if self._stopping.is_set():
            raise StoppedError


def _to_image_caption(queued: QueuedPair, *, image: str) -> ImageCaption:
    pair = queued.pair
    return ImageCaption(
        image=image,
        captions=pair.captions,
        id=pair.id,
        source=pair.source,
        tags=pair.tags,
        where=queued.key,
        name=pair.name,
        replaces=queued.kind == "replacement",
        areas=tuple(region.pointed for region in pair.regions),
    )


def _is_environmental(error: Exception) -> bool:
    """Whether an error is of the store, the disk or the settings, and not of what was worked at.

    Wrong input is here what the operator set, as a key that the store refuses; wrong pictures are
    reported as failures, and are not raised.
    """
    of_the_disk = isinstance(error, CaptionaryError) and isinstance(error.__cause__, OSError)
    return isinstance(error, StoreUnreachable | DiskFull | WrongInput) or of_the_disk


def _reason(error: Exception) -> str:
    # Our own messages are one line already, whose end says what to do.
    known = isinstance(error, CaptionaryError)
    return str(error) if known else f"{type(error).__name__}: {one_line(str(error))}"
