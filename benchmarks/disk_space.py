"""Bytes that an embedded store takes on the disk, by operation: what its margins are made from.

`python -m benchmarks.disk_space FOLDER [--dim 512] [--look-dim 0] [--payload 1] [--operations 20]`,
FOLDER on the disk that is meant: a tmpfs fills holes also where they are read. --payload: KB of
each point's.
"""

import argparse
import multiprocessing
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np

from captionary.schemas.vectors import unit
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.edge_collection import WRITE_PAGE
from captionary.vocabulary.engines.edge_folder import allocated
from captionary.vocabulary.engines.engine import Point


def points(dims: tuple[int, int], payload: int, *, seed: int) -> list[Point]:
    """As many points as are written in one operation."""
    chance = np.random.default_rng(seed)
    vectors, looks = (
        list(unit(chance.normal(size=(WRITE_PAGE, dim)).astype(np.float32))) if dim else None
        for dim in dims
    )
    assert vectors is not None
    text = os.urandom(512 * payload).hex()
    nouns = {"noun": ["dog", "tree"], "source": "", "tags": []}
    return [
        Point(
            uuid4(),
            {**nouns, "image_id": str(number), "text": text},
            vectors[number],
            None if looks is None else looks[number],
        )
        for number in range(WRITE_PAGE)
    ]


def taken(store: Path, work: Callable[[], object]) -> float:
    """Megabytes (2**20) by which a store grows."""
    before = allocated(store)
    work()
    return (allocated(store) - before) / 2**20


def write_and_die(store: Path, dims: tuple[int, int], payload: int) -> None:
    """Write, tell nobody, and be killed: what is in the log is not in the segments for certain."""
    collection = EdgeEngine(store).collection("regions")
    for number in range(4):
        collection.upsert(points(dims, payload, seed=number))
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--look-dim", type=int, default=0)
    parser.add_argument("--payload", type=int, default=1)
    parser.add_argument("--operations", type=int, default=20)
    options = parser.parse_args()
    store, payload = options.folder / "store", options.payload
    dims = (options.dim, options.look_dim)
    engine = EdgeEngine(store)
    engine.create(dim=options.dim, look_dim=options.look_dim)
    engine.write_meta({"dim": options.dim, "look_dim": options.look_dim})
    print(f"an empty store: {allocated(store) / 2**20:.1f} MB")
    collection = engine.collection("regions")
    grown: list[float] = []
    for number in range(options.operations):
        grown.append(taken(store, partial(collection.upsert, points(dims, payload, seed=number))))
    print(
        f"an operation of {WRITE_PAGE} points: {np.median(grown):.1f} MB, at most {max(grown):.1f}"
    )
    print(f"all of it: {allocated(store) / 2**20:.0f} MB")
    print(f"closing: {taken(store, engine.close):.1f} MB")
    opened: list[EdgeEngine] = []
    print(f"opening: {taken(store, lambda: opened.append(EdgeEngine(store))):.1f} MB")
    opened.pop().close()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=write_and_die, args=(store, dims, payload))
    process.start()
    process.join()
    logs = allocated(store / "regions" / "wal") / 2**20
    opening = taken(store, lambda: opened.append(EdgeEngine(store)))
    print(f"opening after a kill: {opening:.1f} MB, with {logs:.0f} MB of log")
    opened.pop().close()


if __name__ == "__main__":
    main()
