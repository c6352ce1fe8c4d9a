"""The segmenter's routes: pictures in, class maps out, and the dictionary to browse."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from captionary.schemas import bodies
from captionary.schemas.errors import CaptionaryError
from captionary.segmenter.segmenter import Segmenter
from captionary.segmenter.service import forms, responses
from captionary.segmenter.service.live_segmenter import (
    NO_STATS,
    LiveSegmenter,
    SegmenterOpener,
    errors_as_unavailable,
)
from captionary.segmenter.service.negotiation import negotiate_format
from captionary.segmenter.service.page_router import page_router
from captionary.serving.api_keys import KeyHeader, Keys
from captionary.serving.limits import Limits
from captionary.serving.metrics import Metrics
from captionary.serving.problems import Problem
from captionary.serving.work_queue import WorkQueue

RETRY_SECONDS = 3.0
"""Seconds between two attempts to open the segmenter."""

COUNT_INTERVAL = 1.0
"""Seconds between two counts for the metrics; while the dictionary is unchanged, they are free."""

READERS, WAITING_READERS = 4, 60
"""Requests that read the dictionary at a time, and that may wait for it."""

SIZES = ("images", "regions", "nouns", "prototypes")


class SegmenterService:
    """Implements serving.app.Service. It answers at once, and opens its segmenter meanwhile.

    open_segmenter: opens the store and loads the models; tried again for as long as it fails.
    queue:          for the work on pictures; closed when the service ends.
    indexer:        where the page sends captioned pictures: an address, "" for the same, None:
        nowhere.
    retry_seconds:  between two attempts to open.
    """

    def __init__(
        self,
        *,
        open_segmenter: Callable[[], Segmenter],
        keys: Keys,
        limits: Limits,
        metrics: Metrics,
        queue: WorkQueue,
        version: str,
        indexer: str | None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._opener = SegmenterOpener(open_segmenter, retry_seconds=retry_seconds)
        self._keys = keys
        self._limits = limits
        self._metrics = metrics
        self._queue = queue
        self._reads = WorkQueue(workers=READERS, waiting=WAITING_READERS)
        self._version = version
        self._indexer = indexer
        self._router = self._build_router()
        self._add_gauges()

    @property
    def router(self) -> APIRouter:
        """Its routes."""
        return self._router

    def check(self) -> None:
        """Raise CaptionaryError while it is not open, or its dictionary cannot be read."""
        self._opener.caught_up()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Open the segmenter beside the requests; at the end, finish the work under way."""
        opening = asyncio.create_task(asyncio.to_thread(self._opener.run))
        counting = asyncio.create_task(self._keep_counting())
        try:
            yield
        finally:
            counting.cancel()
            self._opener.stop()
            await opening
            await asyncio.to_thread(self._queue.close)
            await asyncio.to_thread(self._reads.close)

    def _build_router(self) -> APIRouter:
        router = APIRouter(tags=["segmenter"])
        may_read = [Depends(self._keys.require_read)]
        form = [*may_read, Depends(forms.require_multipart)]
        router.post(
            "/v1/segment",
            response_model=None,
            responses=responses.SEGMENT_RESPONSES,
            dependencies=form,
            openapi_extra=forms.openapi_request_body(forms.SegmentForm),
        )(self.segment)
        router.post(
            "/v1/retrieve",
            response_model=None,
            responses=_ok(bodies.RetrievalBody),
            dependencies=form,
            openapi_extra=forms.openapi_request_body(forms.RetrieveForm),
        )(self.retrieve)
        router.get("/v1/vocabulary", dependencies=may_read)(self.vocabulary)
        router.get(
            "/v1/vocabulary/{noun:path}",
            response_model=None,
            responses=_ok(bodies.NounDetailBody),
            dependencies=may_read,
        )(self.noun)
        # A key is welcome there, but not needed.
        router.get("/v1/about", openapi_extra={"security": [{}]})(self.about)
        router.include_router(page_router(indexer=self._indexer))
        return router

    async def segment(self, request: Request) -> Response:
        """Label every pixel of a picture with class names."""
        with self._reserve() as live:
            async with forms.parse_form(request, forms.SegmentForm) as form:
                format = negotiate_format(form.format, request)
                classes = forms.parse_class_list(form.classes, limit=self._limits.classes)
                settings = form.settings

                def work() -> Response:
                    with self._metrics.stage("decode"):
                        picture = forms.decode_upload(form.image, max_pixels=self._limits.pixels)
                    if form.fusion != "text":
                        with errors_as_unavailable():
                            live.catch_up()
                    # An error of the picture is the client's: only those of the store are 503.
                    with self._metrics.stage("regions"):
                        cut = live.segmenter.extractor.extract(picture)
                    with self._metrics.stage("label"), errors_as_unavailable():
                        segmentation = live.segmenter.label(cut, classes, settings)
                    with self._metrics.stage("encode"):
                        return responses.segmentation_response(segmentation, picture.pixels, format)

                return await self._run(work)

    async def retrieve(self, request: Request) -> Response:
        """Find what the dictionary has that looks like a picture, or like a box of it."""
        with self._reserve() as live:
            async with forms.parse_form(request, forms.RetrieveForm) as form:

                def work() -> Response:
                    with self._metrics.stage("decode"):
                        picture = forms.decode_upload(form.image, max_pixels=self._limits.pixels)
                    box = None if form.box is None else forms.parse_box(form.box)
                    with errors_as_unavailable():
                        live.catch_up()
                    with self._metrics.stage("regions"):
                        look = live.segmenter.extractor.embed_box(picture, box).looks[0]
                    with self._metrics.stage("label"), errors_as_unavailable():
                        body = responses.retrieval_body(live.retriever, look, form)
                    with self._metrics.stage("encode"):
                        return JSONResponse(body.model_dump())

                return await self._run(work)

    @contextmanager
    def _reserve(self) -> Iterator[LiveSegmenter]:
        """Hold a place in the queue from before the body is read: a full queue reads none."""
        with errors_as_unavailable():
            live = self._opener.live
        with self._queue.reserve():
            yield live

    async def _run(self, work: Callable[[], Response]) -> Response:
        """Do the work of a request, from uploaded bytes to response bytes, in one thread."""
        start = time.perf_counter()

        def timed() -> Response:
            self._metrics.observe_stage("wait", time.perf_counter() - start)
            return work()

        return await self._queue.run_reserved(timed)

    async def vocabulary(
        self,
        q: Annotated[
            str, Query(max_length=forms.MAX_LABEL_LENGTH, description="A part of the nouns wanted.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=1000, description="Nouns, at most.")] = 50,
        offset: Annotated[int, Query(ge=0, description="Nouns passed over.")] = 0,
    ) -> bodies.VocabularyBody:
        """The nouns of the dictionary, those that start with `q` and those of most pictures first.

        `total` counts all nouns that `q` is part of.
        """

        def read() -> bodies.VocabularyBody:
            with errors_as_unavailable():
                revision, entries = self._opener.caught_up().listing.find(q)
            nouns = [responses.noun_body(entry) for entry in entries[offset : offset + limit]]
            return bodies.VocabularyBody(nouns=nouns, total=len(entries), revision=revision)

        return await self._reads.run(read)

    async def noun(self, noun: str) -> Response:
        """A noun with its prototypes, and the captioned regions behind them."""

        def read() -> Response:
            with errors_as_unavailable():
                live = self._opener.caught_up()
                entry = live.listing.entry(noun)
                if entry is not None:
                    body = responses.noun_detail_body(entry, live.dictionary)
                    return JSONResponse(body.model_dump())
            raise Problem(
                HTTPStatus.NOT_FOUND,
                f"the dictionary has no noun {noun[:80]!r}; /v1/vocabulary lists those it has",
            )

        return await self._reads.run(read)

    async def about(self, key: KeyHeader = None) -> bodies.AboutBody:
        """What the page needs to know, without a key: whether one is needed, and where to index.

        How much the dictionary holds is for those who may read: where keys are set and none is
        given, and while there is no dictionary, the counts are 0. A wrong key is refused.
        """
        stats = NO_STATS
        if key is not None or not self._keys.any:
            await self._keys.require_read(key)
            with suppress(CaptionaryError):
                stats = await self._reads.run(self._opener.stats)
        return bodies.AboutBody(
            version=self._version,
            indexer=self._indexer,
            keys=self._keys.any,
            fingerprint=stats.fingerprint,
            images=stats.images,
            regions=stats.regions,
            nouns=stats.nouns,
            prototypes=stats.prototypes,
            revision=stats.revision,
        )

    async def _keep_counting(self) -> None:
        """Count for the metrics in the background: a scrape does not wait for the store."""
        while True:
            with suppress(CaptionaryError, Problem):
                await self._reads.run(self._opener.stats)
            await asyncio.sleep(COUNT_INTERVAL)

    def _add_gauges(self) -> None:
        def reader(size: str) -> Callable[[], float]:
            return lambda: float(getattr(self._opener.last_stats, size))

        metrics, sizes = self._metrics, {size: reader(size) for size in SIZES}
        metrics.add_gauge("queue", "Requests at work or in line.", lambda: self._queue.pending)
        metrics.add_gauges("dictionary", "Size of the dictionary.", "kind", sizes)
        metrics.add_gauge("revision", "Revision of the dictionary.", reader("revision"))


def _ok(model: type[bodies.Body]) -> dict[int | str, dict[str, Any]]:
    """A route's successful response as OpenAPI describes it."""
    return {200: {"model": model}}
