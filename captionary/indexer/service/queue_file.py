"""The file of the job queue: SQLite, one process at a time, on disk before a commit returns."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from captionary.files.free_space import free_space
from captionary.schemas.errors import CaptionaryError, DiskFull, WrongInput

VERSION = 2

SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    accepted REAL NOT NULL,
    started INTEGER NOT NULL DEFAULT 0,
    finished REAL
);
CREATE INDEX finished ON jobs (finished, number);
CREATE TABLE pairs (
    job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE,
    number INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    attempts INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    name TEXT NOT NULL,
    captions TEXT NOT NULL,
    given_id TEXT,
    image_id TEXT,
    source TEXT NOT NULL,
    tags TEXT NOT NULL,
    upload TEXT,
    url TEXT,
    bytes INTEGER NOT NULL,
    regions TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, number)
) WITHOUT ROWID;
CREATE INDEX waiting ON pairs (number, job, bytes) WHERE state IN ('queued', 'running');
"""

SINCE_FIRST = "ALTER TABLE pairs ADD COLUMN regions TEXT NOT NULL DEFAULT ''"
"""Makes a file of version 1 one of version 2."""


class QueueFile:
    """The database, open between `open` and `close`; one thread at a time is inside."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is."""
        return self._db is not None

    def open(self) -> None:
        """Open the file, or make it.

        Raises:
            WrongInput: another process has it open, or it is of a later release.
        """
        with self._errors():
            # No second connection ever reads it, so the lock is held for good.
            db = sqlite3.connect(
                self._path, timeout=0, isolation_level=None, check_same_thread=False
            )
            db.row_factory = sqlite3.Row
            try:
                for setting in (
                    "locking_mode=EXCLUSIVE",
                    "journal_mode=WAL",
                    "synchronous=FULL",
                    "foreign_keys=ON",
                ):
                    db.execute(f"PRAGMA {setting}")
                self._make(db)
            except BaseException:
                db.close()
                raise
            self._db = db

    def _make(self, db: sqlite3.Connection) -> None:
        # The first lock is taken here, and kept: locking_mode=EXCLUSIVE lets go of none.
        db.execute("BEGIN EXCLUSIVE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise WrongInput(
                f"the queue {self._path} was written by a later release; use that, or another "
                "folder"
            )
        if version == 0:
            for statement in SCHEMA.split(";"):
                db.execute(statement)
        elif version == 1:
            db.execute(SINCE_FIRST)
        db.execute(f"PRAGMA user_version={VERSION}")
        db.execute("COMMIT")

    def close(self) -> None:
        """Let go of it; closing twice is allowed."""
        with self._lock, self._errors():
            if self._db is not None:
                self._db.close()
                self._db = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of what is done inside, or nothing; on disk when it is left."""
        with self._lock, self._errors():
            if self._db is None:
                raise CaptionaryError(f"the queue {self._path} is closed; the service is ending")
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_FULL:
                raise DiskFull(str(self._path), free=free_space(self._path)) from error
            if code == sqlite3.SQLITE_BUSY:
                raise WrongInput(
                    f"the queue {self._path} is in use by another process; wait for it to end, or "
                    "give another --state"
                ) from error
            raise CaptionaryError(f"the queue {self._path} failed: {error}") from error
