"""Middleware around every request: its id, its line in the log, its place in the figures."""

import logging
import re
import time
from uuid import uuid4

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from captionary.serving.logs import request_id
from captionary.serving.metrics import Metrics
from captionary.serving.problems import unforeseen

HEADER = "X-Request-ID"
ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{1,64}")

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines: logged only when they fail."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Counted by name; a method that somebody made up would be a new figure each time."""

GONE = 499
"""Whoever asked went away before all was said; a status that is counted and never sent."""

log = logging.getLogger("captionary")


class Requests:
    """Gives each request an id (its own, where it brings a fit one), logs and counts it.

    It also answers where nothing else did, so that a fault is told with its id too.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        name = given if ACCEPTABLE.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        token = request_id.set(name)
        start, status, answered = time.perf_counter(), 500, False

        async def marked(message: Message) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status, answered = message["status"], True
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        try:
            await self._app(scope, receive, marked)
        except ClientDisconnect:
            status = GONE
        except Exception:
            log.exception("fault")
            if answered:
                raise
            await unforeseen(Request(scope))(scope, receive, marked)
        finally:
            self._tell(scope, status, time.perf_counter() - start)
            request_id.reset(token)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.answered(method, route, status, seconds)
        if route in QUIET and status < 500:
            return
        said = {"method": scope["method"], "path": scope["path"], "status": status}
        log.info("request", extra={**said, "seconds": round(seconds, 4)})
