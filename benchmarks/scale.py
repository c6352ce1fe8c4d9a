"""How the dictionary grows: writing, learning and reading it at N regions.

`python -m benchmarks.scale --regions 100000 [--json FILE] [--store ADDRESS]`. The pictures are made
up, of real structure: REGIONS regions each, NAMED nouns of a Zipf vocabulary, each noun with a few
looks, other regions of things that no caption names, and a part that all regions share. Times of
single changes are medians. The store is new, and left where `--store` names it.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from rich.console import Console

from captionary.cli.progress import bars
from captionary.indexer.refresh import Refresher
from captionary.schemas.arrays import Vectors
from captionary.schemas.dictionary import Picture
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import unit
from captionary.vision.pictures.thumbnails import thumbnail
from captionary.vocabulary.engines.choice import open_engine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary

T = TypeVar("T")

REGIONS, NAMED, NOUNS, LOOKS = 60, 5, 5000, 3
UNNAMED = 500
"""Things that pictures show and captions do not name."""

BATCH = 16
SINGLE, HUNDRED, QUERIES, EXACT = 7, 100, 200, 50
NEAREST = 20


class MadeUpWorld:
    """Pictures by number, and the words of their nouns: a TextEncoder."""

    def __init__(self, dim: int, seed: int = 0) -> None:
        self.dim = dim
        rng = np.random.default_rng(seed)
        self._seed = seed
        self._words = unit(rng.normal(size=(NOUNS, dim)).astype(np.float32))
        turned = rng.normal(size=(NOUNS, LOOKS, dim)).astype(np.float32) / np.sqrt(dim)
        self._looks = self._words[:, None] + turned
        self._unnamed = rng.normal(size=(UNNAMED, dim)).astype(np.float32) / np.sqrt(dim)
        self._common = 2 * unit(rng.normal(size=(1, dim)).astype(np.float32))
        pixels = rng.integers(256, size=(12, 16, 3), dtype=np.uint8)
        self._thumbnail = thumbnail(pixels.repeat(8, 0).repeat(8, 1))
        frequency = 1 / np.arange(1, NOUNS + 1)
        self._frequency = frequency / frequency.sum()

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        """The words of nouns."""
        del templates
        return self._words[[int(name.removeprefix("noun")) for name in names]]

    def nouns(self, rng: np.random.Generator, count: int) -> list[int]:
        """Nouns as captions have them: few often, most of them seldom."""
        return [int(n) for n in rng.choice(NOUNS, count, replace=False, p=self._frequency)]

    def picture(self, number: int) -> tuple[Picture, RegionTable]:
        """A picture with its regions."""
        rng = np.random.default_rng([self._seed, number])
        nouns = self.nouns(rng, NAMED)
        names = tuple(f"noun{n}" for n in nouns)
        shown = [self._looks[n, rng.integers(LOOKS)] for n in nouns for _ in range(2)]
        rest = self._unnamed[rng.integers(UNNAMED, size=REGIONS - len(shown))]
        noise = rng.normal(size=(REGIONS, self.dim)).astype(np.float32) / np.sqrt(self.dim)
        vectors = unit(np.concatenate([np.stack(shown), rest]) + 0.7 * noise + self._common)
        boxes = np.tile(np.array([1, 2, 300, 400], np.int32), (REGIONS, 1))
        areas = rng.uniform(0.03, 0.3, REGIONS).astype(np.float32)
        picture = Picture(
            id=f"picture {number}",
            image=f"{number}.jpg",
            sha256=f"{number:064x}",
            size_hw=(480, 640),
            captions=(" ".join(names),),
            nouns=(names,),
            regions=REGIONS,
            thumbnail=self._thumbnail,
        )
        return picture, RegionTable(vectors, boxes, areas)


def timed(work: Callable[[], T]) -> tuple[float, T]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def milliseconds(work: Callable[[int], object], count: int) -> list[float]:
    """How long each of some calls takes, sorted."""
    return sorted(timed(partial(work, number))[0] * 1e3 for number in range(count))


class Measured:
    """One dictionary that grows; every part adds its figures."""

    def __init__(self, dictionary: StoredDictionary, world: MadeUpWorld) -> None:
        self.figures: dict[str, float] = {}
        self._stored, self._world = dictionary, world
        self._refresher = Refresher(dictionary, world)
        self._next = 0

    def _new(self, count: int) -> list[tuple[Picture, RegionTable]]:
        numbers = range(self._next, self._next + count)
        self._next += count
        return [self._world.picture(number) for number in numbers]

    def ingest(self, pictures: int) -> None:
        """Write pictures, and make all nouns for the first time."""
        seconds = 0.0
        with bars(Console(stderr=True)) as shown:
            bar = shown.add("regions written", pictures * REGIONS)
            for start in range(0, pictures, BATCH):
                items = self._new(min(BATCH, pictures - start))
                seconds += timed(partial(self._stored.add, items))[0]
                bar.show((start + len(items)) * REGIONS)
            self.figures["ingest_regions_per_s"] = pictures * REGIONS / seconds
            refresh = partial(self._refresher.refresh, shown.add("nouns made").show)
            self.figures["all_nouns_s"] = timed(refresh)[0]

    def learn(self) -> None:
        """Add one picture, and a hundred, until their nouns can be used."""

        def add(count: int) -> float:
            items = self._new(count)
            nouns = sorted({noun for picture, _ in items for noun in picture.all_nouns})

            def learned() -> None:
                self._stored.add(items)
                self._refresher.refresh()
                Retriever(self._stored).matrix(nouns)

            return timed(learned)[0]

        self.figures["one_caption_s"] = median(add(1) for _ in range(SINGLE))
        self.figures["hundred_pairs_s"] = add(HUNDRED)

    def read(self) -> None:
        """Ask for near regions: of a noun, and of any."""
        retriever, rng = Retriever(self._stored), np.random.default_rng(1)
        queries = np.concatenate(
            [self._world.picture(10**9 + n)[1].vectors[:1] for n in range(QUERIES)]
        )
        nouns = [f"noun{self._world.nouns(rng, 1)[0]}" for _ in range(QUERIES)]
        retriever.noun_index()
        found = milliseconds(
            lambda n: retriever.nearest_regions(queries[n], limit=NEAREST, noun=nouns[n]), QUERIES
        )
        self.figures["retrieval_p50_ms"] = found[QUERIES // 2]
        self.figures["retrieval_p95_ms"] = found[QUERIES * 95 // 100]
        found = milliseconds(lambda n: retriever.nearest_regions(queries[n], limit=NEAREST), EXACT)
        self.figures["neighbours_p50_ms"] = found[EXACT // 2]
        self.figures["recall_at_20"] = self._recall(retriever, queries[:EXACT])
        self.figures["stats_ms"] = timed(self._stored.stats)[0] * 1e3
        self.figures["entries_ms"] = timed(self._stored.entries)[0] * 1e3

    def _recall(self, retriever: Retriever, queries: Vectors) -> float:
        """Share of the nearest regions that are found, by a scan of all in numpy."""
        best = np.full((len(queries), NEAREST), -np.inf, np.float32)
        for vectors in self._all_vectors():
            both = np.concatenate([best, queries @ vectors.T], axis=1)
            best = -np.partition(-both, NEAREST - 1, axis=1)[:, :NEAREST]
        edge = best.min(axis=1) - 1e-6
        found = [
            sum(
                near.similarity >= edge[n]
                for near in retriever.nearest_regions(query, limit=NEAREST)
            )
            for n, query in enumerate(queries)
        ]
        return float(np.mean(found) / NEAREST)

    def _all_vectors(self) -> Iterator[Vectors]:
        page: list[Vectors] = []
        for point in self._stored.engine.collection("regions").scroll(fields=[], with_vectors=True):
            assert point.vector is not None
            page.append(point.vector[None])
            if len(page) == 10_000:
                yield np.concatenate(page)
                page = []
        if page:
            yield np.concatenate(page)


def on_disk(folder: Path) -> int:
    """Bytes that a folder takes on the disk, holes in its files not counted."""
    return sum(path.stat().st_blocks for path in folder.rglob("*")) * 512


def resident_mb() -> float:
    """Memory of this process that is in use at present."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(store: str, *, pictures: int, dim: int) -> dict[str, float]:
    with StoredDictionary(open_engine(store), fingerprint="made up", dim=dim) as dictionary:
        measured = Measured(dictionary, MadeUpWorld(dim))
        measured.ingest(pictures)
        measured.learn()
        measured.read()
        measured.figures["rss_mb"] = resident_mb()
    if Path(store).is_dir():
        measured.figures["bytes_per_region"] = on_disk(Path(store)) / (pictures * REGIONS)
    return measured.figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regions", type=int, default=10_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--store", help="a new folder or a server's address")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = options.store or f"{folder}/store"
        figures = measure(store, pictures=max(1, options.regions // REGIONS), dim=options.dim)
    for name, figure in figures.items():
        print(f"{name:<24}{figure:>14,.4g}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
