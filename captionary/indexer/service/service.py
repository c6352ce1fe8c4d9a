"""The indexer as a service: its queue, its spool, its worker, opened and closed together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from captionary.indexer.corrector import Corrector
from captionary.indexer.pipeline import Indexer
from captionary.indexer.service.intake import Intake
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.routes import IndexerRoutes
from captionary.indexer.service.spool import Spool
from captionary.indexer.service.url_fetching import Fetcher
from captionary.indexer.service.worker import Worker
from captionary.schemas.errors import CaptionaryError
from captionary.serving.api_keys import Keys
from captionary.serving.limits import Limits
from captionary.serving.metrics import Metrics
from captionary.vocabulary.stored_dictionary import StoredDictionary


class IndexerService:
    """Accepts work, keeps it safe in the queue's folder, and does it in the order of the queue.

    allowed: beginnings of the addresses from which pictures may be fetched.

    Raises:
        WrongInput: one of `allowed` is no such beginning.
    """

    def __init__(
        self,
        queue: JobQueue,
        *,
        indexer: Indexer,
        dictionary: StoredDictionary,
        keys: Keys,
        limits: Limits,
        metrics: Metrics,
        allowed: Sequence[str] = (),
    ) -> None:
        self._dictionary = dictionary
        self._queue = queue
        self._spool = Spool(queue.folder / "uploads")
        self._fetcher = Fetcher(allowed, max_bytes=limits.body)
        self._intake = Intake(self._spool, queue, self._fetcher, limits)
        self._worker = Worker(
            queue=queue,
            spool=self._spool,
            fetcher=self._fetcher,
            indexer=indexer,
            dictionary=dictionary,
            metrics=metrics,
        )
        self._routes = IndexerRoutes(
            intake=self._intake,
            queue=queue,
            worker=self._worker,
            dictionary=dictionary,
            corrector=Corrector(dictionary, indexer.refresher),
            keys=keys,
            limits=limits,
        )
        metrics.add_gauge("queue_pairs", "Pairs that wait.", lambda: queue.backlog().pairs)
        metrics.add_gauge("queue_bytes", "Their pictures.", lambda: queue.backlog().bytes)

    @property
    def router(self) -> APIRouter:
        """Its routes."""
        return self._routes.router

    def check(self) -> None:
        """Raise CaptionaryError while nothing can be indexed."""
        self._worker.check()
        if self._dictionary.engine.read_meta() is None:
            raise CaptionaryError(f"the store {self._dictionary.engine.address} is gone")

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """The worker; when it is left, what is accepted and not done waits on disk."""
        try:
            await run_in_threadpool(self._open)
            yield
        finally:
            await run_in_threadpool(self._close)

    def _open(self) -> None:
        self._spool.open()
        self._queue.open()
        self._spool.remove_orphans(self._queue.needed_uploads())
        self._fetcher.open()
        self._intake.open()
        self._worker.start()

    def _close(self) -> None:
        # No more work is accepted, then none is begun; only then may the queue be closed.
        self._intake.close()
        self._worker.stop()
        self._fetcher.close()
        self._queue.close()
