"""The collections of the stand-in: an Edge shard and a description each, in folders."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import qdrant_edge as edge
from qdrant_client.http import models as api

from tests.stand_in.translation import (
    Refused,
    config_of,
    edge_id,
    edge_point,
    filter_of,
    hits_of,
    index_of,
    query_of,
    record_of,
    selected,
)

DESCRIPTION = "collection.json"

MAX_QUERY_LIMIT = 1000


@contextmanager
def refusals() -> Iterator[None]:
    """What Edge refuses, as the server would answer it."""
    try:
        yield
    except (Refused, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise Refused(400, f"Wrong input: {error}") from error


class Shard:
    """One collection; a request at a time."""

    def __init__(self, shard: edge.EdgeShard, wanted: api.CreateCollection) -> None:
        self._shard = shard
        self._lock = Lock()
        self.wanted = wanted

    def index(self, wanted: api.CreateFieldIndex) -> None:
        operation = edge.UpdateOperation.create_field_index
        self._update(lambda: operation(wanted.field_name, index_of(wanted.field_schema)))

    def upsert(self, points: Sequence[api.PointStruct]) -> None:
        self._update(lambda: edge.UpdateOperation.upsert_points([edge_point(p) for p in points]))

    def delete(self, which: api.PointsSelector) -> None:
        if isinstance(which, api.FilterSelector):
            chosen = filter_of(which.filter)
            self._update(lambda: edge.UpdateOperation.delete_points_by_filter(chosen))
            return
        ids = [edge_id(name) for name in which.points]
        self._update(lambda: edge.UpdateOperation.delete_points(ids))

    def set_payload(self, change: api.SetPayload) -> None:
        names = [edge_id(name) for name in change.points or ()]
        with self._lock, refusals():
            there = {record.id for record in self._shard.retrieve(names, False, False)}
            for name in names:
                if name not in there:
                    raise Refused(404, f"Not found: No point with id {name} found")
            self._shard.update(edge.UpdateOperation.set_payload(names, change.payload))

    def apply(self, operation: api.UpdateOperation) -> None:
        """One operation of a batch."""
        if isinstance(operation, api.SetPayloadOperation):
            self.set_payload(operation.set_payload)
        else:
            raise Refused(400, f"the stand-in does not do {operation!r} in a batch")

    def retrieve(self, wanted: api.PointRequest) -> list[api.Record]:
        names = [edge_id(name) for name in wanted.ids]
        payload = True if wanted.with_payload is None else selected(wanted.with_payload)
        with self._lock, refusals():
            found = self._shard.retrieve(names, payload, selected(wanted.with_vector) or False)
        return [record_of(record) for record in found]

    def scroll(self, wanted: api.ScrollRequest) -> api.ScrollResult:
        order = None
        if isinstance(wanted.order_by, api.OrderBy):
            order = edge.OrderBy(wanted.order_by.key, edge.Direction.Asc)
        request = edge.ScrollRequest(
            offset=None if wanted.offset is None else edge_id(wanted.offset),
            limit=within(wanted.limit or 10),
            filter=filter_of(wanted.filter),
            with_payload=True if wanted.with_payload is None else selected(wanted.with_payload),
            with_vector=selected(wanted.with_vector) or False,
            order_by=order,
        )
        with self._lock, refusals():
            found, after = self._shard.scroll(request)
        records = [record_of(record) for record in found]
        return api.ScrollResult(
            points=records, next_page_offset=None if after is None else str(after)
        )

    def count(self, wanted: api.CountRequest) -> api.CountResult:
        request = edge.CountRequest(exact=bool(wanted.exact), filter=filter_of(wanted.filter))
        with self._lock, refusals():
            return api.CountResult(count=self._shard.count(request))

    def facet(self, wanted: api.FacetRequest) -> api.FacetResponse:
        limit, exact = within(wanted.limit or 10), bool(wanted.exact)
        request = edge.FacetRequest(
            wanted.key, limit=limit, exact=exact, filter=filter_of(wanted.filter)
        )
        with self._lock, refusals():
            hits = [
                api.FacetValueHit(value=hit.value, count=hit.count)
                for hit in self._shard.facet(request)
            ]
        return api.FacetResponse(hits=hits)

    def query(self, wanted: Sequence[api.QueryRequest]) -> list[api.QueryResponse]:
        for request in wanted:
            within(request.limit or 10)
        requests = [query_of(request) for request in wanted]
        with self._lock, refusals():
            found = self._shard.query_batch(edge.QueryBatchRequest(requests))
        return [hits_of(points) for points in found]

    def points(self) -> int:
        return self.count(api.CountRequest(exact=True)).count

    def schema(self) -> dict[str, Any]:
        """The payload indexes, with how they were asked for."""
        with self._lock:
            found = self._shard.info().payload_schema
        return {
            name: {"data_type": str(of.data_type).rpartition(".")[2].lower(), "points": of.points}
            for name, of in found.items()
        }

    def close(self) -> None:
        with self._lock:
            self._shard.close()

    def _update(self, make: Callable[[], Any]) -> None:
        with self._lock, refusals():
            self._shard.update(make())


def within(limit: int) -> int:
    """A limit that strict mode lets through."""
    if limit > MAX_QUERY_LIMIT:
        raise Refused(400, f'Limit exceeded {limit} > {MAX_QUERY_LIMIT} for "limit"')
    return limit


class Shards:
    """All collections of a folder; those whose making was cut short are not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._open: dict[str, Shard] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(folder.iterdir()):
            if not (path / DESCRIPTION).exists():
                shutil.rmtree(path)
                continue
            wanted = api.CreateCollection(**json.loads((path / DESCRIPTION).read_text()))
            self._open[path.name] = Shard(edge.EdgeShard.load(str(path / "shard")), wanted)

    def names(self) -> list[str]:
        return sorted(self._open)

    def __contains__(self, name: str) -> bool:
        return name in self._open

    def __getitem__(self, name: str) -> Shard:
        if name not in self._open:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        return self._open[name]

    def create(self, name: str, wanted: api.CreateCollection) -> None:
        with self._lock:
            if name in self._open:
                raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
            path = self._folder / name
            path.mkdir()
            (path / "shard").mkdir()
            shard = edge.EdgeShard.create(str(path / "shard"), config_of(wanted))
            (path / DESCRIPTION).write_text(wanted.model_dump_json(exclude_none=True))
            self._open[name] = Shard(shard, wanted)

    def delete(self, name: str) -> bool:
        with self._lock:
            if (shard := self._open.pop(name, None)) is None:
                return False
            (self._folder / name / DESCRIPTION).unlink()
            shard.close()
            shutil.rmtree(self._folder / name)
            return True

    def close(self) -> None:
        while self._open:
            self._open.popitem()[1].close()
