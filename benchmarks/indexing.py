"""Speed and memory of indexing captioned pictures into an empty dictionary.

    python -m benchmarks.indexing CAPTIONS.jsonl --encoder E [--count 1000] [--shares 50]

First with one thread, for the share of each part; then with all, for pictures a second and for
memory. Where there are fewer pictures than asked for, they come again with a pixel changed, which
makes them new.
"""

import argparse
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import torch
from PIL import Image

from benchmarks.clock import Clock, print_shares
from benchmarks.timed_models import timed_models
from captionary.build import IndexingOptions, ModelNames, Parts
from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.readers import read_pairs
from captionary.indexer.records import EmbeddedPair, PairWithNouns
from captionary.indexer.refresh import Refresher
from captionary.schemas.jobs import Job
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.stored_dictionary import StoredDictionary

MARKS = (100, 300, 1000, 3000, 10_000)
"""Numbers of pictures after which memory is reported."""


class MeasuredIndexer(Indexer):
    """An indexer whose own work is charged to two parts."""

    clock: Clock

    def _process(self, item: PairWithNouns | PairFailure) -> EmbeddedPair | PairFailure:
        with self.clock.part("reading pictures"):
            return super()._process(item)

    def _store(
        self, batch: Sequence[EmbeddedPair | PairFailure], job: Job, replaced: set[int] | None
    ) -> Job:
        with self.clock.part("rest"):
            return super()._store(batch, job, replaced)


class MeasuredRefresher(Refresher):
    """A refresher whose parts are told apart from those of the pictures."""

    clock: Clock

    def refresh(self, report: Callable[[int, int], None] = lambda _done, _due: None) -> int:
        """Refresh, under the clock."""
        self.clock.phase = "nouns: "
        with self.clock.part("rest"):
            return super().refresh(report)


def endless(source: str, folder: Path) -> Iterator[ImageCaption]:
    """The pairs of a source, over and over, each time with other pixels."""
    for turn in count():
        for pair in read_pairs(source):
            if isinstance(pair, ImageCaption):
                yield pair if turn == 0 else altered(pair, turn, folder)


def altered(pair: ImageCaption, turn: int, folder: Path) -> ImageCaption:
    """The pair with another corner pixel, written as a new file."""
    path = folder / f"{turn}-{Path(pair.picture_name).name}"
    with Image.open(pair.picture_name) as picture:
        changed = picture.convert("RGB")
    changed.putpixel((0, 0), (turn % 256, turn // 256, 0))
    changed.save(path.with_suffix(".jpg"), quality=95)
    name = None if pair.id is None else f"{turn}-{pair.id}"
    return replace(pair, image=str(path.with_suffix(".jpg")), id=name)


def print_memory(label: str) -> None:
    """The process's own memory now, and its peak with the pages of the store's files.

    The system takes the store's pages back when it needs them, so only the first must stay flat.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    own = next((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), None)
    shown = "unknown" if own is None else f"{own:,.0f} MB"
    print(f"  {label:<24} own {shown:>9}, peak with mapped files {peak:>7,.0f} MB", flush=True)


def shares_part(models: ModelNames, source: str, *, count: int) -> None:
    clock = Clock()
    encoder, extractor = timed_models(models, clock)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        engine = clock.watch_engine("store", EdgeEngine(Path(folder) / "store"))
        dictionary = StoredDictionary(engine, fingerprint=extractor.fingerprint, dim=extractor.dim)
        refresher = MeasuredRefresher(dictionary, clock.watch("encoder of words", encoder))
        refresher.clock = clock
        indexer = MeasuredIndexer(
            dictionary,
            extractor,
            clock.watch("captions", NounExtractor()),
            refresher,
            workers=1,
        )
        indexer.clock = clock
        clock.seconds.clear()
        job = indexer.index(islice(endless(source, Path(folder)), count))
        dictionary.close()
    print(f"{count} pictures, {job.nouns} nouns, one thread; for each picture:")
    print_shares(clock, count=count)


def speed_part(models: ModelNames, source: str, *, count: int, workers: int | None) -> None:
    stored = [0, 0.0]
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        torch.set_num_threads(1)  # each worker has a core to itself
        with closing(Parts(store, models, IndexingOptions(workers=workers))) as parts:
            indexer = parts.indexer
            print(f"\n{count} pictures, {workers or 'all'} threads; memory of the process:")
            print_memory("models loaded")
            start = time.perf_counter()

            def report(job: Job) -> None:
                for mark in MARKS:
                    if stored[0] < mark <= job.pairs:
                        print_memory(f"{mark} pictures")
                stored[:] = job.pairs, time.perf_counter() - start

            job = indexer.index(islice(endless(source, Path(folder)), count), report=report)
            seconds = time.perf_counter() - start
            print_memory("nouns refreshed, end")
            regions = parts.stored.stats().regions
    print(f"cut, embedded and stored: {count / stored[1]:.2f} pictures/s, {regions:,} regions")
    print(f"nouns refreshed: {job.nouns:,} in {seconds - stored[1]:.1f} s")
    print(f"all: {count / seconds:.2f} pictures/s; {len(job.failures)} refused")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("captions", help="what 'captionary index' takes as SOURCE")
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--proposer")
    parser.add_argument("--embed")
    parser.add_argument("--looks")
    parser.add_argument("--count", type=int, default=1000, help="pictures, for speed and memory")
    parser.add_argument("--shares", type=int, default=50, help="pictures, for the shares")
    parser.add_argument("--workers", type=int, help="threads; one a core unless given")
    options = parser.parse_args()
    models = ModelNames(options.encoder, options.proposer, options.embed, options.looks)
    if options.shares:
        shares_part(models, options.captions, count=options.shares)
    if options.count:
        speed_part(models, options.captions, count=options.count, workers=options.workers)


if __name__ == "__main__":
    main()
