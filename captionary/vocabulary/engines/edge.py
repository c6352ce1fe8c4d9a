"""Qdrant Edge, the engine in process, on a folder. Making and opening its shards.

Settings, as measured on 2 cores (see benchmarks/retrieval.py):

- No HNSW graph (m=0, no indexing): queries for prototypes are filtered to a few nouns and exact,
  which a scan of the filtered points answers as fast as a graph, while building one for 10,000
  points took 14 s with Python standing still. What is left for `optimize` is to drop deleted points
  where they are more than a fifth; `close` has it do that (24,000 points, 18,000 deleted: 0.3 s).
- Dot product, not cosine: vectors arrive with unit length, and are then stored bit for bit.
- Looks of regions are kept in half precision: values that it has come back bit for bit; a query is
  rounded to it as well, and scores are within 1e-6 of those by float64.
- The write-ahead log is on: what an `update` acknowledged survives `kill -9`; `flush` is what makes
  it survive a power cut, and costs about 0.1 s.
- An empty store takes about 0.5 MB of disk (400 MB in sparse files).
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import qdrant_edge as edge

from captionary.files.free_space import free_space
from captionary.schemas.errors import CaptionaryError, DiskFull, StoreInUse, WrongInput
from captionary.vocabulary.engines.edge_collection import EdgeCollection, engine_errors
from captionary.vocabulary.engines.edge_folder import StoreFolder, damaged, file_errors
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
    Sizes,
    look_dim_of,
    vector_sizes,
)


class EdgeEngine:
    """An Engine on a folder, open in one process at a time; never use it in a forked child.

    Args:
        folder: the store. One that cannot be written is read from a copy.
        free:   tells the bytes that are free on the disk of a path.

    Raises:
        WrongInput: the folder is not a store, or is damaged.
        StoreInUse: another process has it open.
        DiskFull: there is too little space to open it.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, free: Callable[[Path], int] = free_space
    ) -> None:
        self._folder = StoreFolder(Path(folder), free=free)
        self._open: dict[CollectionName, EdgeCollection] = {}
        try:
            if (meta := self._folder.read_meta()) is not None:
                self._load(int(meta["dim"]), look_dim_of(meta))
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """The folder."""
        return str(self._folder.path)

    def create(self, *, dim: int, look_dim: int = 0) -> None:
        """Make the three collections, on top of whatever a cut-short creation left."""
        self._folder.check_writable()
        self._folder.lock()
        if self.read_meta() is not None:
            raise CaptionaryError(f"the store {self.address} exists already")
        for name in NAMES:
            # A rest of a creation that was cut short; the meta file would say otherwise.
            self._folder.clear(name)
            with engine_errors(self._folder.path):
                sizes = vector_sizes(name, dim=dim, look_dim=look_dim)
                self._open[name] = self._created(name, sizes)
            self._open[name].flush()

    def index_corrected(self) -> None:
        """Make the fields known that corrections bring."""
        for name, collection in self._open.items():
            for field in CORRECTED[name]:
                collection.index_keyword(field)

    def check_writable(self) -> None:
        """Check that there is room for another operation, and that the folder can be written."""
        self._folder.check_writable()

    def read_meta(self) -> Payload | None:
        """What the store says of itself."""
        return self._folder.read_meta()

    def write_meta(self, meta: Payload) -> None:
        """Replace the meta file."""
        self._folder.write_meta(meta)

    def collection(self, name: CollectionName) -> EdgeCollection:
        """One of the collections."""
        if name not in self._open:
            raise CaptionaryError(f"the store {self.address} is closed, or was never made")
        return self._open[name]

    def close(self) -> None:
        """Flush, close the shards, let go of the lock."""
        try:
            # All are closed, also where one fails; its error comes out at the end.
            with ExitStack() as closing:
                while self._open:
                    closing.callback(self._open.popitem()[1].close)
        finally:
            self._folder.unlock()

    def _created(self, name: CollectionName, sizes: Sizes) -> EdgeCollection:
        path = self._folder.path / name
        with file_errors(self._folder.path):
            path.mkdir()
        shard = edge.EdgeShard.create(str(path), _config(name, sizes))
        for field in KEYWORDS[name]:
            index = edge.KeywordIndexParams(is_tenant=field == TENANT)
            shard.update(edge.UpdateOperation.create_field_index(field, index))
        for field in INTEGERS[name]:
            order = edge.IntegerIndexParams(lookup=False, range=True)
            shard.update(edge.UpdateOperation.create_field_index(field, order))
        for field in COUNTED[name]:
            counted = edge.IntegerIndexParams(lookup=True, range=False)
            shard.update(edge.UpdateOperation.create_field_index(field, counted))
        return EdgeCollection(self._folder, name, shard, sizes)

    def _load(self, dim: int, look_dim: int) -> None:
        self._folder.prepare_shards()
        for name in NAMES:
            path = self._folder.shards / name
            # The engine itself opens a shard that lost its segments as an empty one.
            if not (path / "wal").is_dir() or not any((path / "segments").glob("*")):
                raise WrongInput(damaged(self._folder.path, f"{name}/ is incomplete"))
            try:
                with engine_errors(path):
                    shard = edge.EdgeShard.load(str(path))
            except DiskFull:
                raise
            except CaptionaryError as error:
                # The engine has a lock of its own, for programs that do not know ours.
                if "WouldBlock" in str(error):
                    raise StoreInUse(self.address) from error
                raise WrongInput(damaged(self._folder.path, str(error))) from error
            sizes = vector_sizes(name, dim=dim, look_dim=look_dim)
            self._open[name] = EdgeCollection(self._folder, name, shard, sizes)


def _config(collection: CollectionName, sizes: Sizes) -> edge.EdgeConfig:
    optimizers = edge.EdgeOptimizersConfig(indexing_threshold=0, default_segment_number=1)
    if not sizes:
        # The engine insists on some vector; a sparse one that no point has costs nothing.
        return edge.EdgeConfig(
            sparse_vectors={"none": edge.EdgeSparseVectorParams()},
            optimizers=optimizers,
            wal_enabled=True,
        )
    halves = edge.VectorStorageDatatype.Float16
    return edge.EdgeConfig(
        vectors={
            name: edge.EdgeVectorParams(
                size=size,
                distance=edge.Distance.Dot,
                datatype=halves if (collection, name) in HALF else None,
            )
            for name, size in sizes.items()
        },
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=4, full_scan_threshold=10),
        optimizers=optimizers,
        wal_enabled=True,
    )
