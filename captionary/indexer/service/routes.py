"""The HTTP routes of the indexer: captioned pictures, removals and corrections in, jobs out."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from captionary.indexer.corrector import Corrector
from captionary.indexer.service.correction_routes import CorrectionRoutes
from captionary.indexer.service.intake import Intake
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.jobs import PairsKind, RemovalKind
from captionary.indexer.service.request_bodies import JSON, body_type, open_form
from captionary.indexer.service.worker import Worker
from captionary.schemas.bodies import AcceptedBody, JobBody, PairBody
from captionary.serving.api_keys import Keys
from captionary.serving.limits import Limits
from captionary.serving.openapi import object_schema, problem_responses, schema_of
from captionary.serving.problems import Problem
from captionary.vocabulary.stored_dictionary import StoredDictionary

Id = Annotated[str, InPath(min_length=1, max_length=512)]

log = logging.getLogger("captionary")


class IndexerRoutes:
    """The endpoints, over the parts of the service that do the work."""

    def __init__(
        self,
        *,
        intake: Intake,
        queue: JobQueue,
        worker: Worker,
        dictionary: StoredDictionary,
        corrector: Corrector,
        keys: Keys,
        limits: Limits,
    ) -> None:
        self._intake = intake
        self._queue = queue
        self._worker = worker
        self._dictionary = dictionary
        self.router = self._build_router(keys, limits)
        corrections = CorrectionRoutes(
            intake=intake,
            queue=queue,
            corrector=corrector,
            check_room=self._check_room,
            accepted=self._accepted,
            keys=keys,
        )
        self.router.include_router(corrections.router)

    def _build_router(self, keys: Keys, limits: Limits) -> APIRouter:
        router = APIRouter(tags=["indexer"])
        reading, writing = [Depends(keys.require_read)], [Depends(keys.require_write)]
        router.add_api_route(
            "/v1/pairs",
            self.add_pairs,
            methods=["POST"],
            status_code=HTTPStatus.ACCEPTED,
            dependencies=writing,
            openapi_extra={"requestBody": _pairs_request_body(limits)},
            responses=problem_responses(400, 401, 403, 413, 415, 422, 429, 503, 507),
        )
        router.add_api_route(
            "/v1/jobs/{id}",
            self.job,
            methods=["GET"],
            dependencies=reading,
            responses=problem_responses(401, 403, 404, 422, 503),
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
                responses=problem_responses(401, 403, 404, 422, 429, 503, 507),
            )
        return router

    async def add_pairs(
        self, request: Request, replace: Annotated[bool, Query()] = False
    ) -> AcceptedBody:
        """Accept captioned pictures: one as a form, or several as JSON. Ask for the job's state.

        With `replace`, their captions take the place of those that the dictionary has of them.
        """
        kind = body_type(request)
        await run_in_threadpool(self._check_room)
        pairs: PairsKind = "replacement" if replace else "pairs"
        if kind == JSON:
            job = await self._intake.accept_json(request.stream(), kind=pairs)
        else:
            async with open_form(request) as fields:
                job = await self._intake.accept_form(fields, kind=pairs)
        return self._accepted(job.id, kind="pairs", pairs=job.pairs)

    def job(self, id: Annotated[str, InPath(max_length=64)]) -> JobBody:
        """The state of a job, up to a week after its end."""
        # Before the rows are read: a batch that ends in between is then not counted twice.
        embedded = self._worker.embedded_pairs()
        found = self._queue.read_job(id, embedded)
        if found is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                f"there is no job {id!r}; finished ones are forgotten after a week",
            )
        return found

    def remove_image(self, id: Id) -> AcceptedBody:
        """Remove a picture, once everything accepted before is done."""
        return self._remove("image", id, is_stored=self._dictionary.picture(id) is not None)

    def remove_source(self, name: Id) -> AcceptedBody:
        """Remove all pictures of a source, once everything accepted before is done."""
        return self._remove("source", name, is_stored=self._dictionary.has_source(name))

    def _remove(self, kind: RemovalKind, target: str, *, is_stored: bool) -> AcceptedBody:
        if not (is_stored or self._queue.may_contain(kind, target)):
            what = "picture" if kind == "image" else "source"
            raise Problem(HTTPStatus.NOT_FOUND, f"the dictionary has no {what} {target!r}")
        job = self._queue.add_order(kind, target)
        return self._accepted(job, kind=kind, target=target)

    def _check_room(self) -> None:
        """Before a body is read: a full queue, or disk, should not cost its transfer."""
        self._intake.check_room()
        self._dictionary.engine.check_writable()

    def _accepted(self, job: str, **details: object) -> AcceptedBody:
        self._worker.wake()
        log.info("job accepted", extra={"job": job, **details})
        return AcceptedBody(job=job)


def _pairs_request_body(limits: Limits) -> dict[str, Any]:
    """Both bodies of `POST /v1/pairs`, as OpenAPI describes them."""
    text: Mapping[str, Any] = {"type": "string"}
    pair = schema_of(PairBody)
    fields = pair["properties"]
    form = {
        "image": {"type": "string", "format": "binary", "description": "The picture's file."},
        "caption": {**fields["captions"], "description": "A sentence, or several."},
        "regions": {**text, "description": "JSON: an array as `regions` of a pair has it."},
        "id": {**text, "maxLength": 512},
        "source": {**text, "maxLength": 512},
        "tag": {**fields["tags"], "description": "A label, or several."},
    }
    pairs = {"type": "array", "items": pair, "minItems": 1, "maxItems": limits.pairs}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": object_schema(form, "image")},
            "application/json": {"schema": object_schema({"pairs": pairs}, "pairs")},
        },
    }
