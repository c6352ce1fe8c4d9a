"""The folder where pictures wait to be indexed: whole and safe before their job is accepted."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import uuid4

from captionary.files.atomic import sync_folder
from captionary.files.free_space import disk_full, free_space
from captionary.schemas.errors import CaptionaryError, DiskFull

KEPT_FREE = 16 << 20
"""Bytes of the disk that pictures leave to the queue's own file."""


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A file of the spool; sha256: of its bytes, hexadecimal."""

    name: str
    bytes: int
    sha256: str


class Spool:
    """Files with random names, each of them written once.

    free: tells the bytes that are free on the disk of a path.

    Its methods raise CaptionaryError where the folder cannot be used, and DiskFull where its disk
    is full.
    """

    def __init__(self, folder: Path, *, free: Callable[[Path], int] = free_space) -> None:
        self._folder = folder
        self._free = free

    def open(self) -> None:
        """Make the folder."""
        with self._errors():
            self._folder.mkdir(parents=True, exist_ok=True)

    def remove_orphans(self, needed: Collection[str]) -> None:
        """Remove the files that a killed process left, which no queued pair needs."""
        with self._errors():
            self.remove(path.name for path in self._folder.iterdir() if path.name not in needed)

    def path(self, name: str) -> Path:
        """Where a file is."""
        return self._folder / name

    def write(self, pieces: Iterable[bytes]) -> SpooledFile:
        """Write a new file; what is written of it is removed when its pieces break off."""
        name, size, digest = uuid4().hex, 0, hashlib.sha256()
        with self._errors():
            try:
                with self.path(name).open("xb") as file:
                    for piece in pieces:
                        digest.update(piece)
                        size += file.write(piece)
                    file.flush()
                    # The content now; the names of all files of a request by one `sync`.
                    os.fsync(file.fileno())
            except BaseException:
                self.remove([name])
                raise
        return SpooledFile(name, size, digest.hexdigest())

    def check_room(self, size: int) -> None:
        """Check that so many bytes can be written beside what the queue needs."""
        with self._errors():
            free = self._free(self._folder)
        if free < size + KEPT_FREE:
            raise DiskFull(str(self._folder), free=free, needed=size + KEPT_FREE)

    def sync(self) -> None:
        """Return when the names of all files would survive a power cut."""
        with self._errors():
            sync_folder(self._folder)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; those that are not there are ignored."""
        for name in names:
            self.path(name).unlink(missing_ok=True)

    def open_temporary(self) -> IO[bytes]:
        """A file without a name, on the same disk, gone when it is closed."""
        with self._errors():
            return tempfile.TemporaryFile(dir=self._folder)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise disk_full(error, self._folder) or CaptionaryError(
                f"the folder {self._folder} cannot be used: {error.strerror or error}"
            ) from error
