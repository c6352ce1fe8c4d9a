"""Error responses: a problem document (RFC 9457) with one line of detail, whatever went wrong."""

import errno
import logging
from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount

from captionary.schemas.bodies import ProblemBody
from captionary.schemas.errors import (
    NO_SPACE,
    CaptionaryError,
    DiskFull,
    FingerprintMismatch,
    StoreInUse,
    UnreadablePicture,
    WrongInput,
)

MEDIA_TYPE = "application/problem+json"

NO_ROOM = NO_SPACE | {errno.EFBIG, errno.EMFILE, errno.ENFILE}
"""The machine has no room for another byte of a file, or for another file."""

NO_ROOM_RETRY_AFTER = 30
RETRY_AFTER = 5
"""Seconds after which to try again what the machine, or the store, could not do."""

log = logging.getLogger("captionary")


class Problem(HTTPException):
    """An error response: its status, and in one line what is wrong and what to do."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))


def service_unavailable(detail: str, *, retry_after: int) -> Problem:
    """503, with the seconds after which to try again."""
    headers = {"Retry-After": str(retry_after)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers=headers)


def add_error_handlers(app: FastAPI) -> None:
    """Have an app answer every foreseen error with a problem document."""
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(CaptionaryError, _captionary_error)
    app.add_exception_handler(OSError, _os_error)


def problem_response(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A problem document, with the request's id."""
    body = ProblemBody(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=" ".join(detail.split()),
        instance=request.url.path,
        request_id=getattr(request.state, "request_id", ""),
    )
    return JSONResponse(
        body.model_dump(), status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods(request)):
        # The router names the methods of the first route of the path only.
        headers["Allow"] = ", ".join(methods)
    return problem_response(request, error.status_code, error.detail, headers)


def _methods(request: Request) -> list[str]:
    """The methods that the routes of a request's path take, sorted."""
    app: FastAPI = request.app
    routes = [route for route in app.routes if not isinstance(route, Mount)]
    return [
        method.value
        for method in sorted(HTTPMethod)
        if any(
            route.matches({**request.scope, "method": method.value})[0] is Match.FULL
            for route in routes
        )
    ]


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem_response(request, HTTPStatus.UNPROCESSABLE_ENTITY, _first_error(error))


def _first_error(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request: where, what, and how many more there are."""
    errors = error.errors()
    where = ".".join(str(part) for part in errors[0]["loc"] if part != "body") or "the body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {errors[0]['msg']}{more}"


async def _captionary_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, UnreadablePicture):
        return problem_response(request, HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    # These two are mistakes of the operator, not of the client.
    operator_error = isinstance(error, StoreInUse | FingerprintMismatch)
    if isinstance(error, WrongInput) and not operator_error:
        return problem_response(request, HTTPStatus.BAD_REQUEST, str(error))
    log.error("failed", extra={"said": str(error)})
    if isinstance(error, DiskFull):
        return _full(request, str(error))
    headers = {"Retry-After": str(RETRY_AFTER)}
    return problem_response(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers)


async def _os_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    if error.errno not in NO_ROOM:
        raise error
    log.error("no room", extra={"said": str(error)})
    if error.errno in NO_SPACE:
        # Its file may be confidential.
        return _full(request, str(DiskFull("the service")))
    detail = "the service has no room on its disk, or too many files open; try again later"
    headers = {"Retry-After": str(NO_ROOM_RETRY_AFTER)}
    return problem_response(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers)


def _full(request: Request, detail: str) -> JSONResponse:
    headers = {"Retry-After": str(NO_ROOM_RETRY_AFTER)}
    return problem_response(request, HTTPStatus.INSUFFICIENT_STORAGE, detail, headers)


def internal_error_response(request: Request) -> JSONResponse:
    """500 for an error that nobody foresaw; its text may be confidential, and stays in the log."""
    detail = "a fault of the service; its log has more under this request_id"
    return problem_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
