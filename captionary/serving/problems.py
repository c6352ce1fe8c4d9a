"""Errors over HTTP: one line in a problem document (RFC 9457), whatever went wrong."""

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from captionary.schemas.bodies import ProblemBody
from captionary.schemas.errors import (
    CaptionaryError,
    FingerprintMismatch,
    StoreInUse,
    UnreadablePicture,
    WrongInput,
)

MEDIA_TYPE = "application/problem+json"

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE})
"""The machine has no room for another byte of a file, or for another file."""

ROOM_AGAIN = 30
"""Seconds after which there may be some."""

log = logging.getLogger("captionary")


class Problem(HTTPException):
    """An answer other than success: its status, and in one line what is wrong and what to do."""

    def __init__(
        self, status: int, detail: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))


def busy(detail: str, *, seconds: int) -> Problem:
    """Too much is waiting; come again after so many seconds."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": str(seconds)})


def tell_problems(app: FastAPI) -> None:
    """Have an app answer every error that is foreseen with a problem document."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(CaptionaryError, _ours)
    app.add_exception_handler(OSError, _of_the_machine)


def problem(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The document itself, with the request's id."""
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


async def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(request, error.status_code, error.detail, error.headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, told(error))


def told(error: RequestValidationError) -> str:
    """The first thing that is wrong with a request: where, and what."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    more = f" (and {len(error.errors()) - 1} more)" if len(error.errors()) > 1 else ""
    return f"{where}: {first['msg']}{more}"


async def _ours(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, UnreadablePicture):
        return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    # These two are mistakes of whoever runs the service, not of whoever asks it.
    of_the_store = isinstance(error, StoreInUse | FingerprintMismatch)
    if isinstance(error, WrongInput) and not of_the_store:
        return problem(request, HTTPStatus.BAD_REQUEST, str(error))
    log.error("failed", extra={"said": str(error)})
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": "5"})


async def _of_the_machine(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OSError)
    if error.errno not in NO_ROOM:
        raise error
    log.error("no room", extra={"said": str(error)})
    detail = "the service has no room on its disk, or too many files open; try again later"
    headers = {"Retry-After": str(ROOM_AGAIN)}
    return problem(request, HTTPStatus.SERVICE_UNAVAILABLE, detail, headers)


def unforeseen(request: Request) -> JSONResponse:
    """The answer to a request that failed in a way nobody thought of; it says nothing of how."""
    detail = "a fault of the service; its log has more under this request_id"
    return problem(request, HTTPStatus.INTERNAL_SERVER_ERROR, detail)
