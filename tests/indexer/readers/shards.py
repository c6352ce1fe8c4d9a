"""Shards in WebDataset's layout, as tests need them."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.vision.pictures.loading import read_picture_bytes
from tests.indexer.readers.sources import read


def write_shard(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a tar file of these files, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


ReadPair = tuple[str, bytes, tuple[str, ...]]
"""Where a pair stands, the bytes at its address, its captions."""


def read_back(source: Path | str) -> list[ReadPair | PairFailure]:
    """What a SOURCE yields, its pictures opened last first."""
    items = read(source)
    opened = {
        item.image: read_picture_bytes(item.image)
        for item in reversed(items)
        if isinstance(item, ImageCaption)
    }
    return [
        (item.where, opened[item.image], item.captions) if isinstance(item, ImageCaption) else item
        for item in items
    ]


def failures(source: Path | str) -> list[tuple[str, str]]:
    return [(item.where, item.reason) for item in read(source) if isinstance(item, PairFailure)]


def sample(number: int) -> dict[str, bytes]:
    return {
        f"{number:04}.jpg": b"picture %d" % number * 100,
        f"{number:04}.txt": b"dog number %d" % number,
    }


def pair(shard: str, number: int) -> ReadPair:
    return f"{shard}:{number:04}", b"picture %d" % number * 100, (f"dog number {number}",)


def numbered(folder: Path, shards: Sequence[str], *, samples: int = 3) -> list[ReadPair]:
    """Write shards of a few samples each; what is in them."""
    pairs = []
    for at, name in enumerate(shards):
        numbers = range(at * samples, (at + 1) * samples)
        write_shard(folder / name, {k: v for n in numbers for k, v in sample(n).items()})
        pairs += [pair(name, n) for n in numbers]
    return pairs
