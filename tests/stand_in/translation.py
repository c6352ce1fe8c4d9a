"""From the models of qdrant-client to the objects of Qdrant Edge, and records back."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge
from qdrant_client.http import models as api

DATATYPES = {
    None: None,
    api.Datatype.FLOAT16: edge.VectorStorageDatatype.Float16,
}


class Refused(Exception):
    """What the server does not do, with the status it answers."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def edge_id(given: Any) -> Any:
    """Ids come as text in JSON, as UUID from Python."""
    return given if isinstance(given, int) else UUID(str(given))


def config_of(wanted: api.CreateCollection) -> edge.EdgeConfig:
    """The settings of a shard: those that the client asks for, or a refusal."""
    hnsw, optimizers = wanted.hnsw_config, wanted.optimizers_config
    assert hnsw is not None
    assert hnsw.m is not None
    settings: dict[str, Any] = {
        "optimizers": edge.EdgeOptimizersConfig(
            indexing_threshold=optimizers.indexing_threshold if optimizers else None,
            default_segment_number=1,
        ),
        "on_disk_payload": wanted.on_disk_payload,
        "wal_enabled": True,
    }
    if not wanted.vectors:
        # Edge insists on some vector; a sparse one that no point has costs nothing.
        sparse = {"none": edge.EdgeSparseVectorParams()}
        return edge.EdgeConfig(sparse_vectors=sparse, **settings)
    assert isinstance(wanted.vectors, dict)
    vectors = {
        name: edge.EdgeVectorParams(
            size=of.size,
            distance=getattr(edge.Distance, of.distance),
            datatype=DATATYPES[of.datatype],
        )
        for name, of in wanted.vectors.items()
    }
    # Edge takes no smaller values; without a graph they say nothing.
    graph = edge.HnswIndexConfig(m=hnsw.m, ef_construct=4, full_scan_threshold=10)
    return edge.EdgeConfig(vectors=vectors, hnsw_config=graph, **settings)


def index_of(schema: Any) -> Any:
    """The settings of a payload index."""
    if isinstance(schema, api.KeywordIndexParams):
        return edge.KeywordIndexParams(is_tenant=schema.is_tenant)
    if isinstance(schema, api.IntegerIndexParams):
        return edge.IntegerIndexParams(lookup=schema.lookup, range=schema.range)
    raise Refused(400, f"the stand-in has no index {schema!r}")


def filter_of(given: api.Filter | None) -> edge.Filter:
    """A filter of conditions that a field has one of some values; none: everything."""
    if given is None:
        return edge.Filter()
    if given.should or given.min_should:
        raise Refused(400, "the stand-in filters by must and must_not only")
    return edge.Filter(must=_conditions(given.must), must_not=_conditions(given.must_not))


def _conditions(given: Any) -> list[Any]:
    listed = given if isinstance(given, list) else [] if given is None else [given]
    return [_condition(item) for item in listed]


def _condition(given: Any) -> edge.FieldCondition:
    if not isinstance(given, api.FieldCondition):
        raise Refused(400, f"the stand-in knows conditions on fields only, got {given!r}")
    if isinstance(given.match, api.MatchAny):
        values: Any = list(given.match.any)
        return edge.FieldCondition(given.key, match=edge.MatchAny(values))
    raise Refused(400, f"the stand-in matches any of some values only, got {given.match!r}")


def selected(given: Any) -> Any:
    """Which parts of the payload, or which vectors, are asked for."""
    return given.include if isinstance(given, api.PayloadSelectorInclude) else given


def edge_point(point: api.PointStruct) -> edge.Point:
    """A point to be written."""
    vectors: Any = point.vector
    return edge.Point(edge_id(point.id), vectors, point.payload or {})


def record_of(found: Any) -> api.Record:
    """A point that was read."""
    return api.Record(id=str(found.id), payload=found.payload, vector=_vectors(found.vector))


def _vectors(found: Any) -> Any:
    if not isinstance(found, dict):
        return None
    return {name: np.asarray(row, np.float32).tolist() for name, row in found.items()}


def hits_of(found: Sequence[Any]) -> api.QueryResponse:
    """What one query found."""
    points = [
        api.ScoredPoint(id=str(point.id), version=point.version, score=point.score)
        for point in found
    ]
    return api.QueryResponse(points=points)


def query_of(given: api.QueryRequest) -> edge.QueryRequest:
    """A search for what is nearest to a vector."""
    query = given.query.nearest if isinstance(given.query, api.NearestQuery) else given.query
    if not isinstance(query, list) or given.params is None or not given.params.exact:
        raise Refused(400, "the stand-in searches exactly for what is nearest to a vector only")
    return edge.QueryRequest(
        limit=given.limit or 10,
        query=edge.Query.Nearest(query, using=given.using),
        filter=filter_of(given.filter),
        with_payload=bool(given.with_payload),
        with_vector=bool(given.with_vector),
        params=edge.SearchParams(exact=True),
    )
