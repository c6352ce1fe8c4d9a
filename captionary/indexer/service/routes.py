"""The indexer over HTTP: captioned pictures and removals in, jobs out."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from captionary.indexer.pipeline import Indexer
from captionary.indexer.service.intake import Intake
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.jobs import Accepted, Kind
from captionary.indexer.service.spool import Spool
from captionary.indexer.service.url_fetching import Fetcher
from captionary.indexer.service.worker import Worker
from captionary.schemas.bodies import AcceptedBody, JobBody, PairBody
from captionary.schemas.errors import CaptionaryError
from captionary.serving.api_keys import Keys
from captionary.serving.limits import Gate, Limits
from captionary.serving.metrics import Metrics
from captionary.serving.problems import MEDIA_TYPE, Problem
from captionary.vocabulary.stored_dictionary import StoredDictionary

INTAKES, WAITING_INTAKES = 2, 16
"""Requests whose pairs are checked and written at a time, and that may wait for it."""

MOST_FIELDS, LARGEST_FIELD = 250, 64 << 10
"""Of a form: text fields, and bytes of each."""

Id = Annotated[str, InPath(min_length=1, max_length=512)]

log = logging.getLogger("captionary")


class IndexerService:
    """Takes work in, keeps it safe in the queue's folder, and does it in the order of the queue.

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
        self._fetcher = Fetcher(allowed, most=limits.body)
        self._intake = Intake(self._spool, self._fetcher, limits)
        self._worker = Worker(
            queue=self._queue,
            spool=self._spool,
            fetcher=self._fetcher,
            indexer=indexer,
            refresher=indexer.refresher,
            dictionary=dictionary,
            metrics=metrics,
        )
        self._gate: Gate | None = None
        self._router = self._routes(keys, limits)
        metrics.gauge("queue_pairs", "Pairs that wait.", lambda: self._queue.waiting().pairs)
        metrics.gauge("queue_bytes", "Their pictures.", lambda: self._queue.waiting().bytes)

    @property
    def router(self) -> APIRouter:
        """Its routes."""
        return self._router

    def check(self) -> None:
        """Raise CaptionaryError while nothing can be indexed."""
        self._worker.check()
        if self._dictionary.engine.read_meta() is None:
            raise CaptionaryError(f"the store {self._dictionary.engine.address} is gone")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The worker; when it is left, what is accepted and not done waits on disk."""
        try:
            await run_in_threadpool(self._open)
            yield
        finally:
            await run_in_threadpool(self._close)

    def _open(self) -> None:
        self._spool.open()
        self._queue.open()
        self._spool.clear(self._queue.uploads())
        self._fetcher.open()
        self._gate = Gate(working=INTAKES, waiting=WAITING_INTAKES)
        self._worker.start()

    def _close(self) -> None:
        if self._gate is not None:
            self._gate.close()
            self._gate = None
        self._worker.stop()
        self._fetcher.close()
        self._queue.close()

    def _routes(self, keys: Keys, limits: Limits) -> APIRouter:
        router = APIRouter(tags=["indexer"])
        reading, writing = [Depends(keys.reading)], [Depends(keys.writing)]
        router.add_api_route(
            "/v1/pairs",
            self.add_pairs,
            methods=["POST"],
            status_code=HTTPStatus.ACCEPTED,
            dependencies=writing,
            openapi_extra={"requestBody": _pairs_body(limits)},
            responses=_answers(400, 401, 403, 413, 415, 422, 429, 503),
        )
        router.add_api_route(
            "/v1/jobs/{id}",
            self.job,
            methods=["GET"],
            dependencies=reading,
            responses=_answers(401, 403, 404, 422, 503),
        )
        for path, endpoint in (
            ("/v1/images/{id:path}", self.remove_image),
            ("/v1/sources/{name:path}", self.remove_source),
        ):
            router.add_api_route(
                path,
                endpoint,
                methods=["DELETE"],
                status_code=HTTPStatus.ACCEPTED,
                dependencies=writing,
                responses=_answers(401, 403, 404, 422, 429, 503),
            )
        return router

    async def add_pairs(self, request: Request) -> AcceptedBody:
        """Accept captioned pictures: one as a form, or several as JSON. Ask for the job's state."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("multipart/form-data", "application/json"):
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"the body is {kind or 'of no type'}; send multipart/form-data or application/json",
            )
        await run_in_threadpool(self._queue.check_room, pairs=1, size=0)
        if kind == "application/json":
            return await self._add_json(request)
        return await self._add_form(request)

    async def _add_form(self, request: Request) -> AcceptedBody:
        form = request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=LARGEST_FIELD)
        async with form as fields:
            return await self._accept(self._intake.from_form(fields))

    async def _add_json(self, request: Request) -> AcceptedBody:
        with self._spool.scratch() as body:
            async for piece in request.stream():
                await run_in_threadpool(body.write, piece)
            await run_in_threadpool(body.seek, 0)
            return await self._accept(self._intake.from_json(body))

    async def _accept(self, pairs: Iterator[Accepted]) -> AcceptedBody:
        if self._gate is None:
            raise CaptionaryError("the indexer is ending; send it again")
        job, count = await self._gate.run(self._queue_all, pairs)
        return self._accepted(job, kind="pairs", pairs=count)

    def _queue_all(self, pairs: Iterator[Accepted]) -> tuple[str, int]:
        """Put pairs in the queue, all or, where anything is wrong with them, none."""
        taken: list[Accepted] = []
        try:
            taken.extend(pairs)
            self._spool.sync()
            return self._queue.add(taken), len(taken)
        except BaseException:
            self._spool.discard(pair.upload for pair in taken if pair.upload)
            raise

    def _accepted(self, job: str, **said: object) -> AcceptedBody:
        self._worker.wake()
        log.info("job accepted", extra={"job": job, **said})
        return AcceptedBody(job=job)

    def job(self, id: Annotated[str, InPath(max_length=64)]) -> JobBody:
        """The state of a job, up to a week after its end."""
        # Asked before the rows are read: a batch that ends in between is then not counted twice.
        dealt = self._worker.dealt()
        found = self._queue.job(id, dealt)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                f"there is no job {id!r}; finished ones are forgotten after a week",
            )
        return found

    def remove_image(self, id: Id) -> AcceptedBody:
        """Remove a picture, once everything accepted before is done."""
        return self._remove("image", id, there=self._dictionary.picture(id) is not None)

    def remove_source(self, name: Id) -> AcceptedBody:
        """Remove all pictures of a source, once everything accepted before is done."""
        return self._remove("source", name, there=self._dictionary.has_source(name))

    def _remove(self, kind: Kind, target: str, *, there: bool) -> AcceptedBody:
        if not (there or self._queue.might_bring(kind, target)):
            what = "picture" if kind == "image" else "source"
            raise Problem(HTTPStatus.NOT_FOUND, f"the dictionary has no {what} {target!r}")
        job = self._queue.add_removal(kind, target)
        return self._accepted(job, kind=kind, target=target)


def _pairs_body(limits: Limits) -> dict[str, Any]:
    """Both bodies of `POST /v1/pairs`, as OpenAPI describes them."""
    text: Mapping[str, Any] = {"type": "string"}
    pair = PairBody.model_json_schema()
    fields = pair["properties"]
    form = {
        "image": {"type": "string", "format": "binary", "description": "The picture's file."},
        "caption": {**fields["captions"], "description": "A sentence, or several."},
        "id": {**text, "maxLength": 512},
        "source": {**text, "maxLength": 512},
        "tag": {**fields["tags"], "description": "A label, or several."},
    }
    pairs = {"type": "array", "items": pair, "minItems": 1, "maxItems": limits.pairs}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _object(form, "image", "caption")},
            "application/json": {"schema": _object({"pairs": pairs}, "pairs")},
        },
    }


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Answers other than success, as OpenAPI describes them."""
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in statuses
    }
