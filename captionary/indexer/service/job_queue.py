"""The durable queue of jobs: pairs to index, and removals, each of which is a barrier.

What is accepted is on disk. Pairs are taken in the order of their number within their job, so that
a large job does not hold up a small one; a removal is taken when everything accepted before it is
done, and nothing accepted after it is taken earlier. There is one worker: whatever is marked as
running when it asks for work was left by a process, or an attempt, that broke off.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

from captionary.indexer.service.jobs import (
    COLUMNS,
    Accepted,
    Finished,
    Kind,
    QueuedPair,
    Removal,
    Waiting,
    columns_of,
    queued_from,
)
from captionary.indexer.service.queue_file import QueueFile
from captionary.schemas.bodies import FailureBody, JobBody, JobState
from captionary.serving.problems import Problem

FILE = "queue.sqlite"

UNFINISHED = "state IN ('queued', 'running')"

ALONE = 2
"""A pair with so many attempts behind it is taken alone, to find out whether it is to blame."""

MOST_ATTEMPTS = 5
"""A pair that broke off so many is given up."""

RETRY_AFTER = 30
"""Seconds to wait when the queue is full."""

KEPT = 7 * 24 * 3600
"""Seconds for which a finished job can be asked for."""


class JobQueue:
    """Jobs in a folder, which has room for the pictures that wait beside the file.

    most_pairs: that may wait; most_bytes: of their pictures. A request that finds nothing waiting
    is let in anyway.
    """

    def __init__(
        self, folder: Path, *, most_pairs: int = 10_000, most_bytes: int = 4 << 30
    ) -> None:
        self.folder = folder
        self._file = QueueFile(folder / FILE)
        self._most = Waiting(most_pairs, most_bytes)

    def open(self) -> None:
        """Open it; what was running is queued again, unless it broke off too often.

        Opening it twice is allowed.

        Raises:
            WrongInput: another process has it open, or it is of a later release.
        """
        if not self._file.is_open:
            self._file.open()
        with self._file.transaction() as db:
            _give_up(db)
            _requeue(db)

    def close(self) -> None:
        """Close it."""
        self._file.close()

    # Accepting

    def add(self, pairs: Sequence[Accepted]) -> str:
        """Queue a job, and answer its id once it is safe.

        Raises:
            Problem: too much is waiting (429).
        """
        with self._file.transaction() as db:
            self._check_room(db, len(pairs), sum(pair.bytes for pair in pairs))
            job, name = _new_job(db, "pairs", "")
            rows = [(job, number, *columns_of(pair)) for number, pair in enumerate(pairs)]
            db.executemany(
                f"INSERT INTO pairs (job, number, {COLUMNS}) VALUES ({', '.join('?' * 11)})",
                rows,
            )
        return name

    def add_removal(self, kind: Kind, target: str) -> str:
        """Queue a removal, and answer its id once it is safe.

        Raises:
            Problem: too much is waiting (429).
        """
        with self._file.transaction() as db:
            self._check_room(db, 1, 0)
            return _new_job(db, kind, target)[1]

    def check_room(self, *, pairs: int, size: int) -> None:
        """Refuse what would be too much.

        Raises:
            Problem: too much is waiting (429).
        """
        with self._file.transaction() as db:
            self._check_room(db, pairs, size)

    def _check_room(self, db: sqlite3.Connection, pairs: int, size: int) -> None:
        waiting = _waiting(db)
        removals = db.execute(
            "SELECT COUNT(*) FROM jobs WHERE finished IS NULL AND kind != 'pairs'"
        ).fetchone()[0]
        if not waiting.pairs + removals:
            return
        if (
            waiting.pairs + removals + pairs > self._most.pairs
            or waiting.bytes + size > self._most.bytes
        ):
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{waiting.pairs} pairs of {waiting.bytes:,} bytes are waiting, as much as may "
                f"be; come again in {RETRY_AFTER} s",
                headers={"Retry-After": str(RETRY_AFTER)},
            )

    def might_bring(self, kind: Kind, target: str) -> bool:
        """Whether a pair that waits is of this source, or may become this picture."""
        test = "source = ?" if kind == "source" else "(image_id = ? OR image_id IS NULL)"
        with self._file.transaction() as db:
            found = db.execute(
                f"SELECT 1 FROM pairs WHERE {UNFINISHED} AND {test} LIMIT 1", (target,)
            )
            return found.fetchone() is not None

    # Asking

    def job(self, name: str, dealt: Mapping[int, int]) -> JobBody | None:
        """The state of a job; None where there is none of this id.

        dealt: how many of each job's running pairs are read already.
        """
        with self._file.transaction() as db:
            job = db.execute("SELECT * FROM jobs WHERE id = ?", (name,)).fetchone()
            if job is None:
                return None
            rows = db.execute(
                "SELECT state, COUNT(*) FROM pairs WHERE job = ? GROUP BY state", (job["number"],)
            )
            counts = dict(map(tuple, rows))
            failures = _failures(db, job["number"])
        total, running = sum(counts.values()), counts.get("running", 0)
        done = counts.get("done", 0) + len(failures)
        state: JobState = "running" if done or running or job["started"] else "queued"
        if job["finished"] is not None:
            state = "failed" if len(failures) == total > 0 else "done"
        done += min(dealt.get(job["number"], 0), running)
        return JobBody(job=name, state=state, pairs=total, done=done, failures=failures)

    def waiting(self) -> Waiting:
        """What waits, or is worked at; nothing while the queue is closed."""
        if not self._file.is_open:
            return Waiting(0, 0)
        with self._file.transaction() as db:
            return _waiting(db)

    def uploads(self) -> set[str]:
        """The uploads that are still needed."""
        with self._file.transaction() as db:
            rows = db.execute(f"SELECT upload FROM pairs WHERE {UNFINISHED}")
            return {row["upload"] for row in rows} - {None}

    # Working

    def take(self, limit: int) -> list[QueuedPair] | Removal | None:
        """What is to be done next: so many pairs, or a removal, or nothing."""
        with self._file.transaction() as db:
            _requeue(db)
            barrier = db.execute(
                "SELECT number, kind, target FROM jobs WHERE finished IS NULL AND kind != 'pairs' "
                "ORDER BY number LIMIT 1"
            ).fetchone()
            rows = db.execute(
                f"SELECT * FROM pairs WHERE {UNFINISHED} AND job < ? ORDER BY number, job LIMIT ?",
                (2**62 if barrier is None else barrier["number"], limit),
            ).fetchall()
            if rows:
                batch = _batch(rows)
                db.executemany(
                    "UPDATE pairs SET state = 'running', attempts = attempts + 1 "
                    "WHERE job = ? AND number = ?",
                    [(row["job"], row["number"]) for row in batch],
                )
                return [queued_from(row) for row in batch]
            if barrier is None:
                return None
            db.execute("UPDATE jobs SET started = 1 WHERE number = ?", (barrier["number"],))
            return Removal(barrier["number"], barrier["kind"], barrier["target"])

    def give_back(self, batch: Sequence[QueuedPair]) -> None:
        """Queue pairs again; that they were not done is not their fault."""
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE pairs SET state = 'queued', attempts = ? WHERE job = ? AND number = ?",
                [(pair.attempts, pair.job, pair.number) for pair in batch],
            )

    def suspect(self, batch: Sequence[QueuedPair]) -> None:
        """Queue pairs again, to be taken one at a time: one of them is to blame."""
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE pairs SET state = 'queued', attempts = MAX(attempts, ?) "
                "WHERE job = ? AND number = ?",
                [(ALONE, pair.job, pair.number) for pair in batch],
            )

    def finish(self, batch: Sequence[QueuedPair], failures: Mapping[str, str]) -> list[Finished]:
        """Mark pairs as dealt with, and answer the jobs that are finished thereby.

        failures: the reason for each pair that failed, by its key.
        """
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE pairs SET state = ?, reason = ?, captions = '[]', tags = '[]' "
                "WHERE job = ? AND number = ?",
                [
                    (
                        "failed" if pair.key in failures else "done",
                        failures.get(pair.key, ""),
                        pair.job,
                        pair.number,
                    )
                    for pair in batch
                ],
            )
            return _finished(db, {pair.job for pair in batch})

    def finish_removal(self, removal: Removal) -> list[Finished]:
        """Mark a removal as done."""
        with self._file.transaction() as db:
            return _finished(db, {removal.job})


@contextmanager
def claimed(folder: Path) -> Iterator[JobQueue]:
    """The queue of a folder; one that is there already is opened.

    So a second process is turned away before it has loaded or made anything.

    Raises:
        WrongInput: another process has it open, or it is of a later release.
    """
    with closing(JobQueue(folder)) as queue:
        if (folder / FILE).exists():
            queue.open()
        yield queue


def _new_job(db: sqlite3.Connection, kind: str, target: str) -> tuple[int, str]:
    name = uuid4().hex
    made = db.execute(
        "INSERT INTO jobs (id, kind, target, accepted) VALUES (?, ?, ?, ?)",
        (name, kind, target, time.time()),
    )
    return int(made.lastrowid or 0), name


def _batch(rows: Sequence[sqlite3.Row]) -> Sequence[sqlite3.Row]:
    """The first rows that may be done together; there is at least one."""
    suspect = [number for number, row in enumerate(rows) if row["attempts"] >= ALONE]
    return rows if not suspect else rows[: max(suspect[0], 1)]


def _requeue(db: sqlite3.Connection) -> None:
    """Queue again what was running."""
    db.execute(f"UPDATE pairs SET state = 'queued' WHERE {UNFINISHED} AND state = 'running'")
    db.execute("UPDATE jobs SET started = 0 WHERE started AND finished IS NULL")


def _give_up(db: sqlite3.Connection) -> None:
    """Have pairs fail during which the process ended every time."""
    given_up = db.execute(
        "UPDATE pairs SET state = 'failed', reason = ?, captions = '[]', tags = '[]' "
        f"WHERE {UNFINISHED} AND state = 'running' AND attempts >= ? RETURNING job",
        (f"the service broke off {MOST_ATTEMPTS} times while at this picture", MOST_ATTEMPTS),
    ).fetchall()
    _finished(db, {row["job"] for row in given_up})


def _finished(db: sqlite3.Connection, jobs: set[int]) -> list[Finished]:
    """Mark those of some jobs that are finished, and forget those that are long past."""
    now, ended = time.time(), []
    for number in sorted(jobs):
        open_pairs = db.execute(
            f"SELECT 1 FROM pairs WHERE job = ? AND {UNFINISHED} LIMIT 1", (number,)
        )
        if open_pairs.fetchone() is not None:
            continue
        db.execute("UPDATE jobs SET finished = ? WHERE number = ?", (now, number))
        job = db.execute("SELECT * FROM jobs WHERE number = ?", (number,)).fetchone()
        counts = db.execute(
            "SELECT COUNT(*), TOTAL(state = 'failed') FROM pairs WHERE job = ?", (number,)
        ).fetchone()
        seconds = now - job["accepted"]
        ended.append(Finished(job["id"], job["kind"], counts[0], int(counts[1]), seconds))
    db.execute("DELETE FROM jobs WHERE finished < ?", (now - KEPT,))
    return ended


def _failures(db: sqlite3.Connection, job: int) -> list[FailureBody]:
    rows = db.execute(
        "SELECT number, name, reason FROM pairs WHERE job = ? AND state = 'failed' ORDER BY number",
        (job,),
    )
    return [FailureBody(pair=row[0], image=row[1], reason=row[2]) for row in rows]


def _waiting(db: sqlite3.Connection) -> Waiting:
    row = db.execute(
        f"SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM pairs WHERE {UNFINISHED}"
    ).fetchone()
    return Waiting(row[0], row[1])
