"""The durable queue of jobs: pairs to index; removals, corrections and such, which are barriers.

What is accepted is on disk. Pairs are taken in the order of their number within their job, so that
a large job does not hold up a small one; a barrier is taken when everything accepted before it is
done, and nothing accepted after it is taken earlier. There is one worker: whatever is marked as
running when it asks for work was left by a process, or an attempt, that broke off.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path

from captionary.indexer.service.jobs import (
    AcceptedPair,
    Backlog,
    FinishedJob,
    Order,
    OrderKind,
    PairsKind,
    QueuedPair,
    RemovalKind,
)
from captionary.indexer.service.queue_file import QueueFile
from captionary.indexer.service.queue_rows import (
    ALONE_AFTER,
    BARRIERS,
    COLUMNS,
    FORGOTTEN,
    ORDERS,
    UNFINISHED,
    count_backlog,
    decode_pair,
    encode_pair,
    finish_jobs,
    first_batch,
    give_up,
    insert_failure,
    insert_job,
    read_failures,
    requeue_running,
)
from captionary.schemas.bodies import JobBody, JobState
from captionary.serving.problems import Problem

FILE = "queue.sqlite"

RETRY_AFTER = 30
"""Seconds to wait when the queue is full."""


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
        self._most = Backlog(most_pairs, most_bytes)

    def open(self) -> None:
        """Open it; what was running is queued again, unless it broke off too often.

        Opening it twice is allowed.

        Raises:
            WrongInput: another process has it open, or it is of a later release.
        """
        if not self._file.is_open:
            self._file.open()
        with self._file.transaction() as db:
            give_up(db)
            requeue_running(db)

    def close(self) -> None:
        """Close it."""
        self._file.close()

    # Accepting work

    def add_pairs(self, pairs: Sequence[AcceptedPair], kind: PairsKind = "pairs") -> str:
        """Queue a job, and return its id once it is safe on disk.

        Raises:
            Problem: too much is waiting (429).
        """
        with self._file.transaction() as db:
            self._check_room(db, len(pairs), sum(pair.bytes for pair in pairs))
            job, name = insert_job(db, kind, "")
            rows = [(job, number, *encode_pair(pair)) for number, pair in enumerate(pairs)]
            db.executemany(
                f"INSERT INTO pairs (job, number, {COLUMNS}) VALUES ({', '.join('?' * 12)})",
                rows,
            )
        return name

    def add_order(self, kind: OrderKind, target: str) -> str:
        """Queue an order, and return its id once it is safe on disk.

        Raises:
            Problem: too much is waiting (429).
        """
        with self._file.transaction() as db:
            self._check_room(db, 1, 0)
            return insert_job(db, kind, target)[1]

    def check_room(self, *, pairs: int, size: int) -> None:
        """Refuse what would be too much, before it is read.

        Raises:
            Problem: too much is waiting (429).
        """
        with self._file.transaction() as db:
            self._check_room(db, pairs, size)

    def _check_room(self, db: sqlite3.Connection, pairs: int, size: int) -> None:
        waiting = count_backlog(db)
        orders = db.execute(
            f"SELECT COUNT(*) FROM jobs WHERE finished IS NULL AND {ORDERS}"
        ).fetchone()[0]
        # A request larger than all that may wait would else never be let in.
        if not waiting.pairs + orders:
            return
        if (
            waiting.pairs + orders + pairs > self._most.pairs
            or waiting.bytes + size > self._most.bytes
        ):
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"{waiting.pairs} pairs of {waiting.bytes:,} bytes are waiting, as much as may "
                f"be; come again in {RETRY_AFTER} s",
                headers={"Retry-After": str(RETRY_AFTER)},
            )

    def may_contain(self, kind: RemovalKind, target: str) -> bool:
        """Whether a pair that waits is of this source, or may become this picture."""
        test = "source = ?" if kind == "source" else "(image_id = ? OR image_id IS NULL)"
        with self._file.transaction() as db:
            found = db.execute(
                f"SELECT 1 FROM pairs WHERE {UNFINISHED} AND {test} LIMIT 1", (target,)
            )
            return found.fetchone() is not None

    def is_empty(self) -> bool:
        """Whether all that was accepted is done."""
        with self._file.transaction() as db:
            found = db.execute("SELECT 1 FROM jobs WHERE finished IS NULL LIMIT 1")
            return found.fetchone() is None

    # Reading its state

    def read_job(self, name: str, read: Mapping[int, int]) -> JobBody | None:
        """The state of a job; None where there is none of this id.

        read: how many of each job's running pairs are read already.
        """
        with self._file.transaction() as db:
            job = db.execute("SELECT * FROM jobs WHERE id = ?", (name,)).fetchone()
            if job is None:
                return None
            rows = db.execute(
                "SELECT state, COUNT(*) FROM pairs WHERE job = ? GROUP BY state", (job["number"],)
            )
            counts = dict(map(tuple, rows))
            failures = read_failures(db, job["number"])
        # Failures stand beside the pairs that are done, and count as dealt with.
        total, running = sum(counts.values()), counts.get("running", 0)
        done = counts.get("done", 0) + len(failures)
        state: JobState = "running" if done or running or job["started"] else "queued"
        if job["finished"] is not None:
            state = "failed" if len(failures) == total > 0 else "done"
        done += min(read.get(job["number"], 0), running)
        return JobBody(job=name, state=state, pairs=total, done=done, failures=failures)

    def backlog(self) -> Backlog:
        """What waits, or is worked at; nothing while the queue is closed."""
        if not self._file.is_open:
            return Backlog(0, 0)
        with self._file.transaction() as db:
            return count_backlog(db)

    def needed_uploads(self) -> set[str]:
        """The uploads that are still needed."""
        with self._file.transaction() as db:
            rows = db.execute(f"SELECT upload FROM pairs WHERE {UNFINISHED}")
            return {row["upload"] for row in rows} - {None}

    # Doing the work

    def take(self, limit: int) -> list[QueuedPair] | Order | None:
        """What is to be done next: so many pairs of one kind, or an order, or nothing."""
        with self._file.transaction() as db:
            requeue_running(db)
            barrier = db.execute(
                f"SELECT number, kind, target FROM jobs WHERE finished IS NULL AND {BARRIERS} "
                "ORDER BY number LIMIT 1"
            ).fetchone()
            # By number first: every job gets its turn, whatever the size of those before it.
            select = (
                f"SELECT * FROM pairs WHERE {UNFINISHED} AND job %s ORDER BY number, job LIMIT ?"
            )
            end = 2**62 if barrier is None else barrier["number"]
            rows = db.execute(select % "< ?", (end, limit)).fetchall()
            kind: PairsKind = "pairs"
            if not rows and barrier is not None and barrier["kind"] in ("replacement", "teaching"):
                kind = barrier["kind"]
                rows = db.execute(select % "= ?", (end, limit)).fetchall()
            if rows:
                batch = first_batch(rows)
                db.executemany(
                    "UPDATE pairs SET state = 'running', attempts = attempts + 1 "
                    "WHERE job = ? AND number = ?",
                    [(row["job"], row["number"]) for row in batch],
                )
                return [decode_pair(row, kind) for row in batch]
            if barrier is None:
                return None
            db.execute("UPDATE jobs SET started = 1 WHERE number = ?", (barrier["number"],))
            return Order(barrier["number"], barrier["kind"], barrier["target"])

    def requeue(self, batch: Sequence[QueuedPair]) -> None:
        """Queue pairs again; that they were not done is not their fault, and no attempt."""
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE pairs SET state = 'queued', attempts = ? WHERE job = ? AND number = ?",
                [(pair.attempts, pair.job, pair.number) for pair in batch],
            )

    def isolate(self, batch: Sequence[QueuedPair]) -> None:
        """Queue pairs again, to be taken one at a time: one of them is to blame."""
        with self._file.transaction() as db:
            db.executemany(
                "UPDATE pairs SET state = 'queued', attempts = MAX(attempts, ?) "
                "WHERE job = ? AND number = ?",
                [(ALONE_AFTER, pair.job, pair.number) for pair in batch],
            )

    def finish_pairs(
        self, batch: Sequence[QueuedPair], failures: Mapping[str, str]
    ) -> list[FinishedJob]:
        """Mark pairs as done or failed, and return the jobs that are finished thereby.

        failures: the reason for each pair that failed, by its key.
        """
        with self._file.transaction() as db:
            db.executemany(
                f"UPDATE pairs SET state = ?, reason = ?, {FORGOTTEN} WHERE job = ? AND number = ?",
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
            return finish_jobs(db, {pair.job for pair in batch})

    def finish_order(self, order: Order, failure: tuple[str, str] | None) -> list[FinishedJob]:
        """Mark an order as done; `failure`: what could not be done, and why."""
        with self._file.transaction() as db:
            if failure is not None:
                insert_failure(db, order.job, *failure)
            return finish_jobs(db, {order.job})


@contextmanager
def open_queue(folder: Path) -> Iterator[JobQueue]:
    """The queue of a folder, opened where there is one already.

    So a second process is refused before it has loaded or made anything.

    Raises:
        WrongInput: another process has it open, or it is of a later release.
    """
    with closing(JobQueue(folder)) as queue:
        if (folder / FILE).exists():
            queue.open()
        yield queue
