"""The segmenter as a service: pictures in, class maps out, and the dictionary to look at."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from captionary.schemas.bodies import (
    AboutBody,
    NounDetailBody,
    RetrievalBody,
    SegmentationBody,
    VocabularyBody,
)
from captionary.schemas.dictionary import DictionaryStats
from captionary.schemas.errors import CaptionaryError
from captionary.segmenter.segmenter import Segmenter
from captionary.segmenter.service.answers import Answering
from captionary.segmenter.service.forms import (
    LONGEST_LABEL,
    RetrieveForm,
    SegmentForm,
    answer_format,
    described,
    form_of,
    multipart,
    read_class_list,
)
from captionary.segmenter.service.live import Live, Opening, told_as_busy
from captionary.segmenter.service.noun_listing import noun_body
from captionary.segmenter.service.page_router import page_router
from captionary.serving.api_keys import Given, Keys
from captionary.serving.limits import Gate, Limits
from captionary.serving.metrics import Metrics
from captionary.serving.problems import Problem

TRY_AGAIN = 3.0
"""Seconds until what could not be opened is tried again."""

COUNT_EVERY = 1.0
"""Seconds between two counts for the figures, at least; unless there is news, they cost nothing."""

READS, WAITING_READS = 4, 60
"""Requests that look into the dictionary at a time, and that may wait for it."""

NOTHING = DictionaryStats(
    images=0, regions=0, tagged=0, nouns=0, prototypes=0, revision=0, fingerprint=""
)
KINDS = ("images", "regions", "nouns", "prototypes")

IMAGE = {"schema": {"type": "string", "format": "binary"}}
SEGMENTED: dict[int | str, dict[str, Any]] = {
    200: {
        "model": SegmentationBody,
        "description": "A class for every pixel: JSON; an indexed PNG, pixel value = class index; "
        "or a JPEG to look at.",
        "content": {"image/png": IMAGE, "image/jpeg": IMAGE},
        "headers": {
            "X-Classes": {
                "description": "With a picture: the class names, as JSON in ASCII; "
                "left out where they are longer than 2,000 characters.",
                "schema": {"type": "string"},
            },
            "X-Revision": {
                "description": "With a picture: of the dictionary; left out by text alone.",
                "schema": {"type": "string"},
            },
        },
    }
}


class SegmenterService:
    """Implements serving.app.Service. It answers at once, and opens its segmenter meanwhile.

    opened:  opens the store and loads the models; tried again for as long as it fails.
    gate:    through which pictures are worked on; closed when the service ends.
    indexer: where the page sends captioned pictures: an address, "" for the same, None: nowhere.
    every:   seconds between two tries to open.
    """

    def __init__(
        self,
        *,
        opened: Callable[[], Segmenter],
        keys: Keys,
        limits: Limits,
        metrics: Metrics,
        gate: Gate,
        version: str,
        indexer: str | None,
        every: float = TRY_AGAIN,
    ) -> None:
        self._opening = Opening(opened, every=every)
        self._keys = keys
        self._limits = limits
        self._metrics = metrics
        self._gate = gate
        self._reads = Gate(working=READS, waiting=WAITING_READS)
        self._version = version
        self._indexer = indexer
        self._answering = Answering(limits, metrics)
        self._router = self._routes()
        self._show_figures()

    @property
    def router(self) -> APIRouter:
        """Its routes."""
        return self._router

    def check(self) -> None:
        """Raise CaptionaryError while it is not open, or its dictionary cannot be read."""
        self._opening.live.catch_up()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the segmenter beside the requests; at the end, finish what is at work."""
        trying = asyncio.create_task(asyncio.to_thread(self._opening.keep_trying))
        counting = asyncio.create_task(self._keep_counting())
        try:
            yield
        finally:
            counting.cancel()
            self._opening.stop()
            await trying
            await asyncio.to_thread(self._gate.close)
            await asyncio.to_thread(self._reads.close)

    def _routes(self) -> APIRouter:
        router = APIRouter(tags=["segmenter"])
        reading = [Depends(self._keys.reading)]
        form = [*reading, Depends(multipart)]
        found: dict[int | str, dict[str, Any]] = {200: {"model": RetrievalBody}}
        router.post(
            "/v1/segment",
            response_model=None,
            responses=SEGMENTED,
            dependencies=form,
            openapi_extra=described(SegmentForm),
        )(self.segment)
        router.post(
            "/v1/retrieve",
            response_model=None,
            responses=found,
            dependencies=form,
            openapi_extra=described(RetrieveForm),
        )(self.retrieve)
        router.get("/v1/vocabulary", dependencies=reading)(self.vocabulary)
        detail: dict[int | str, dict[str, Any]] = {200: {"model": NounDetailBody}}
        router.get(
            "/v1/vocabulary/{noun:path}",
            response_model=None,
            responses=detail,
            dependencies=reading,
        )(self.noun)
        # A key is welcome there, but not needed.
        router.get("/v1/about", openapi_extra={"security": [{}]})(self.about)
        router.include_router(page_router(indexer=self._indexer))
        return router

    async def segment(self, request: Request) -> Response:
        """Label every pixel of a picture with class names."""
        with self._in_line() as live:
            async with form_of(request, SegmentForm) as form:
                answer = answer_format(form, request)
                classes = read_class_list(form.classes, most=self._limits.classes)
                return await self._at_work(
                    lambda: self._answering.segment(live, form, classes, answer)
                )

    async def retrieve(self, request: Request) -> Response:
        """Find what the dictionary has that looks like a picture, or like a box of it."""
        with self._in_line() as live:
            async with form_of(request, RetrieveForm) as form:
                return await self._at_work(lambda: self._answering.retrieve(live, form))

    @contextmanager
    def _in_line(self) -> Iterator[Live]:
        """Have a place in line, before the body is read: what finds none is not read at all."""
        with told_as_busy():
            live = self._opening.live
        with self._gate.place():
            yield live

    async def _at_work(self, work: Callable[[], Response]) -> Response:
        """Have work done when it is its turn."""
        start = time.perf_counter()

        def timed() -> Response:
            self._metrics.took("wait", time.perf_counter() - start)
            return work()

        return await self._gate.work(timed)

    async def vocabulary(
        self,
        q: Annotated[
            str, Query(max_length=LONGEST_LABEL, description="A part of the nouns wanted.")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=1000, description="Nouns, at most.")] = 50,
        offset: Annotated[int, Query(ge=0, description="Nouns passed over.")] = 0,
    ) -> VocabularyBody:
        """The nouns of the dictionary, those that start with `q` and those of most pictures first.

        `total` counts all nouns that `q` is part of.
        """

        def read() -> VocabularyBody:
            with told_as_busy():
                revision, found = self._caught_up().listing.find(q)
            nouns = [noun_body(entry) for entry in found[offset : offset + limit]]
            return VocabularyBody(nouns=nouns, total=len(found), revision=revision)

        return await self._reads.run(read)

    async def noun(self, noun: str) -> Response:
        """A noun with its prototypes, and the captioned regions behind them."""

        def read() -> Response:
            with told_as_busy():
                live = self._caught_up()
                entry = live.listing.entry(noun)
                if entry is not None:
                    return JSONResponse(live.listing.detail(entry))
            raise Problem(
                HTTPStatus.NOT_FOUND,
                f"the dictionary has no noun {noun[:80]!r}; /v1/vocabulary lists those it has",
            )

        return await self._reads.run(read)

    async def about(self, key: Given = None) -> AboutBody:
        """What the page needs to know, without a key: whether one is needed, and where to index.

        How much the dictionary holds is for those who may read: where keys are set and none is
        given, and while there is no dictionary, the counts are 0. A wrong key is refused.
        """
        stats = NOTHING
        if key is not None or not self._keys.any:
            await self._keys.reading(key)
            with suppress(CaptionaryError):
                stats = await self._reads.run(self._count)
        return AboutBody(
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

    def _caught_up(self) -> Live:
        live = self._opening.live
        live.catch_up()
        return live

    def _count(self) -> DictionaryStats:
        return self._caught_up().listing.stats()

    async def _keep_counting(self) -> None:
        """Count what the figures tell: whoever asks for them is not kept waiting by the store."""
        while True:
            with suppress(CaptionaryError, Problem):
                await self._reads.run(self._count)
            await asyncio.sleep(COUNT_EVERY)

    def _size(self, kind: str) -> float:
        """A figure of the dictionary, as it was last counted."""
        with suppress(CaptionaryError):
            return float(getattr(self._opening.live.listing.counted or NOTHING, kind))
        return 0.0

    def _show_figures(self) -> None:
        def reading(kind: str) -> Callable[[], float]:
            return lambda: self._size(kind)

        self._metrics.gauge("queue", "Requests at work or in line.", lambda: self._gate.inside)
        self._metrics.gauges(
            "dictionary", "Size of the dictionary.", "kind", {kind: reading(kind) for kind in KINDS}
        )
        self._metrics.gauge("revision", "Revision of the dictionary.", reading("revision"))
