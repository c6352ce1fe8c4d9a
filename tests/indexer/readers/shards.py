"""Shards in WebDataset's layout, as tests need them."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path


def write_shard(path: Path, files: Mapping[str, bytes]) -> Path:
    """Write a tar file of these files, in their order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path
