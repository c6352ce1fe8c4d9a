"""Statements on the tables of the queue's file; each runs in a transaction of its caller."""

import json
import sqlite3
import time
from collections.abc import Sequence
from uuid import uuid4

from pydantic import TypeAdapter

from captionary.indexer.service.jobs import (
    AcceptedPair,
    Backlog,
    FinishedJob,
    PairsKind,
    QueuedPair,
)
from captionary.schemas.bodies import FailureBody
from captionary.schemas.correction_bodies import PointedBody

UNFINISHED = "state IN ('queued', 'running')"
"""Also the condition of the index `waiting` (queue_file.py), so that it serves these queries."""

ALONE_AFTER = 2
"""A pair with so many attempts behind it is taken alone, to find out whether it is to blame."""

MAX_ATTEMPTS = 5
"""A pair that broke off so many is given up."""

KEPT_SECONDS = 7 * 24 * 3600
"""Seconds for which a finished job can be asked for."""

COLUMNS = "name, captions, given_id, image_id, source, tags, upload, url, bytes, regions"

BARRIERS = "kind != 'pairs'"
"""Condition of jobs that wait for all before them."""

ORDERS = "kind NOT IN ('pairs', 'replacement', 'teaching')"
"""Condition of jobs that have no pairs."""

FORGOTTEN = "captions = '[]', tags = '[]', regions = ''"
"""Done with a pair that is finished: nothing needs these, and jobs are kept for a week."""

REGIONS = TypeAdapter(tuple[PointedBody, ...])


def encode_pair(pair: AcceptedPair) -> tuple[str | int | None, ...]:
    """The values of a pair in the order of COLUMNS."""
    return (
        pair.name,
        json.dumps(pair.captions),
        pair.id,
        pair.image_id,
        pair.source,
        json.dumps(pair.tags),
        pair.upload,
        pair.url,
        pair.bytes,
        REGIONS.dump_json(pair.regions, by_alias=True).decode() if pair.regions else "",
    )


def decode_pair(row: sqlite3.Row, kind: PairsKind) -> QueuedPair:
    """The pair of a row of the queue's file."""
    pair = AcceptedPair(
        name=row["name"],
        captions=tuple(json.loads(row["captions"])),
        id=row["given_id"],
        image_id=row["image_id"],
        source=row["source"],
        tags=tuple(json.loads(row["tags"])),
        upload=row["upload"],
        url=row["url"],
        bytes=row["bytes"],
        regions=REGIONS.validate_json(row["regions"]) if row["regions"] else (),
    )
    return QueuedPair(row["job"], row["number"], row["attempts"], pair, kind)


def insert_job(db: sqlite3.Connection, kind: str, target: str) -> tuple[int, str]:
    """Make a job; its number and its id."""
    name = uuid4().hex
    made = db.execute(
        "INSERT INTO jobs (id, kind, target, accepted) VALUES (?, ?, ?, ?)",
        (name, kind, target, time.time()),
    )
    return int(made.lastrowid or 0), name


def first_batch(rows: Sequence[sqlite3.Row]) -> Sequence[sqlite3.Row]:
    """The first rows that may be done together; there is at least one."""
    suspects = [number for number, row in enumerate(rows) if row["attempts"] >= ALONE_AFTER]
    # Up to the first suspect, or that one alone.
    return rows if not suspects else rows[: max(suspects[0], 1)]


def requeue_running(db: sqlite3.Connection) -> None:
    """Queue again what was running."""
    db.execute(f"UPDATE pairs SET state = 'queued' WHERE {UNFINISHED} AND state = 'running'")
    db.execute("UPDATE jobs SET started = 0 WHERE started AND finished IS NULL")


def give_up(db: sqlite3.Connection) -> None:
    """Mark as failed the pairs during which the process ended every time."""
    given_up = db.execute(
        f"UPDATE pairs SET state = 'failed', reason = ?, {FORGOTTEN} "
        f"WHERE {UNFINISHED} AND state = 'running' AND attempts >= ? RETURNING job",
        (f"the service broke off {MAX_ATTEMPTS} times while at this picture", MAX_ATTEMPTS),
    ).fetchall()
    finish_jobs(db, {row["job"] for row in given_up})


def insert_failure(db: sqlite3.Connection, job: int, name: str, reason: str) -> None:
    """Give a job without pairs a failure to tell of."""
    db.execute(
        "INSERT INTO pairs (job, number, state, reason, name, captions, source, tags, bytes) "
        "VALUES (?, 0, 'failed', ?, ?, '[]', '', '[]', 0)",
        (job, reason, name),
    )


def finish_jobs(db: sqlite3.Connection, jobs: set[int]) -> list[FinishedJob]:
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
        ended.append(FinishedJob(job["id"], job["kind"], counts[0], int(counts[1]), seconds))
    db.execute("DELETE FROM jobs WHERE finished < ?", (now - KEPT_SECONDS,))
    return ended


def read_failures(db: sqlite3.Connection, job: int) -> list[FailureBody]:
    """The pairs of a job that failed, in order."""
    rows = db.execute(
        "SELECT number, name, reason FROM pairs WHERE job = ? AND state = 'failed' ORDER BY number",
        (job,),
    )
    return [FailureBody(pair=row[0], image=row[1], reason=row[2]) for row in rows]


def count_backlog(db: sqlite3.Connection) -> Backlog:
    """Count what waits or is worked at."""
    row = db.execute(
        f"SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM pairs WHERE {UNFINISHED}"
    ).fetchone()
    return Backlog(row[0], row[1])
