"""Dictionaries on a Qdrant server or cluster, over HTTP or gRPC.

A dictionary NAME is four collections, so that several share a server: `NAME.pictures`,
`NAME.regions`, `NAME.prototypes` as in a folder, and `NAME.meta`, whose one point holds what the
store says of itself. `NAME.meta` is made first: it vouches that the others are a dictionary's.

Settings are those of the embedded engine, for its reasons (see edge.py): no HNSW graph, as every
query is exact and filtered; dot product, so that vectors come back bit for bit. A write is
acknowledged by all replicas, or else a reader might be answered by one that lacks it.
"""

import ssl
from typing import Any
from uuid import UUID

from qdrant_client import QdrantClient
from qdrant_client import models as api

from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.vocabulary.engines.engine import (
    CORRECTED,
    COUNTED,
    HALF,
    INTEGERS,
    KEYWORDS,
    NAMES,
    TENANT,
    CollectionName,
    Payload,
    Point,
    Sizes,
    look_dim_of,
    vector_sizes,
)
from captionary.vocabulary.engines.server_address import ServerAddress
from captionary.vocabulary.engines.server_collection import ServerCollection
from captionary.vocabulary.engines.server_requests import NotFound, ServerRequests
from captionary.vocabulary.engines.server_settings import ServerSettings

FORMAT = 1
RETRIES = 4
"""Times that a request is made again when its failure may pass."""

META_POINT = UUID("6d657461-0000-5000-8000-000000000000")


class ServerEngine:
    """An Engine on a server; safe between threads. One process at a time may write.

    Raises:
        WrongInput: the address is none, the key is refused, it is no Qdrant server.
        StoreUnreachable: it does not answer.
    """

    def __init__(self, address: str, settings: ServerSettings, *, retries: int = RETRIES) -> None:
        self._address = ServerAddress.parse(address)
        self._settings = settings
        port = f" (gRPC, port {settings.grpc_port})" if settings.grpc else ""
        self._request = ServerRequests(
            f"{self._address.url}{port}",
            [_client(url, settings) for url in self._address.urls],
            with_key=settings.api_key is not None,
            retries=retries,
            timeout=settings.timeout,
        )
        self._open: dict[CollectionName, ServerCollection] = {}
        try:
            if (meta := self.read_meta()) is not None:
                self._load(int(meta["dim"]), look_dim_of(meta))
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """The URL, with the name of the dictionary."""
        return str(self._address)

    def create(self, *, dim: int, look_dim: int = 0) -> None:
        """Make the collections, on top of whatever a cut-short creation left.

        Raises:
            WrongInput: collections of these names are there, but not of a dictionary, or with
                points: then the meta point was lost, not the dictionary.
        """
        if self.read_meta() is not None:
            raise CaptionaryError(f"the store {self.address} exists already")
        self._make_meta()
        self._refuse_points()
        for name in NAMES:
            sizes = vector_sizes(name, dim=dim, look_dim=look_dim)
            self._request(self._create, self._full(name), _params(name, sizes))
            for key in KEYWORDS[name]:
                self._index(name, key, _keyword(is_tenant=key == TENANT))
            for key in INTEGERS[name]:
                self._index(name, key, _integer(ordered=True))
            for key in COUNTED[name]:
                self._index(name, key, _integer(ordered=False))
        self._load(dim, look_dim)

    def index_corrected(self) -> None:
        """Make the fields known that corrections bring."""
        for name in NAMES:
            for key in CORRECTED[name]:
                self._index(name, key, _keyword())

    def read_meta(self) -> Payload | None:
        """What the store says of itself.

        Raises:
            WrongInput: it was written by a later version.
        """
        try:
            found = self._meta().retrieve([META_POINT])
        except NotFound:
            return None
        if not found:
            return None
        meta = found[0].payload
        if meta.pop("format", None) != FORMAT:
            raise WrongInput(
                f"the store {self.address} is not of format {FORMAT}; "
                "use the release that made it, or index into a new one"
            )
        return meta

    def check_writable(self) -> None:
        """Nothing: a server says so when it is written to."""

    def write_meta(self, meta: Payload) -> None:
        """Replace the meta point."""
        self._meta().upsert([Point(META_POINT, {**meta, "format": FORMAT})])

    def collection(self, name: CollectionName) -> ServerCollection:
        """One of the collections."""
        if name not in self._open:
            raise CaptionaryError(f"the store {self.address} is closed, or was never made")
        return self._open[name]

    def close(self) -> None:
        """Let go of the connections."""
        self._open.clear()
        self._request.close()

    def _full(self, name: str) -> str:
        return f"{self._address.name}.{name}"

    def _meta(self) -> ServerCollection:
        return ServerCollection(self._request, self._full("meta"), {})

    def _load(self, dim: int, look_dim: int) -> None:
        for name in NAMES:
            sizes = vector_sizes(name, dim=dim, look_dim=look_dim)
            self._open[name] = ServerCollection(self._request, self._full(name), sizes)

    def _make_meta(self) -> None:
        """Make the collection of the meta point, or know by it that a creation was cut short."""
        if self._exists("meta"):
            return
        if found := [self._full(name) for name in NAMES if self._exists(name)]:
            raise WrongInput(
                f"the server {self._address.url} has a collection {found[0]!r} that is not of a "
                f"dictionary; give another name, as in --store {self._address.url}/NAME"
            )
        self._request(self._create, self._full("meta"), {})

    def _refuse_points(self) -> None:
        """Spare what is no rest of a creation: that writes points only after the meta point."""
        for name in NAMES:
            if not self._exists(name):
                continue
            counted: api.CountResult = self._request(
                QdrantClient.count, self._full(name), exact=True
            )
            if counted.count:
                raise WrongInput(
                    f"the store {self.address} has {counted.count:,} {name} but has lost its "
                    f"{self._full('meta')!r}; restore that collection too, or give another --store"
                )

    def _exists(self, name: str) -> bool:
        return self._request(QdrantClient.collection_exists, self._full(name))

    def _create(
        self, client: QdrantClient, collection: str, vectors: dict[str, api.VectorParams]
    ) -> None:
        # Deleted by the same call, so that it may be made again when its answer was lost.
        client.delete_collection(collection)
        client.create_collection(
            collection,
            vectors_config=vectors,
            shard_number=self._settings.shards,
            replication_factor=self._settings.replicas,
            write_consistency_factor=self._settings.replicas,
            on_disk_payload=True,
            hnsw_config=api.HnswConfigDiff(m=0),
            optimizers_config=api.OptimizersConfigDiff(indexing_threshold=0),
        )

    def _index(
        self,
        name: CollectionName,
        key: str,
        params: api.KeywordIndexParams | api.IntegerIndexParams,
    ) -> None:
        self._request(
            QdrantClient.create_payload_index,
            self._full(name),
            field_name=key,
            field_schema=params,
            wait=True,
        )


def _keyword(*, is_tenant: bool = False) -> api.KeywordIndexParams:
    return api.KeywordIndexParams(type=api.KeywordIndexType.KEYWORD, is_tenant=is_tenant)


def _integer(*, ordered: bool) -> api.IntegerIndexParams:
    kind = api.IntegerIndexType.INTEGER
    return api.IntegerIndexParams(type=kind, lookup=not ordered, range=ordered)


def _params(collection: CollectionName, sizes: Sizes) -> dict[str, api.VectorParams]:
    """The settings of the vectors of a collection."""
    return {
        name: api.VectorParams(
            size=size,
            distance=api.Distance.DOT,
            datatype=api.Datatype.FLOAT16 if (collection, name) in HALF else None,
        )
        for name, size in sizes.items()
    }


def _client(url: str, settings: ServerSettings) -> QdrantClient:
    """A client of the server; it makes no connection yet.

    The key goes by a header: given as `api_key`, the client warns of every connection without TLS.
    """
    key = settings.api_key
    options: dict[str, Any] = {}
    if settings.ca is not None:
        try:
            options["verify"] = ssl.create_default_context(cafile=settings.ca)
            options["grpc_options"] = {"root_certificates": settings.ca.read_bytes()}
        except OSError as error:
            raise WrongInput(
                f"cannot read certificates from {settings.ca} ({error.strerror or error}); "
                "change CAPTIONARY_QDRANT_CA"
            ) from error
    return QdrantClient(
        url,
        grpc_port=settings.grpc_port,
        prefer_grpc=settings.grpc,
        timeout=int(-(-settings.timeout // 1)),
        headers=None if key is None else {"api-key": key.get_secret_value()},
        check_compatibility=False,
        **options,
    )
