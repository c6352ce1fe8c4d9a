"""Bytes that an embedded store takes on the disk, by operation: what its margins are made from.

`python -m benchmarks.disk_space FOLDER [--dim 512] [--payload 1] [--operations 20]`, FOLDER on the
disk that is meant: a tmpfs fills holes also where they are read. --payload: KB of each point's.
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

from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.edge_collection import WRITE_PAGE
from captionary.vocabulary.engines.edge_folder import allocated
from captionary.vocabulary.engines.engine import Point


def points(dim: int, payload: int, *, seed: int) -> list[Point]:
    """As many points as are written in one operation."""
    chance = np.random.default_rng(seed)
    raw = chance.normal(size=(WRITE_PAGE, dim)).astype(np.float32)
    vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    text = os.urandom(512 * payload).hex()
    nouns = {"noun": ["dog", "tree"], "source": "", "tags": []}
    return [
        Point(uuid4(), {**nouns, "image_id": str(number), "text": text}, vector)
        for number, vector in enumerate(vectors)
    ]


def taken(store: Path, work: Callable[[], object]) -> float:
    """Megabytes (2**20) by which a store grows."""
    before = allocated(store)
    work()
    return (allocated(store) - before) / 2**20


def write_and_die(store: Path, dim: int, payload: int) -> None:
    """Write, tell nobody, and be killed: what is in the log is not in the segments for certain."""
    collection = EdgeEngine(store).collection("regions")
    for number in range(4):
        collection.upsert(points(dim, payload, seed=number))
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--payload", type=int, default=1)
    parser.add_argument("--operations", type=int, default=20)
    options = parser.parse_args()
    store, dim, payload = options.folder / "store", options.dim, options.payload
    engine = EdgeEngine(store)
    engine.create(dim=dim)
    engine.write_meta({"dim": dim})
    print(f"an empty store: {allocated(store) / 2**20:.1f} MB")
    collection = engine.collection("regions")
    grown: list[float] = []
    for number in range(options.operations):
        grown.append(taken(store, partial(collection.upsert, points(dim, payload, seed=number))))
    print(
        f"an operation of {WRITE_PAGE} points: {np.median(grown):.1f} MB, at most {max(grown):.1f}"
    )
    print(f"all of it: {allocated(store) / 2**20:.0f} MB")
    print(f"closing: {taken(store, engine.close):.1f} MB")
    opened: list[EdgeEngine] = []
    print(f"opening: {taken(store, lambda: opened.append(EdgeEngine(store))):.1f} MB")
    opened.pop().close()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=write_and_die, args=(store, dim, payload))
    process.start()
    process.join()
    logs = allocated(store / "regions" / "wal") / 2**20
    opening = taken(store, lambda: opened.append(EdgeEngine(store)))
    print(f"opening after a kill: {opening:.1f} MB, with {logs:.0f} MB of log")
    opened.pop().close()


if __name__ == "__main__":
    main()
