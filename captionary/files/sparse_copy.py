"""Copying folders whose files have large holes."""

import os
from pathlib import Path

PIECE = 1 << 16
ZEROS = bytes(PIECE)


def copy_sparsely(source: Path, target: Path) -> None:
    """Copy a folder's files; what is zero in them takes no space in the copy.

    The copy belongs to who makes it and can be written, whatever the modes of the original.

    Raises:
        OSError: a file cannot be read, or the disk is full.
    """
    for folder, _, names in os.walk(source, onerror=_raise):
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            _copy_file(Path(folder, name), there / name)


def _raise(error: OSError) -> None:
    raise error


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb", buffering=0) as old, target.open("wb") as new:
        # Not by asking for holes: a store that was unpacked or copied carelessly has none left.
        while piece := old.read(PIECE):
            if piece == ZEROS:
                new.seek(len(piece), os.SEEK_CUR)
            else:
                new.write(piece)
        new.truncate(new.tell())
