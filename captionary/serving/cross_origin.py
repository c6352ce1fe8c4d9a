"""Whose requests are heard while there are no keys: no web page's, other than the service's own.

A browser sends a form to any address for any page that it shows, this machine's among them, without
asking first. And a page's name may be made to mean this machine, after it was loaded from another.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from captionary.serving.api_keys import Keys, is_loopback
from captionary.serving.problems import problem

Guard: TypeAlias = Literal["loopback", "pages", "keys"]
"""Who is kept out: whoever asks for another host than this machine, and web pages of other
addresses; those pages only; or nobody, because keys say who may do what."""

USUAL_PORTS = {"http": 80, "https": 443}


def guard_for(keys: Keys, *, openly: bool) -> Guard:
    """What a service needs. openly: it is meant for other machines too, keys or not."""
    if keys.any:
        return "keys"
    return "pages" if openly else "loopback"


class Visitors:
    """Middleware that turns away whom a guard keeps out.

    origins: web pages of other addresses that may come all the same.
    """

    def __init__(self, app: ASGIApp, *, guard: Guard, origins: Sequence[str]) -> None:
        self._app = app
        self._guard = guard
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        wrong = self._wrong(Headers(scope=scope)) if scope["type"] == "http" else None
        if wrong is None:
            await self._app(scope, receive, send)
            return
        await problem(Request(scope), HTTPStatus.FORBIDDEN, wrong)(scope, receive, send)

    def _wrong(self, headers: Headers) -> str | None:
        """Why a request is not heard."""
        if self._guard == "keys":
            return None
        host = headers.get("Host", "")
        if self._guard == "loopback" and not is_loopback(_split(f"//{host}").hostname or ""):
            return (
                f"the host {host[:80]!r} is not this machine; ask 127.0.0.1, or have the service "
                "started with API keys or --open"
            )
        origin = headers.get("Origin")
        if origin is None or origin in self._origins or "*" in self._origins:
            return None
        if not _is_same(origin, host):
            return (
                f"the web page {origin[:80]!r} may not use this service; whoever runs it can name "
                "it in CAPTIONARY_ORIGINS"
            )
        return None


def _is_same(origin: str, host: str) -> bool:
    """Whether a page is of the host that it asks."""
    page = _split(origin)
    if page.scheme not in USUAL_PORTS:
        return False
    asked = _split(f"{page.scheme}://{host}")
    usual = USUAL_PORTS[page.scheme]
    return bool(page.hostname) and (page.hostname, page.port or usual) == (
        asked.hostname,
        asked.port or usual,
    )


def _split(address: str) -> SplitResult:
    """The parts of an address; none at all where it is no address."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises where it is none
    except ValueError:
        return urlsplit("")
    return parts
