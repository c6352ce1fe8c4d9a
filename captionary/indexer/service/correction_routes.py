"""The HTTP routes by which the dictionary is corrected, and corrections are undone."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from starlette.concurrency import run_in_threadpool

from captionary.indexer.corrector import Corrector
from captionary.indexer.service.intake import Intake, from_json, unprocessable, validated
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.orders import encoded
from captionary.indexer.service.request_bodies import JSON, body_type, open_form
from captionary.schemas.bodies import AcceptedBody
from captionary.schemas.correction_bodies import HistoryBody, WantedBody, correction_body
from captionary.schemas.errors import NotStored, WrongInput
from captionary.serving.api_keys import Keys
from captionary.serving.openapi import object_schema, problem_responses, schema_of
from captionary.serving.problems import Problem

MAX_JSON_BYTES = 1 << 16
"""Of a correction as JSON: a noun, a name and an id are far shorter, and what is parsed is larger
in memory than as text."""

Number = Annotated[int, InPath(ge=1, lt=1 << 53)]


class CorrectionRoutes:
    """The endpoints of corrections.

    corrector:  tells what cannot be done; the worker does what can.
    check_room: called before a body is read.
    accepted:   answers for a job that is safe on disk; its details are for the log.
    """

    def __init__(
        self,
        *,
        intake: Intake,
        queue: JobQueue,
        corrector: Corrector,
        check_room: Callable[[], None],
        accepted: Callable[..., AcceptedBody],
        keys: Keys,
    ) -> None:
        self._intake = intake
        self._queue = queue
        self._corrector = corrector
        self._check_room = check_room
        self._accepted = accepted
        self.router = self._build_router(keys)

    def _build_router(self, keys: Keys) -> APIRouter:
        router = APIRouter()
        reading, writing = [Depends(keys.require_read)], [Depends(keys.require_write)]
        router.add_api_route(
            "/v1/corrections",
            self.correct,
            methods=["POST"],
            status_code=HTTPStatus.ACCEPTED,
            dependencies=writing,
            openapi_extra={"requestBody": _request_body()},
            responses=problem_responses(400, 401, 403, 404, 413, 415, 422, 429, 503, 507),
        )
        router.add_api_route(
            "/v1/corrections",
            self.history,
            methods=["GET"],
            dependencies=reading,
            responses=problem_responses(401, 403, 503),
        )
        router.add_api_route(
            "/v1/corrections/{number}",
            self.undo,
            methods=["DELETE"],
            status_code=HTTPStatus.ACCEPTED,
            dependencies=writing,
            responses=problem_responses(401, 403, 404, 422, 429, 503, 507),
        )
        return router

    async def correct(self, request: Request) -> AcceptedBody:
        """Correct the dictionary: as JSON, or with a form that points at an area of a picture.

        It is done once everything accepted before is done.
        """
        kind = body_type(request)
        await run_in_threadpool(self._check_room)
        if kind == JSON:
            body = await request.body()
            if len(body) > MAX_JSON_BYTES:
                raise Problem(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"a correction has {MAX_JSON_BYTES:,} bytes at most",
                )
            return await run_in_threadpool(self._correct, body)
        async with open_form(request) as fields:
            job = await self._intake.accept_teaching(fields)
        return self._accepted(job.id, kind="teaching", pairs=job.pairs)

    def _correct(self, body: bytes) -> AcceptedBody:
        try:
            wanted = validated(WantedBody, from_json("the body", body)).correction
        except WrongInput as error:
            raise unprocessable(str(error)) from error
        # What waits may yet bring what is named; then the job tells whether it did.
        if self._queue.is_empty():
            try:
                self._corrector.check(wanted)
            except NotStored as error:
                raise Problem(HTTPStatus.NOT_FOUND, str(error)) from error
            except WrongInput as error:
                raise unprocessable(str(error)) from error
        job = self._queue.add_order("correction", encoded(wanted))
        return self._accepted(job, kind="correction", correction=wanted.kind)

    def history(self) -> HistoryBody:
        """The corrections in force, oldest first."""
        listed = self._corrector.history()
        return HistoryBody(corrections=[correction_body(item) for item in listed])

    def undo(self, number: Number) -> AcceptedBody:
        """Undo a correction, as if it had never been said, once everything before is done."""
        if not any(item.number == number for item in self._corrector.history()):
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no correction {number} to undo")
        job = self._queue.add_order("undo", str(number))
        return self._accepted(job, kind="undo", number=number)


def _request_body() -> dict[str, Any]:
    """Both bodies of `POST /v1/corrections`, as OpenAPI describes them."""
    text = {"type": "string"}
    form = {
        "image": {**text, "format": "binary", "description": "The picture's file."},
        "noun": schema_of(WantedBody)["properties"]["noun"],
        "region": {**text, "description": "JSON: an area, as `regions` of a pair has it."},
        "not": {**text, "enum": ["true", "false"]},
        "source": {**text, "maxLength": 512},
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": object_schema(form, "image", "noun", "region")},
            "application/json": {"schema": schema_of(WantedBody)},
        },
    }
