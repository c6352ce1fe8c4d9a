"""Speed of the dictionary on a folder: writing, reading back, retrieval, and its size.

`python -m benchmarks.retrieval [--dim 512] [--prototypes 10000] [--pictures 200]`. Times are the
median of several runs; vectors are random, which exact search does not mind.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np

from captionary.schemas.arrays import Vectors
from captionary.schemas.dictionary import Picture, Prototype, TaggedRegion
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary

T = TypeVar("T")

REGIONS = 50
NOUNS = 60
PER_NOUN = 5
BATCH = 16
RUNS = 15


def unit(rows: int, dim: int, *, seed: int) -> Vectors:
    raw = np.random.default_rng(seed).normal(size=(rows, dim)).astype(np.float32)
    vectors: Vectors = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    return vectors


def picture(number: int) -> Picture:
    return Picture(
        id=f"picture {number}",
        image=f"{number}.jpg",
        sha256=f"{number:064x}",
        size_hw=(480, 640),
        captions=("a dog beside a tree",),
        nouns=(("dog", "tree"),),
        regions=REGIONS,
        thumbnail=bytes(6000),
    )


def table(number: int, dim: int) -> RegionTable:
    boxes = np.tile(np.array([1, 2, 300, 400], np.int32), (REGIONS, 1))
    areas = np.full(REGIONS, 0.1, np.float32)
    return RegionTable(unit(REGIONS, dim, seed=number), boxes, areas)


def prototypes(noun: int, dim: int) -> list[Prototype]:
    rows = unit(PER_NOUN, dim, seed=noun)
    return [Prototype(f"noun {noun}", k, row, 9, 0.1, "g", ()) for k, row in enumerate(rows)]


def timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def on_disk(folder: Path) -> float:
    """MB that the folder takes on the disk, holes in its files not counted."""
    return sum(path.stat().st_blocks for path in folder.rglob("*")) * 512 / 1e6


def report(what: str, figure: str) -> None:
    print(f"{what:<58}{figure:>16}", flush=True)


def pictures_part(dictionary: StoredDictionary, *, count: int, dim: int) -> None:
    items = [(picture(number), table(number, dim)) for number in range(count)]
    vectors = count * REGIONS

    def add() -> None:
        for start in range(0, count, BATCH):
            dictionary.add(items[start : start + BATCH])

    points = f"{vectors / timed(add)[0]:,.0f} points/s"
    report(f"add, {BATCH} pictures of {REGIONS} regions a flush", points)
    seconds, pictures = timed(lambda: list(dictionary.pictures(noun="dog")))
    report("pictures of a noun", f"{count / seconds:,.0f} /s")
    seconds = median(timed(lambda: dictionary.region_tables(pictures))[0] for _ in range(3))
    report("region_tables", f"{vectors / seconds:,.0f} vectors/s")
    tags = [TaggedRegion("dog", item.id, n % REGIONS, 0.3) for n, item in enumerate(pictures)]
    seconds, _ = timed(lambda: dictionary.tag("dog", tags))
    report("tag", f"{count / seconds:,.0f} regions/s")
    ids = dictionary.draw_sample()
    seconds, _ = timed(Retriever(dictionary).common_parts)
    report(f"common_parts, {len(ids)} pictures, first time", f"{seconds * 1e3:,.0f} ms")
    seconds, _ = timed(lambda: dictionary.settle([item.id for item in pictures]))
    report("settle", f"{count / seconds:,.0f} pictures/s")


def retrieval_part(dictionary: StoredDictionary, *, count: int, dim: int) -> None:
    nouns = count // PER_NOUN

    def replace() -> None:
        for noun in range(nouns):
            dictionary.replace_prototypes(f"noun {noun}", prototypes(noun, dim))

    report("replace_prototypes", f"{nouns / timed(replace)[0]:,.0f} nouns/s")
    retriever, queries = Retriever(dictionary), unit(REGIONS, dim, seed=99)
    wanted = [f"noun {n}" for n in range(0, nouns, max(nouns // NOUNS, 1))][:NOUNS]
    what = f"{REGIONS} regions x {len(wanted)} nouns of {count:,} prototypes"

    def similarities() -> Vectors:
        return queries @ retriever.matrix(wanted).vectors.T

    report(f"{what}, first time", f"{timed(similarities)[0] * 1e3:.1f} ms")
    seconds = median(timed(similarities)[0] for _ in range(RUNS))
    report(f"{what}, from memory", f"{seconds * 1e3:.2f} ms")
    seconds = median(
        timed(lambda: retriever.nearest_nouns(queries[0], limit=10))[0] for _ in range(RUNS)
    )
    report("nearest_nouns, 10 of all", f"{seconds * 1e3:.1f} ms")
    seconds = median(
        timed(lambda: retriever.nearest_regions(queries[0], limit=10))[0] for _ in range(RUNS)
    )
    report("nearest_regions, 10 of all", f"{seconds * 1e3:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--prototypes", type=int, default=10_000)
    parser.add_argument("--pictures", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        seconds, dictionary = timed(
            lambda: StoredDictionary(EdgeEngine(store), fingerprint="benchmark", dim=options.dim)
        )
        report("make a store", f"{seconds * 1e3:,.0f} ms")
        report("  empty, on disk", f"{on_disk(store):.1f} MB")
        with dictionary:
            pictures_part(dictionary, count=options.pictures, dim=options.dim)
            retrieval_part(dictionary, count=options.prototypes, dim=options.dim)
        report("  full, on disk", f"{on_disk(store):.1f} MB")
        seconds, dictionary = timed(
            lambda: StoredDictionary(EdgeEngine(store), fingerprint=None, dim=None)
        )
        dictionary.close()
        report("open it", f"{seconds * 1e3:,.0f} ms")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("peak memory of this process", f"{peak:,.0f} MB")


if __name__ == "__main__":
    main()
