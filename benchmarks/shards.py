"""Training from WebDataset shards: listing them, what a pair takes in memory, drawing a caption.

    python -m benchmarks.shards [--samples 50000] [--count 5]

The shards are made up: tiny files in the layout of img2dataset, a picture, a text and a JSON file
a sample, each with a PAX header for its time. Beside them stand Python's own `tarfile`, which reads
headers only, and the pairs as objects, as other SOURCEs are held. Times are of the processor, so
that the disk does not count.
"""

import argparse
import io
import json
import tarfile
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from captionary.indexer.readers import local_shards, read_pairs
from captionary.indexer.readers.shard_pairs import index_shards
from captionary.indexer.readers.tar_headers import read_members
from captionary.learning.data.examples import group_by_picture
from captionary.schemas.pairs import ImageCaption

T = TypeVar("T")

PICTURE = 3000  # bytes
DRAWN = 10_000


def write_shard(path: Path, *, first: int, samples: int) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(first, first + samples):
            caption = f"photo number {number}: a dog beside a tree, and nobody near"
            said = {"caption": caption, "key": f"{number:09}", "sha256": "0" * 64, "width": 256}
            files = {".jpg": bytes(PICTURE), ".json": json.dumps(said).encode()}
            for kind, content in {**files, ".txt": caption.encode()}.items():
                info = tarfile.TarInfo(f"{number:09}{kind}")
                info.size, info.mtime = len(content), 1.7e9 + 0.5
                tar.addfile(info, io.BytesIO(content))


def measured(label: str, work: Callable[[], T], *, count: int) -> T:
    """Do some work, and print how long it took for each of `count`."""
    start = time.process_time()
    result = work()
    microseconds = (time.process_time() - start) * 1e6 / count
    print(f"  {label:<44}{microseconds:>9.1f} us", flush=True)
    return result


def held(label: str, work: Callable[[], T], *, count: int) -> None:
    """Do some work, and print how many bytes its result holds for each of `count`."""
    tracemalloc.start()
    result = work()
    size, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del result
    print(f"  {label:<44}{size / count:>9.0f} bytes, {peak / count:.0f} while listing", flush=True)


def by_tarfile(shards: list[str]) -> None:
    for shard in shards:
        with tarfile.open(shard) as tar:
            for _ in tar:
                pass


def by_header(shards: list[str]) -> None:
    for shard in shards:
        with Path(shard).open("rb") as file:
            for _ in read_members(file, shard):
                pass


def objects(source: str) -> list[ImageCaption]:
    return group_by_picture(item for item in read_pairs(source) if isinstance(item, ImageCaption))


def report(folder: Path, *, samples: int) -> None:
    shards, lists = local_shards(str(folder)), folder / "lists"
    print(f"{samples:,} samples in {len(shards)} shards; for each sample:")
    measured("headers by tarfile", lambda: by_tarfile(shards), count=samples)
    measured("headers here", lambda: by_header(shards), count=samples)
    measured("listing as objects", lambda: objects(str(folder)), count=samples)

    def listed() -> object:
        return index_shards(shards, folder=lists)

    measured("listing as arrays, and keeping the lists", listed, count=samples)
    measured("reading the lists", listed, count=samples)
    pairs = index_shards(shards, folder=lists).pairs
    order = np.random.default_rng(0).integers(samples, size=DRAWN).tolist()
    measured("drawing a caption", lambda: [pairs[index] for index in order], count=DRAWN)
    held("as objects", lambda: objects(str(folder)), count=samples)
    held("as arrays", lambda: index_shards(shards, folder=lists), count=samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--samples", type=int, default=50_000)
    parser.add_argument("--count", type=int, default=5, help="shards")
    options = parser.parse_args()
    each = options.samples // options.count
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.count):
            write_shard(Path(folder) / f"{number:05}.tar", first=number * each, samples=each)
        report(Path(folder), samples=each * options.count)


if __name__ == "__main__":
    main()
