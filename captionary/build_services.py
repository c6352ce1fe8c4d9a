"""Puts the services together: each on a store of its own process, or both on one."""

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from captionary.build import Models, open_both, open_reader
from captionary.indexer.service import IndexerService, JobQueue, claimed
from captionary.segmenter.segmenter import Segmenter
from captionary.segmenter.service import SegmenterService
from captionary.serving.app import Service, build_app
from captionary.serving.cross_origin import guard_for
from captionary.serving.limits import Gate
from captionary.serving.metrics import Metrics
from captionary.serving.settings import ServeSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from captionary.indexer.pipeline import Indexer

Role: TypeAlias = Literal["indexer", "segmenter", "both"]

SAME_ADDRESS = ""


@contextmanager
def open_app(
    role: Role,
    models: Models,
    store: str,
    settings: ServeSettings,
    *,
    state: Path | None = None,
    pipeline: str | None = None,
    openly: bool = False,
) -> "Iterator[FastAPI]":
    """The app of one service or of both, ready to be served.

    The indexer opens its store at once, and makes it where there is none. The segmenter by itself
    waits for a dictionary.

    Args:
        state: folder of the indexer's queue; None: beside the store.
        openly: whether other machines are served without keys.

    Raises:
        WrongInput, StoreInUse, FingerprintMismatch: as `open_indexer`, or another process has
            the queue.
    """
    parts = _Parts(settings)
    with ExitStack() as opened:
        if role == "segmenter":
            reader = parts.later(opened, models, store)
            services: list[Service] = [parts.segmenter(reader, settings.indexer_url)]
        else:
            queue = opened.enter_context(claimed(state or _beside(store)))
            workers = settings.at_a_time if role == "indexer" else max(1, settings.at_a_time // 2)
            indexer, segmenter = opened.enter_context(
                open_both(models, store, pipeline=pipeline, workers=workers, limits=parts.limits)
            )
            services = [parts.indexer(indexer, segmenter, queue)]
            if role == "both":
                services.append(parts.segmenter(lambda: segmenter, SAME_ADDRESS))
        title = "Captionary" if role == "both" else f"Captionary {role}"
        yield build_app(
            services,
            title=title,
            version=parts.version,
            limits=parts.limits,
            metrics=parts.metrics,
            origins=settings.origins,
            guard=guard_for(settings.keys, openly=openly),
        )


class _Parts:
    """What the services of one process share."""

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        self.version = importlib.metadata.version("captionary")
        self.keys, self.limits = settings.keys, settings.limits
        self.metrics = Metrics()

    def indexer(self, indexer: "Indexer", segmenter: Segmenter, queue: JobQueue) -> IndexerService:
        """The indexer's service; `segmenter` reads the same dictionary."""
        assert segmenter.retriever is not None
        return IndexerService(
            queue,
            indexer=indexer,
            dictionary=segmenter.retriever.dictionary,
            keys=self.keys,
            limits=self.limits,
            metrics=self.metrics,
            allowed=self._settings.allowed_urls,
        )

    def segmenter(self, opened: Callable[[], Segmenter], indexer: str | None) -> SegmenterService:
        """The segmenter's service; `indexer` is where its page sends captioned pictures."""
        return SegmenterService(
            opened=opened,
            keys=self.keys,
            limits=self.limits,
            metrics=self.metrics,
            gate=Gate(working=self._settings.at_a_time, waiting=self._settings.waiting),
            version=self.version,
            indexer=indexer,
        )

    def later(self, opened: ExitStack, models: Models, store: str) -> Callable[[], Segmenter]:
        """Opens a dictionary to read when it is first asked to, and again after a failure."""
        return lambda: opened.enter_context(open_reader(models, store))


def _beside(store: str) -> Path:
    """Where the indexer of a store keeps its queue, unless told."""
    return Path(
        f"{store.rstrip('/').rpartition('/')[2] if '://' in store else store.rstrip('/')}.jobs"
    )
