"""The folder of an embedded store: its lock, its meta file, and what is not a store at all.

    captionary.json   what the store says of itself; written last, so that it vouches for the rest
    captionary.lock   held by the one process that has the store open
    pictures/ regions/ prototypes/   the engine's own files

A lock file without a meta file is a store whose creation was cut short: it holds nothing yet.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from captionary.files.atomic import remove_drafts, write_atomically
from captionary.schemas.errors import StoreInUse, WrongInput, one_line
from captionary.vocabulary.engines.engine import Payload

META = "captionary.json"
LOCK = "captionary.lock"
FORMAT = 1


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Say in one line what the file system refused.

    Raises:
        WrongInput: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WrongInput(
            f"cannot use the store {path}: {reason}; give a folder that can be written with --store"
        ) from error


class StoreFolder:
    """One folder, locked from the moment that it is found to be, or made, a store.

    Raises:
        WrongInput: the path is something else than a store or an empty folder, or cannot be used.
        StoreInUse: another process has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[bytes] | None = None
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
            lock = (self.path / LOCK).open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise StoreInUse(str(self.path)) from error
        self._lock = lock
        remove_drafts(self.path / META)

    def unlock(self) -> None:
        """Let go of the lock."""
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
        text = json.dumps({**meta, "format": FORMAT}, ensure_ascii=False, indent=1)
        with file_errors(self.path):
            write_atomically(self.path / META, text.encode())


def damaged(path: Path, reason: str) -> str:
    """The message for a store that cannot be read."""
    return (
        f"the store {path} is damaged ({one_line(reason)}); restore a copy of it, or index into a "
        "new one"
    )
