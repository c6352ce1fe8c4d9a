"""Guard against cross-site requests and DNS rebinding, for services that run without API keys.

A browser sends a form to any address for any page that it shows, this machine's among them, without
asking first (cross-site request forgery). And a page's name may be made to mean this machine, after
it was loaded from another (DNS rebinding), so that the page counts as the service's own.
"""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal, TypeAlias

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from captionary.serving.addresses import DEFAULT_PORTS, split_url
from captionary.serving.api_keys import Keys, is_loopback
from captionary.serving.problems import problem_response

GuardMode: TypeAlias = Literal["host and origin", "origin", "off"]
"""What is checked: that Host is this machine (against DNS rebinding) and Origin is the service's
own (against cross-site requests); Origin alone; or nothing, because keys say who may do what."""


def choose_guard_mode(keys: Keys, *, allow_network: bool) -> GuardMode:
    """The strictest mode that suits a service.

    allow_network: other machines may use it too, so Host may be any name.
    """
    if keys.any:
        return "off"
    return "origin" if allow_network else "host and origin"


class CrossOriginGuard:
    """Middleware that refuses cross-origin requests, and hosts other than this machine (403).

    origins: cross-origin web pages that are allowed; "*" for all.
    """

    def __init__(self, app: ASGIApp, *, mode: GuardMode, origins: Sequence[str]) -> None:
        self._app = app
        self._mode = mode
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        response = problem_response(Request(scope), HTTPStatus.FORBIDDEN, refusal)
        await response(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        """Why a request is refused; None: it is not."""
        if self._mode == "off":
            return None
        host = headers.get("Host", "")
        hostname = split_url(f"//{host}").hostname or ""
        if self._mode == "host and origin" and not is_loopback(hostname):
            return (
                f"the host {host[:80]!r} is not this machine; ask 127.0.0.1, or have the service "
                "started with API keys or --open"
            )
        # Browsers send Origin with every cross-origin form; other clients send none.
        origin = headers.get("Origin")
        if origin is None or origin in self._origins or "*" in self._origins:
            return None
        if not _is_same_origin(origin, host):
            return (
                f"the web page {origin[:80]!r} may not use this service; whoever runs it can name "
                "it in CAPTIONARY_ORIGINS"
            )
        return None


def _is_same_origin(origin: str, host: str) -> bool:
    """Whether a page comes from the host that the request goes to."""
    page = split_url(origin)
    if page.scheme not in DEFAULT_PORTS:
        return False
    # A service behind a proxy does not know whether it was reached by https; the page's own scheme
    # stands in for it, and only tells what port is meant where none is written.
    target = split_url(f"{page.scheme}://{host}")
    default = DEFAULT_PORTS[page.scheme]
    return bool(page.hostname) and (page.hostname, page.port or default) == (
        target.hostname,
        target.port or default,
    )
