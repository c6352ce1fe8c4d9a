"""A file of what can be computed again: values by key, shared by processes, bounded in size."""

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import time
from typing import TypeVar

T = TypeVar("T")

VARIABLE = "CAPTIONARY_CACHE"
"""Environment variable: the folder to cache in; empty or `off`: none."""

MAX_BYTES = 200 << 20
"""Of the file: 90,000 vectors of 512 numbers."""

PATIENCE = 1.0
"""Seconds to wait for another process that writes."""

KEYS_AT_ONCE = 500
"""Older builds of SQLite take no more than 999 values in a statement."""

CHECK_BYTES = 8
DAY = 86_400
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

CREATE = """CREATE TABLE IF NOT EXISTS cached (
    key BLOB PRIMARY KEY, value BLOB NOT NULL, day INTEGER NOT NULL)"""
SIZE = """SELECT (page_count - freelist_count) * page_size
    FROM pragma_page_count, pragma_freelist_count, pragma_page_size"""
DROP_OLDEST = """DELETE FROM cached WHERE rowid IN (
    SELECT rowid FROM cached ORDER BY day, rowid LIMIT (SELECT count(*) / 4 + 1 FROM cached))"""


def cache_folder() -> Path | None:
    """The folder that CAPTIONARY_CACHE names, or else the user's cache; None: switched off."""
    named = os.environ.get(VARIABLE)
    if named is not None:
        return None if named.strip() in ("", "off") else Path(named)
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # as the standard of this variable has it
        try:
            base = Path.home() / ".cache"
        except RuntimeError:  # a user without a home
            return None
    return base / "captionary"


class CacheFile:
    """Values by key in one SQLite file; may be shared by threads and processes.

    Nothing that goes wrong with it is an error: a value that cannot be read is one that is not
    there, and a file that is damaged is begun anew. What was used least lately makes room.

    Args:
        path:      the file; its folder is made when something is written.
        max_bytes: of the file; a single `write` may go beyond it.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values that are there, by their keys."""
        found: dict[bytes, bytes] = {}
        if self._path.exists():
            self._attempt(lambda connection: self._read(connection, keys, found))
        return found

    def write(self, values: Mapping[bytes, bytes]) -> None:
        """Keep values for later."""
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The last free space of a disk is for what cannot be computed again.
            if shutil.disk_usage(self._path.parent).free > 2 * self._max_bytes:
                self._attempt(lambda connection: self._write(connection, values))

    def _attempt(self, work: Callable[[sqlite3.Connection], None]) -> None:
        # A connection for each call: it may be made in any thread, and in a forked process.
        try:
            with closing(sqlite3.connect(self._path, timeout=PATIENCE)) as connection:
                connection.text_factory = bytes  # text is damage, and may be no UTF-8
                work(connection)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in DAMAGED:
                for name in (self._path, self._path.with_name(f"{self._path.name}-journal")):
                    with suppress(OSError):
                        name.unlink(missing_ok=True)
        except (MemoryError, OSError):  # a damaged length, a disk that fails
            pass

    def _read(
        self, connection: sqlite3.Connection, keys: Sequence[bytes], found: dict[bytes, bytes]
    ) -> None:
        today, seen_today = _today(), True
        for part in _parts(keys):
            marks = ", ".join("?" * len(part))
            rows = connection.execute(
                f"SELECT key, value, day FROM cached WHERE key IN ({marks})", part
            )
            for key, value, day in rows:
                if isinstance(value, bytes) and value[:CHECK_BYTES] == _check(
                    key, value[CHECK_BYTES:]
                ):
                    found[key] = value[CHECK_BYTES:]
                    seen_today &= day == today
        if not seen_today:  # at most one write a day, and none where all is read-only
            with connection:
                for part in _parts(list(found)):
                    marks = ", ".join("?" * len(part))
                    connection.execute(
                        f"UPDATE cached SET day = {today} WHERE key IN ({marks})", part
                    )

    def _write(self, connection: sqlite3.Connection, values: Mapping[bytes, bytes]) -> None:
        connection.execute("PRAGMA page_size = 16384")  # several vectors a page
        rows = [(key, _check(key, value) + value, _today()) for key, value in values.items()]
        with connection:
            connection.execute(CREATE)
            connection.executemany("INSERT OR REPLACE INTO cached VALUES (?, ?, ?)", rows)
            ((size,),) = connection.execute(SIZE)
            if size > self._max_bytes:
                connection.execute(DROP_OLDEST)


def _check(key: bytes, value: bytes) -> bytes:
    """By which a damaged value is known: SQLite finds damage of its own structure only."""
    return hashlib.blake2b(key + value, digest_size=CHECK_BYTES).digest()


def _today() -> int:
    return int(time() // DAY)


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
