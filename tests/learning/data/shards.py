"""Shards of pairs that are told apart by their numbers."""

import io
from pathlib import Path

from PIL import Image

from tests.indexer.readers.shards import write_shard


def write_numbered_shards(folder: Path, samples: int, shards: int = 3) -> None:
    """Write pairs 0, 1, 2, ... into shards, as many into each."""
    each = samples // shards
    for shard in range(shards):
        files: dict[str, bytes] = {}
        for number in range(shard * each, shard * each + each):
            png = io.BytesIO()
            Image.new("RGB", (2, 2), (number, 0, 0)).save(png, "PNG")
            files[f"{number:03}.png"] = png.getvalue()
            files[f"{number:03}.txt"] = b"dog \n number  %d\n dog" % number
        write_shard(folder / f"{shard}.tar", files)
