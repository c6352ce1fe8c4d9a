"""Writing a file so that a reader, or a crash, finds the old content or the new, never a part."""

import os
import secrets
from collections.abc import Callable
from glob import escape
from pathlib import Path
from typing import IO


def write_atomically(
    path: Path, content: bytes | Callable[[IO[bytes]], object], *, durable: bool = True
) -> None:
    """Write a file beside its place, then rename it into place.

    Args:
        path:    the file; its folder exists.
        content: the bytes, or a function that writes them into the open file.
        durable: return only when a power cut would not lose the file. It costs some milliseconds,
            which is much for thousands of small files that can be made again.

    Raises:
        OSError: the disk is full, or the folder cannot be written; nothing is left behind.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def remove_drafts(path: Path) -> None:
    """Remove what killed writers have left of a file; only for who alone writes it."""
    for draft in path.parent.glob(f".{escape(path.name)}.*.part"):
        draft.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Return when the names of all files in a folder would survive a power cut.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
