"""The gRPC calls that qdrant-client makes, translated by its own conversions to those of REST."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from qdrant_client import grpc as rpc
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc.collections_service_pb2_grpc import (
    CollectionsServicer,
    add_CollectionsServicer_to_server,
)
from qdrant_client.grpc.points_service_pb2_grpc import (
    PointsServicer,
    add_PointsServicer_to_server,
)
from qdrant_client.http import models as api

from tests.stand_in.rest import DONE, Gateway
from tests.stand_in.shards import MAX_QUERY_LIMIT, Shards
from tests.stand_in.translation import Refused

CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
}


class Interceptor(grpc.ServerInterceptor):  # type: ignore[misc]
    """Checks the key, and answers what the stand-in refuses with the code that the server has."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        found = continuation(details)
        given = dict(details.invocation_metadata).get("api-key")

        def answered(request: Any, context: Any) -> Any:
            if self._gateway.api_key not in (None, given):
                context.abort(CODES[401], "Must provide an API key")
            try:
                return found.unary_unary(request, context)
            except Refused as error:
                context.abort(CODES[error.status], str(error))

        return grpc.unary_unary_rpc_method_handler(
            answered,
            request_deserializer=found.request_deserializer,
            response_serializer=found.response_serializer,
        )


class Collections(CollectionsServicer):
    """The calls about whole collections."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def CollectionExists(self, request: Any, _context: Any) -> Any:
        there = rpc.CollectionExists(exists=request.collection_name in self._shards)
        return rpc.CollectionExistsResponse(result=there)

    def Get(self, request: Any, _context: Any) -> Any:
        settings = rpc.CollectionConfig(
            hnsw_config=rpc.HnswConfigDiff(m=0, ef_construct=100, full_scan_threshold=10000),
            optimizer_config=rpc.OptimizersConfigDiff(
                deleted_threshold=0.2,
                vacuum_min_vector_number=1000,
                default_segment_number=1,
                flush_interval_sec=5,
            ),
            wal_config=rpc.WalConfigDiff(wal_capacity_mb=32, wal_segments_ahead=0),
            strict_mode_config=rpc.StrictModeConfig(enabled=True, max_query_limit=MAX_QUERY_LIMIT),
        )
        found = rpc.CollectionInfo(
            status=rpc.CollectionStatus.Green,
            optimizer_status=rpc.OptimizerStatus(ok=True),
            points_count=self._shards[request.collection_name].points(),
            config=settings,
        )
        return rpc.GetCollectionInfoResponse(result=found)

    def Create(self, request: Any, _context: Any) -> Any:
        wanted = api.CreateCollection(
            vectors=GrpcToRest.convert_vectors_config(request.vectors_config),
            shard_number=request.shard_number if request.HasField("shard_number") else None,
            replication_factor=request.replication_factor,
            write_consistency_factor=request.write_consistency_factor,
            on_disk_payload=request.on_disk_payload,
            hnsw_config=GrpcToRest.convert_hnsw_config_diff(request.hnsw_config),
            optimizers_config=GrpcToRest.convert_optimizers_config_diff(request.optimizers_config),
        )
        self._shards.create(request.collection_name, wanted)
        return rpc.CollectionOperationResponse(result=True)

    def Delete(self, request: Any, _context: Any) -> Any:
        gone = self._shards.delete(request.collection_name)
        return rpc.CollectionOperationResponse(result=gone)


class Points(PointsServicer):
    """The calls about points."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def CreateFieldIndex(self, request: Any, _context: Any) -> Any:
        schema = GrpcToRest.convert_payload_schema_params(request.field_index_params)
        wanted = api.CreateFieldIndex(field_name=request.field_name, field_schema=schema)
        self._shards[request.collection_name].index(wanted)
        return _done()

    def Upsert(self, request: Any, _context: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self._shards[request.collection_name].upsert(points)
        return _done()

    def Delete(self, request: Any, _context: Any) -> Any:
        which = GrpcToRest.convert_points_selector(request.points)
        self._shards[request.collection_name].delete(which)
        return _done()

    def UpdateBatch(self, request: Any, _context: Any) -> Any:
        for operation in request.operations:
            change = GrpcToRest.convert_points_update_operation(operation)
            self._shards[request.collection_name].apply(change)
        done = [RestToGrpc.convert_update_result(DONE) for _ in request.operations]
        return rpc.UpdateBatchResponse(result=done)

    def Get(self, request: Any, _context: Any) -> Any:
        wanted = api.PointRequest(
            ids=[GrpcToRest.convert_point_id(name) for name in request.ids],
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vector=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        found = self._shards[request.collection_name].retrieve(wanted)
        return rpc.GetResponse(result=[_record(record) for record in found])

    def Scroll(self, request: Any, _context: Any) -> Any:
        order = request.order_by if request.HasField("order_by") else None
        after = request.offset if request.HasField("offset") else None
        wanted = api.ScrollRequest(
            offset=None if after is None else GrpcToRest.convert_point_id(after),
            limit=request.limit,
            filter=GrpcToRest.convert_filter(request.filter),
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vector=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
            order_by=None if order is None else GrpcToRest.convert_order_by(order),
        )
        found = self._shards[request.collection_name].scroll(wanted)
        following = found.next_page_offset
        return rpc.ScrollResponse(
            result=[_record(record) for record in found.points],
            next_page_offset=None
            if following is None
            else RestToGrpc.convert_extended_point_id(following),
        )

    def Count(self, request: Any, _context: Any) -> Any:
        wanted = api.CountRequest(
            filter=GrpcToRest.convert_filter(request.filter), exact=request.exact
        )
        found = self._shards[request.collection_name].count(wanted)
        return rpc.CountResponse(result=rpc.CountResult(count=found.count))

    def QueryBatch(self, request: Any, _context: Any) -> Any:
        wanted = [GrpcToRest.convert_query_points(query) for query in request.query_points]
        found = self._shards[request.collection_name].query(wanted)
        results = [
            rpc.BatchResult(result=[RestToGrpc.convert_scored_point(hit) for hit in answer.points])
            for answer in found
        ]
        return rpc.QueryBatchResponse(result=results)

    def Facet(self, request: Any, _context: Any) -> Any:
        wanted = api.FacetRequest(
            key=request.key,
            limit=request.limit,
            filter=GrpcToRest.convert_filter(request.filter),
            exact=request.exact,
        )
        found = self._shards[request.collection_name].facet(wanted)
        hits = [RestToGrpc.convert_facet_value_hit(hit) for hit in found.hits]
        return rpc.FacetResponse(hits=hits)


def _record(record: api.Record) -> Any:
    return RestToGrpc.convert_record(record.model_copy(update={"payload": record.payload or {}}))


def _done() -> Any:
    return rpc.PointsOperationResponse(result=RestToGrpc.convert_update_result(DONE))


@contextmanager
def listening(shards: Shards, gateway: Gateway) -> Iterator[int]:
    """Answer gRPC on a free port of 127.0.0.1, which is yielded."""
    server = grpc.server(
        ThreadPoolExecutor(4),
        interceptors=[Interceptor(gateway)],
        options=[("grpc.max_receive_message_length", -1)],
    )
    add_CollectionsServicer_to_server(Collections(shards), server)  # type: ignore[no-untyped-call]
    add_PointsServicer_to_server(Points(shards), server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield int(port)
    finally:
        server.stop(None).wait()
