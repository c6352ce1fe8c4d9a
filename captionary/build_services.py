"""Puts the services together: each on a store of its own process, or both on one."""

import importlib.metadata
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from captionary.build import IndexingOptions, ModelNames, Parts
from captionary.indexer.service import IndexerService, JobQueue, open_queue
from captionary.segmenter.service import SegmenterService
from captionary.serving.app import Service, build_app
from captionary.serving.cross_origin import choose_guard_mode
from captionary.serving.metrics import Metrics
from captionary.serving.settings import ServeSettings
from captionary.serving.work_queue import WorkQueue

if TYPE_CHECKING:
    from fastapi import FastAPI

    from captionary.segmenter.segmenter import Segmenter

Role: TypeAlias = Literal["indexer", "segmenter", "both"]

SAME_ADDRESS = ""


@contextmanager
def open_app(
    role: Role,
    models: ModelNames,
    store: str,
    settings: ServeSettings,
    *,
    state: Path | None = None,
    pipeline: str | None = None,
    keep: Path | None = None,
    allow_network: bool = False,
) -> "Iterator[FastAPI]":
    """The app of one service or of both, ready to be served.

    The indexer opens its store at once, and makes it where there is none. The segmenter by itself
    waits for a dictionary.

    Args:
        state: folder of the indexer's queue; None: beside the store.
        pipeline, keep: as `IndexingOptions`.
        allow_network: whether other machines are served without keys.

    Raises:
        WrongInput, StoreInUse, FingerprintMismatch: as `Parts.indexer`, or another process has the
            queue.
    """
    metrics = Metrics()
    with ExitStack() as stack:
        if role == "segmenter":
            open_segmenter = _segmenter_opener(stack, models, store)
            services: list[Service] = [
                _segmenter_service(open_segmenter, settings, metrics, settings.indexer_url)
            ]
        else:
            queue = stack.enter_context(open_queue(state or _beside(store)))
            indexing = IndexingOptions(pipeline, keep or ())
            parts = _indexing_parts(role, models, store, settings, indexing)
            stack.callback(parts.close)
            services = [_indexer_service(parts, queue, settings, metrics)]
            if role == "both":
                services.append(
                    _segmenter_service(lambda: parts.segmenter, settings, metrics, SAME_ADDRESS)
                )
        yield build_app(
            services,
            title="Captionary" if role == "both" else f"Captionary {role}",
            version=_version(),
            limits=settings.limits,
            metrics=metrics,
            origins=settings.origins,
            guard=choose_guard_mode(settings.keys, allow_network=allow_network),
            root_path=settings.root_path,
        )


def _indexing_parts(
    role: Role, models: ModelNames, store: str, settings: ServeSettings, options: IndexingOptions
) -> Parts:
    import torch

    # Each worker has a core to itself; threads within a pass would only get in their way.
    torch.set_num_threads(1)
    workers = max(1, settings.concurrency // (1 if role == "indexer" else 2))
    limits = settings.limits
    options = replace(options, workers=workers, max_pixels=limits.pixels, max_bytes=limits.body)
    return Parts(store, models, options)


def _indexer_service(
    parts: Parts, queue: JobQueue, settings: ServeSettings, metrics: Metrics
) -> IndexerService:
    return IndexerService(
        queue,
        indexer=parts.indexer,
        dictionary=parts.stored,
        keys=settings.keys,
        limits=settings.limits,
        metrics=metrics,
        allowed=settings.allowed_urls,
    )


def _segmenter_service(
    open_segmenter: "Callable[[], Segmenter]",
    settings: ServeSettings,
    metrics: Metrics,
    indexer: str | None,
) -> SegmenterService:
    """The segmenter's service; `indexer` is where its page sends captioned pictures."""
    return SegmenterService(
        open_segmenter=open_segmenter,
        keys=settings.keys,
        limits=settings.limits,
        metrics=metrics,
        queue=WorkQueue(workers=settings.concurrency, waiting=settings.waiting),
        version=_version(),
        indexer=indexer,
    )


def _segmenter_opener(
    stack: ExitStack, models: ModelNames, store: str
) -> "Callable[[], Segmenter]":
    """A function that opens a dictionary to read it; where that fails it may be called again."""

    def open_segmenter() -> "Segmenter":
        parts = Parts(store, models)
        try:
            segmenter = parts.segmenter
        except BaseException:
            parts.close()
            raise
        stack.callback(parts.close)
        return segmenter

    return open_segmenter


def _version() -> str:
    return importlib.metadata.version("captionary")


def _beside(store: str) -> Path:
    """Where the indexer of a store keeps its queue, unless given."""
    return Path(
        f"{store.rstrip('/').rpartition('/')[2] if '://' in store else store.rstrip('/')}.jobs"
    )
