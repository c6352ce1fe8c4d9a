"""Requests to a Qdrant server, with retries, and their failures as errors of one line.

Every request of the dictionary is idempotent, so it is made again after any transient failure:
connections refused or lost, timeouts, and a server or proxy that says that it is busy.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
import httpx
from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from captionary.schemas.errors import (
    CaptionaryError,
    DiskFull,
    StoreUnreachable,
    WrongInput,
    one_line,
)

T = TypeVar("T")

TRANSIENT = frozenset({408, 429, 502, 503, 504})
NO_KEY = frozenset({401, 403})
MISSING = 404
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 5.0

GRPC_STATUS = {
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: MISSING,
}
"""The HTTP status that means the same; a gRPC failure without one is the server's own, 500."""


FAILURES = (ApiException, QdrantException, grpc.RpcError, json.JSONDecodeError)


class NotFound(CaptionaryError):
    """A Qdrant server says that a collection or a point is not there."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a request failed.

    status:  HTTP status, or the one that means the same; None: no response came.
    reason:  the server's error message, in one line.
    foreign: the response is not in Qdrant's form.
    wait:    seconds that the server asks to wait.
    """

    status: int | None
    reason: str
    foreign: bool = False
    wait: float = 0.0

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed a little later."""
        return (self.status is None or self.status in TRANSIENT) and not self.untrusted

    @property
    def untrusted(self) -> bool:
        """Whether the server's certificate is of an authority that is not known here."""
        return self.status is None and "CERTIFICATE_VERIFY_FAILED" in self.reason


@dataclass(slots=True)
class ServerRequests:
    """Makes requests to one server, or to whichever node of a cluster answers.

    server:  how messages call it.
    clients: of the nodes; each has everything, so another one is asked where one fails.
    with_key: whether requests carry an API key.
    retries: times that a request is made again, of each node.
    timeout: seconds after the first try in which another one may begin.
    """

    server: str
    clients: Sequence[QdrantClient]
    with_key: bool
    retries: int
    timeout: float
    _node: int = 0

    def __call__(self, call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Make a request, again and again with longer pauses while its failure may pass.

        Args:
            call: takes the client of a node, then the arguments.

        Raises:
            StoreUnreachable: it still fails.
            NotFound: the server has no such collection or point.
            WrongInput: the server takes another key, or is no Qdrant server.
            DiskFull: its disk is full.
            CaptionaryError: the server failed.
        """
        pause, end = FIRST_PAUSE, time.monotonic() + self.timeout
        nodes = len(self.clients)
        for left in range((self.retries + 1) * nodes - 1, -1, -1):
            node = self._node
            try:
                return call(self.clients[node], *args, **kwargs)
            except FAILURES as error:
                failure = classify(error)
                # Every other node is asked before there is a pause, however long this one took.
                seconds = 0.0 if left % nodes else min(max(pause, failure.wait), LONGEST_PAUSE)
                # A try that could only begin after the time is over is none.
                late = seconds > 0 and time.monotonic() + seconds >= end
                if not left or late or not failure.is_transient:
                    raise self._error(failure) from error
                # Unless another thread has moved on already.
                if self._node == node:
                    self._node = (node + 1) % nodes
            if seconds:
                time.sleep(seconds)
                pause *= 2
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Let go of the connections."""
        for client in self.clients:
            client.close()

    def _error(self, failure: Failure) -> CaptionaryError:
        if failure.status in NO_KEY:
            what = "refuses the API key" if self.with_key else "wants an API key"
            return WrongInput(
                f"the server {self.server} {what}; set CAPTIONARY_QDRANT_API_KEY to one that may "
                "do this"
            )
        if failure.untrusted:
            return WrongInput(
                f"the certificate of {self.server} is not trusted ({failure.reason}); name the "
                "file of its authority's in CAPTIONARY_QDRANT_CA"
            )
        if failure.is_transient:
            return StoreUnreachable(self.server, failure.reason)
        if failure.foreign:
            return WrongInput(
                f"{self.server} is no Qdrant server ({failure.reason}); check the address of "
                "--store, Qdrant's own port is 6333"
            )
        if "no space left" in failure.reason.lower():
            return DiskFull(f"the server {self.server}")
        kind = NotFound if failure.status == MISSING else CaptionaryError
        return kind(f"the server {self.server} failed: {failure.reason}")


def classify(error: Exception) -> Failure:
    """What an exception of the client means: status, reason, and whose fault it is."""
    if isinstance(error, ResourceExhaustedResponse):
        return Failure(429, one_line(str(error)), wait=error.retry_after_s)
    if isinstance(error, UnexpectedResponse):
        reason = _reason_in(error.content)
        status = f"status {error.status_code} {error.reason_phrase}".strip()
        # What stands before a server may fail or refuse bodies too, in words of its own.
        foreign = reason is None and (error.status_code or 0) < 500 and error.status_code != 413
        return Failure(error.status_code, one_line(reason or status), foreign)
    if isinstance(error, ResponseHandlingException):
        source = error.source
        if isinstance(source, httpx.TransportError):
            return Failure(None, one_line(str(source) or type(source).__name__))
    if isinstance(error, grpc.Call):
        return Failure(GRPC_STATUS.get(error.code(), 500), one_line(error.details() or "no reason"))
    return Failure(200, "its answer is not in Qdrant's form", foreign=True)


def _reason_in(content: bytes) -> str | None:
    """The error message in a response of Qdrant's form; None where it is in no such form."""
    try:
        status = json.loads(content)["status"]
        return str(status["error"])
    except (ValueError, LookupError, TypeError):
        return None
