"""The folder of an embedded store: its lock, its meta file, and what is not a store at all.

    captionary.json   what the store says of itself; written last, so that it vouches for the rest
    captionary.lock   held by the one process that has the store open
    pictures/ regions/ prototypes/   the engine's own files

A lock file without a meta file is a store whose creation was cut short: it holds nothing yet.

**A full disk.** The engine maps files of 32 MB that are mostly holes. Where a hole cannot be filled
the system kills the process (SIGBUS), and no error can be caught. So there must be room before each
operation, and before the engine opens its files (measured: docs/results.md).

**A store that cannot be written** is read from a private copy in the folder for temporary files: to
read, too, the engine opens all of its files to write, and writes some of them.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from captionary.files.atomic import remove_drafts, write_atomically
from captionary.files.free_space import disk_full, free_space, is_in_memory
from captionary.files.sparse_copy import copy_sparsely
from captionary.schemas.errors import DiskFull, StoreInUse, WrongInput, one_line
from captionary.vocabulary.engines.engine import NAMES, Payload

META = "captionary.json"
LOCK = "captionary.lock"
FORMAT = 1

TO_WRITE = 64 << 20
"""Bytes that must be free before an operation: a file of the engine's log and one of its points, of
32 MB each. 500 large points (1,024 numbers and 30 KB of payload each) took 34 MB of them, and 41 MB
with a second vector of 2,048 numbers."""

TO_OPEN = 8 << 20
"""Bytes that must be free to open a store, beside those of its logs: what a killed process left in
them is written to the segments then. Where nothing was left, some KB are written."""

UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Say in one line what the file system refused.

    Raises:
        DiskFull, WrongInput: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        if (full := disk_full(error, path)) is not None:
            raise full from error
        reason = error.strerror or str(error)
        raise WrongInput(
            f"cannot use the store {path}: {reason}; give a folder that can be written with --store"
        ) from error


class StoreFolder:
    """One folder, locked from the moment that it is found to be, or made, a store.

    shards:    where the engine's files are: the folder itself, or a copy of what is read only.
    read_only: it is a store that this process cannot write.

    Args:
        path: the folder.
        free: tells the bytes that are free on the disk of a path.

    Raises:
        WrongInput: the path is something else than a store or an empty folder, or cannot be used.
        StoreInUse: another process has it open.
    """

    def __init__(self, path: Path, *, free: Callable[[Path], int] = free_space) -> None:
        self.path = self.shards = path
        self.read_only = False
        self._free = free
        self._lock: IO[bytes] | None = None
        self._copy: TemporaryDirectory[str] | None = None
        with file_errors(path):
            inside = {entry.name for entry in path.iterdir()} if path.exists() else set()
        if inside and not inside & {META, LOCK}:
            raise WrongInput(
                f"{path} is not a store (it has no {META}); give another folder with --store"
            )
        # An empty folder may become a store or not: it is locked when it does.
        if inside:
            self.lock()

    def lock(self) -> None:
        """Take the lock, making the folder where needed."""
        if self._lock is not None:
            return
        with file_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._open_lock()
        try:
            fcntl.flock(lock, (fcntl.LOCK_SH if self.read_only else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            # Only now do its files stay as they are.
            if not all(os.access(file, os.W_OK) for file in (self.path, *self.path.rglob("*"))):
                self.read_only = True
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise StoreInUse(str(self.path)) from error
        self._lock = lock
        if not self.read_only:
            remove_drafts(self.path / META)

    def _open_lock(self) -> IO[bytes]:
        """The lock's file; any number of readers share it where none of them can write."""
        try:
            return (self.path / LOCK).open("ab")
        except OSError as error:
            if error.errno not in UNWRITABLE or not (self.path / META).exists():
                raise
            self.read_only = True
            # It may have come without the lock's file, and none can be made.
            return (self.path / (LOCK if (self.path / LOCK).exists() else META)).open("rb")

    def prepare_shards(self) -> None:
        """See to it that the engine can open its files.

        Raises:
            DiskFull: there is too little space to open them, or to copy those that are read only.
        """
        if self.read_only:
            try:
                self._copy = TemporaryDirectory(prefix="captionary-")
                self.shards = Path(self._copy.name)
                for name in (name for name in NAMES if (self.path / name).is_dir()):
                    copy_sparsely(self.path / name, self.shards / name)
            except OSError as error:
                raise (disk_full(error, self.shards) or _unreadable(self.path, error)) from error
        self._check_free(TO_OPEN + sum(_opening_takes(self.shards / name) for name in NAMES))

    def check_writable(self) -> None:
        """Check that it can be written at present.

        Raises:
            WrongInput: it is read only.
            DiskFull: there is too little space for another operation.
        """
        if self.read_only:
            raise WrongInput(
                f"the store {self.path} is read-only: it can be read, not changed; make its folder "
                f"writable, or change a copy: 'captionary vocabulary copy {self.path} COPY'"
            )
        self._check_free(TO_WRITE)

    def has_room_for(self, size: int) -> bool:
        """Whether so many bytes can be written beside what an operation may take."""
        return self._free(self.shards) >= TO_WRITE + size

    def _check_free(self, needed: int) -> None:
        with file_errors(self.path):
            free = self._free(self.shards)
        if free < needed:
            raise DiskFull(str(self.shards), free=free, needed=needed)

    def unlock(self) -> None:
        """Let go of the lock, and of a copy."""
        if self._copy is not None:
            self._copy.cleanup()
            self._copy = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def clear(self, name: str) -> None:
        """Remove what a cut-short creation left of one collection."""
        with file_errors(self.path):
            if (self.path / name).exists():
                shutil.rmtree(self.path / name)

    def read_meta(self) -> Payload | None:
        """The meta; None where the store was never made completely.

        Raises:
            WrongInput: the file is damaged or of a later version.
        """
        # Not locked means that the folder is empty, or was not there.
        if self._lock is None:
            return None
        path = self.path / META
        try:
            with file_errors(self.path):
                found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        except ValueError as error:
            raise WrongInput(damaged(self.path, f"{META} is not JSON")) from error
        if found is None:
            return None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise WrongInput(damaged(self.path, f"{META} is not of format {FORMAT}"))
        return found

    def write_meta(self, meta: Payload) -> None:
        """Replace the meta: a reader, or a crash, finds the old one or the new one."""
        if self.read_only:
            self.check_writable()
        text = json.dumps({**meta, "format": FORMAT}, ensure_ascii=False, indent=1)
        with file_errors(self.path):
            write_atomically(self.path / META, text.encode())


def _unreadable(path: Path, error: OSError) -> WrongInput:
    return WrongInput(
        f"the store {path} cannot be written, nor copied to be read ({one_line(error)}: "
        f"{error.filename}); let this user read it, and write into TMPDIR"
    )


def _opening_takes(shard: Path) -> int:
    """Bytes that opening a shard may take: once more what is in its log, and on tmpfs its holes."""
    taken = allocated(shard / "wal")
    if shard.is_dir() and is_in_memory(shard):
        # The engine has all of these read beforehand, not the points' payload.
        read = [*shard.rglob("payload_index/**/*"), *shard.rglob("vector_storage-*/**/*")]
        taken += sum(file.stat().st_size - 512 * file.stat().st_blocks for file in read)
    return taken


def allocated(folder: Path) -> int:
    """Bytes that the files of a folder take on the disk, without their holes."""
    return sum(512 * path.lstat().st_blocks for path in folder.rglob("*"))


def damaged(path: Path, reason: str) -> str:
    """The message for a store that cannot be read."""
    return (
        f"the store {path} is damaged ({one_line(reason)}); restore a copy of it, or index into a "
        "new one"
    )
