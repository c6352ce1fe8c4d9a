"""HTTP exchanges as generators that do no input or output themselves (sans-I/O).

An exchange yields what is to be done next, a request to send or a pause to make, is sent the
response, and returns the result of the call. So retries, polling and parsing are written once, and
the blocking and the asyncio client differ only in how they do a step.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from captionary.client.errors import Busy, ServiceProblem, UnexpectedResponse
from captionary.schemas.bodies import ProblemBody

T = TypeVar("T")
B = TypeVar("B", bound=BaseModel)

BUSY_STATUSES = frozenset({429, 503})
RETRIES = 8


@dataclass(frozen=True, slots=True)
class Request:
    """A request to send; the fields are named as the parameters of `httpx.Client.request`."""

    method: str
    url: str
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    data: Mapping[str, Any] | None = None
    files: Mapping[str, tuple[str, bytes]] | None = None
    content: bytes | None = None

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for `httpx.Client.request`."""
        # dataclasses.asdict would copy the bytes of pictures.
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to sleep before the next step."""

    seconds: float


Exchange: TypeAlias = Generator[Request | Pause, httpx.Response | None, T]
"""The steps of one call, whose result is T. A pause is answered with None."""


def send_with_retries(request: Request, *, timeout: float) -> Exchange[httpx.Response]:
    """Send a request, and again while the service is busy and says when to retry.

    Args:
        timeout: seconds for all tries; no pause is begun that would end after them.

    Raises:
        ServiceProblem, Busy: the response is no success.
    """
    end = time.monotonic() + timeout
    for _ in range(RETRIES):
        response = yield from _send(request)
        seconds = _retry_after(response)
        if seconds is None or time.monotonic() + seconds > end:
            break
        yield Pause(seconds)
    else:
        response = yield from _send(request)
    if not response.is_success:
        raise _service_problem(response)
    return response


def _send(request: Request) -> Exchange[httpx.Response]:
    response = yield request
    assert response is not None
    return response


def parse_body(body_type: type[B], response: httpx.Response) -> B:
    """Parse a JSON response.

    Raises:
        UnexpectedResponse: it is not of this type.
    """
    try:
        return body_type.model_validate_json(response.content)
    except ValidationError as error:
        raise _unexpected(response) from error


def parse_picture(media_type: str, response: httpx.Response) -> bytes:
    """The bytes of a response that is a picture.

    Raises:
        UnexpectedResponse: it is of another media type.
    """
    if response.headers.get("Content-Type", "").partition(";")[0] != media_type:
        raise _unexpected(response)
    return response.content


def _unexpected(response: httpx.Response) -> UnexpectedResponse:
    media_type = response.headers.get("Content-Type", "something")
    return UnexpectedResponse(
        f"{response.request.url} answered {media_type} that cannot be read; is it the right "
        "address, and a service of the same release?"
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds after which a busy service wants a retry; None: no retry, or no number of seconds."""
    header = response.headers.get("Retry-After", "")
    return float(header) if response.status_code in BUSY_STATUSES and header.isdecimal() else None


def _service_problem(response: httpx.Response) -> ServiceProblem:
    """The error of a response; also of one by a proxy, which sends no problem document."""
    status = response.status_code
    try:
        problem = ProblemBody.model_validate_json(response.content)
    except ValidationError:
        detail = f"{response.request.url} answered {status} {response.reason_phrase}"
        problem = ProblemBody(title=response.reason_phrase, status=status, detail=detail)
    request_id = problem.request_id or response.headers.get("X-Request-ID", "")
    if status in BUSY_STATUSES:
        return Busy(status, problem.detail, request_id, _retry_after(response))
    return ServiceProblem(status, problem.detail, request_id)
