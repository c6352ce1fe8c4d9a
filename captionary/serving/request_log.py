"""Middleware around every request: its id, its line in the access log, its place in the metrics."""

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
from captionary.serving.problems import internal_error_response

HEADER = "X-Request-ID"
VALID_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

NOT_LOGGED = frozenset({"/healthz", "/readyz", "/metrics"})
"""Requested every few seconds by probes: logged only when they fail."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Counted by name; every method that a client makes up would be a new time series."""

CLIENT_CLOSED_REQUEST = 499
"""The client disconnected before the response; a status that is counted and never sent."""

log = logging.getLogger("captionary")


class RequestLog:
    """Middleware that gives each request an id (its own, where it brings a valid one) and logs it.

    It also answers unforeseen errors, so that their responses carry the id too.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get(HEADER, "")
        name = sent_id if VALID_ID.fullmatch(sent_id) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        token = request_id.set(name)
        start, status, started = time.perf_counter(), 500, False

        async def send_with_id(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:
            status = CLIENT_CLOSED_REQUEST
        except Exception:
            log.exception("fault")
            # Half a response cannot be taken back: the server cuts the connection.
            if started:
                raise
            await internal_error_response(Request(scope))(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - start)
            request_id.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.count_request(method, route, status, seconds)
        if route in NOT_LOGGED and status < 500:
            return
        fields = {"method": scope["method"], "path": scope["path"], "status": status}
        log.info("request", extra={**fields, "seconds": round(seconds, 4)})
