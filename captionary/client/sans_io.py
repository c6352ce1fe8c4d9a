"""How a call goes, as a generator that does no input or output itself.

A flow yields what is to be done next, a request or a pause, is sent the answer, and returns the
result of the call. So the blocking and the asynchronous client differ only in how they do a step.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from captionary.client.errors import Busy, ServiceProblem, StrangeAnswer
from captionary.schemas.bodies import ProblemBody

T = TypeVar("T")
B = TypeVar("B", bound=BaseModel)

BUSY = frozenset({429, 503})
RETRIES = 8


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be asked; the names are those of `httpx.Client.request`."""

    method: str
    url: str
    params: Mapping[str, Any] | None = None
    headers: Mapping[str, str] | None = None
    data: Mapping[str, Any] | None = None
    files: Mapping[str, tuple[str, bytes]] | None = None
    content: bytes | None = None

    def words(self) -> dict[str, Any]:
        """All of it, by name."""
        return {part.name: getattr(self, part.name) for part in fields(self)}


@dataclass(frozen=True, slots=True)
class Pause:
    """So many seconds of waiting."""

    seconds: float


Flow: TypeAlias = Generator[Request | Pause, httpx.Response | None, T]


def ask(request: Request, *, patience: float) -> Flow[httpx.Response]:
    """Ask, and again while the service is busy and says when to come again.

    Args:
        patience: seconds; no pause is begun that would end after them.

    Raises:
        ServiceProblem, Busy: the answer is no success.
    """
    end = time.monotonic() + patience
    for _ in range(RETRIES):
        answer = yield from _once(request)
        seconds = _retry_after(answer)
        if seconds is None or time.monotonic() + seconds > end:
            break
        yield Pause(seconds)
    else:
        answer = yield from _once(request)
    if not answer.is_success:
        raise _problem(answer)
    return answer


def _once(request: Request) -> Flow[httpx.Response]:
    answer = yield request
    assert answer is not None
    return answer


def read(body: type[B], answer: httpx.Response) -> B:
    """The body of an answer.

    Raises:
        StrangeAnswer: it is another.
    """
    try:
        return body.model_validate_json(answer.content)
    except ValidationError as error:
        raise StrangeAnswer(_strange(answer)) from error


def picture(media_type: str, answer: httpx.Response) -> bytes:
    """The bytes of an answer that is a picture.

    Raises:
        StrangeAnswer: it is none.
    """
    if answer.headers.get("Content-Type", "").partition(";")[0] != media_type:
        raise StrangeAnswer(_strange(answer))
    return answer.content


def _strange(answer: httpx.Response) -> str:
    kind = answer.headers.get("Content-Type", "something")
    return (
        f"{answer.request.url} answered {kind} that cannot be read; is it the right address, and "
        "a service of the same release?"
    )


def _retry_after(answer: httpx.Response) -> float | None:
    """The seconds after which a busy service wants to be asked again, where it tells any."""
    told = answer.headers.get("Retry-After", "")
    return float(told) if answer.status_code in BUSY and told.isdecimal() else None


def _problem(answer: httpx.Response) -> ServiceProblem:
    status = answer.status_code
    try:
        told = ProblemBody.model_validate_json(answer.content)
    except ValidationError:
        detail = f"{answer.request.url} answered {status} {answer.reason_phrase}"
        told = ProblemBody(title=answer.reason_phrase, status=status, detail=detail)
    name = told.request_id or answer.headers.get("X-Request-ID", "")
    if status in BUSY:
        return Busy(status, told.detail, name, _retry_after(answer))
    return ServiceProblem(status, told.detail, name)
