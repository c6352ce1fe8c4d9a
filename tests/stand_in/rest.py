"""The REST routes that qdrant-client uses, with bodies checked by its own models."""

import hmac
import time
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel
from qdrant_client.http import models as api
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.stand_in.shards import MAX_QUERY_LIMIT, Shards
from tests.stand_in.translation import Refused

MAX_BYTES = 32 * 1024 * 1024
VERSION = {"title": "qdrant - vector search engine", "version": "1.20.0"}


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request, and the bytes of its body."""

    method: str
    path: str
    size: int


@dataclass
class Gateway:
    """Checks requests before the routes: the key, the bytes, faults that a test plans.

    faults: statuses of the next responses; None lets a request through.
    delay:  seconds before every response.
    """

    api_key: str | None = None
    requests: list[ReceivedRequest] = field(default_factory=list)
    faults: list[int | None] = field(default_factory=list)
    delay: float = 0.0

    def refuse(self, scope: Scope) -> PlainTextResponse | None:
        headers = dict(scope["headers"])
        size = int(headers.get(b"content-length", b"0"))
        self.requests.append(ReceivedRequest(scope["method"], scope["path"], size))
        time.sleep(self.delay)
        if self.faults and (status := self.faults.pop(0)) is not None:
            return PlainTextResponse("planned", status)
        key = headers.get(b"api-key", b"")
        if self.api_key is not None and not hmac.compare_digest(key, self.api_key.encode()):
            return PlainTextResponse(
                "Must provide an API key or an Authorization bearer token", 401
            )
        return PlainTextResponse("too large", 413) if size > MAX_BYTES else None


@dataclass(frozen=True, slots=True)
class GuardedApp:
    """An app behind a gateway."""

    app: ASGIApp
    gateway: Gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self.gateway.refuse(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)


def respond(result: Any) -> JSONResponse:
    """A result in Qdrant's envelope."""
    return JSONResponse({"result": _plain(result), "status": "ok", "time": 0.0})


def _plain(result: Any) -> Any:
    if isinstance(result, BaseModel):
        return result.model_dump(mode="json")
    return [_plain(item) for item in result] if isinstance(result, list) else result


def _error_response(status: int, reason: str) -> JSONResponse:
    return JSONResponse({"status": {"error": reason}, "time": 0.0}, status)


STRICT = {"enabled": True, "max_query_limit": MAX_QUERY_LIMIT}
"""Strict mode, as managed servers have it."""

DONE = api.UpdateResult(operation_id=0, status=api.UpdateStatus.COMPLETED)


def build_app(shards: Shards, gateway: Gateway) -> ASGIApp:
    """The app over some collections."""
    app = FastAPI(openapi_url=None)

    @app.exception_handler(Refused)
    def refused(_request: Request, error: Refused) -> JSONResponse:
        return _error_response(error.status, str(error))

    @app.exception_handler(RequestValidationError)
    def malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
        return _error_response(400, f"Format error in JSON body: {error.errors()[:1]}")

    @app.get("/")
    def version() -> dict[str, str]:
        return VERSION

    _add_collections(app, shards)
    _add_writing(app, shards)
    _add_reading(app, shards)
    return GuardedApp(app, gateway)


def _add_collections(app: FastAPI, shards: Shards) -> None:
    @app.get("/collections")
    def names() -> JSONResponse:
        return respond({"collections": [{"name": name} for name in shards.names()]})

    @app.get("/collections/{name}/exists")
    def exists(name: str) -> JSONResponse:
        return respond({"exists": name in shards})

    @app.get("/collections/{name}")
    def info(name: str) -> JSONResponse:
        return respond(describe(shards, name))

    @app.put("/collections/{name}")
    def create(name: str, body: api.CreateCollection) -> JSONResponse:
        shards.create(name, body)
        return respond(True)

    @app.delete("/collections/{name}")
    def delete(name: str) -> JSONResponse:
        return respond(shards.delete(name))

    @app.put("/collections/{name}/index")
    def index(name: str, body: api.CreateFieldIndex) -> JSONResponse:
        shards[name].index(body)
        return respond(DONE)


def _add_writing(app: FastAPI, shards: Shards) -> None:
    @app.put("/collections/{name}/points")
    def upsert(name: str, body: api.PointsList, *, wait: bool = False) -> JSONResponse:
        _require_wait(wait)
        shards[name].upsert(body.points)
        return respond(DONE)

    @app.post("/collections/{name}/points/batch")
    def batch(name: str, body: api.UpdateOperations, *, wait: bool = False) -> JSONResponse:
        _require_wait(wait)
        for operation in body.operations:
            shards[name].apply(operation)
        return respond([DONE] * len(body.operations))

    @app.post("/collections/{name}/points/delete")
    def delete(
        name: str, body: Annotated[api.PointsSelector, Body()], *, wait: bool = False
    ) -> JSONResponse:
        _require_wait(wait)
        shards[name].delete(body)
        return respond(DONE)


def _require_wait(wait: bool) -> None:
    if not wait:
        raise Refused(400, "the dictionary promises what it has written; it must wait")


def _add_reading(app: FastAPI, shards: Shards) -> None:
    @app.post("/collections/{name}/points")
    def retrieve(name: str, body: api.PointRequest) -> JSONResponse:
        return respond(shards[name].retrieve(body))

    @app.post("/collections/{name}/points/scroll")
    def scroll(name: str, body: api.ScrollRequest) -> JSONResponse:
        return respond(shards[name].scroll(body))

    @app.post("/collections/{name}/points/count")
    def count(name: str, body: api.CountRequest) -> JSONResponse:
        return respond(shards[name].count(body))

    @app.post("/collections/{name}/points/query/batch")
    def query(name: str, body: api.QueryRequestBatch) -> JSONResponse:
        return respond(shards[name].query(body.searches))

    @app.post("/collections/{name}/facet")
    def facet(name: str, body: api.FacetRequest) -> JSONResponse:
        return respond(shards[name].facet(body))


def describe(shards: Shards, name: str) -> dict[str, Any]:
    """A collection with its settings, as far as the client gave them."""
    shard = shards[name]
    wanted = shard.wanted.model_dump(mode="json", exclude_none=True)
    return {
        "status": "green",
        "optimizer_status": "ok",
        "points_count": shard.points(),
        "segments_count": 1,
        "config": {
            "params": {
                key: wanted[key]
                for key in (
                    "vectors",
                    "shard_number",
                    "replication_factor",
                    "write_consistency_factor",
                    "on_disk_payload",
                )
                if key in wanted
            },
            "hnsw_config": {"m": 0, "ef_construct": 100, "full_scan_threshold": 10000},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 1,
                "flush_interval_sec": 5,
                **wanted.get("optimizers_config", {}),
            },
            "strict_mode_config": STRICT,
        },
        "payload_schema": shard.schema(),
    }
