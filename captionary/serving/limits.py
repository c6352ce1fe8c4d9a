"""Limits on what one request may bring, and the middleware that holds bodies to theirs."""

from dataclasses import dataclass
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from captionary.serving.problems import Problem


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may bring.

    body:    bytes.
    pixels:  of a picture.
    classes: class names, with their synonyms.
    pairs:   captioned pictures.
    """

    body: int = 32 << 20
    pixels: int = 50_000_000
    classes: int = 500
    pairs: int = 1000


class BodyLimit:
    """Middleware that refuses a request whose body is too large (413).

    By its Content-Length before any of it is read; without one, or with a wrong one, as soon as
    more has arrived than may.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        declared_too_large = length.isdigit() and int(length) > self._limit
        received = 0

        # Raised where the app reads its body, so that the app's own error handlers answer.
        async def counted() -> Message:
            nonlocal received
            if declared_too_large:
                raise self._problem()
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._problem()
            return message

        await self._app(scope, counted, send)

    def _problem(self) -> Problem:
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the request is larger than {self._limit:,} bytes; send less at a time",
            # What was not read of the body would be taken for the next request.
            headers={"Connection": "close"},
        )
