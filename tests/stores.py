"""Copies of stores for tests that change them."""

import os
import shutil
from pathlib import Path


def copy_store(store: Path, target: Path) -> Path:
    """Copy a store's folder and keep the holes of its files.

    An engine reserves 32 MB for each of its logs and pages: a store of ten pictures takes 8 MB on
    the disk, and a plain copy of it, which writes all those zeros, 450 MB and half a second.
    """
    return Path(shutil.copytree(store, target, copy_function=_copy_with_holes))


def _copy_with_holes(source: str, target: str) -> None:
    with Path(source).open("rb") as old, Path(target).open("wb") as new:
        size = os.fstat(old.fileno()).st_size
        new.truncate(size)
        end = 0
        while end < size:
            try:
                start = os.lseek(old.fileno(), end, os.SEEK_DATA)
            except OSError:  # only a hole follows
                return
            end = os.lseek(old.fileno(), start, os.SEEK_HOLE)
            os.pwrite(new.fileno(), os.pread(old.fileno(), end - start, start), start)
