"""The file of the queue: one process at a time has it, and what cannot be used is refused."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from captionary.indexer.service.job_queue import JobQueue, open_queue
from captionary.schemas.errors import CaptionaryError, WrongInput
from tests.indexer.service.queues import made, pairs, taken


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    queue = made(tmp_path)
    yield queue
    queue.close()


TAKE_OVER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=0)
db.execute("PRAGMA locking_mode=EXCLUSIVE")
try:
    db.execute("BEGIN EXCLUSIVE")
except sqlite3.OperationalError as error:
    sys.exit(str(error))
print("taken", flush=True)
sys.stdin.read()
"""
"""Another process that takes the file as the queue does, without loading what the queue needs."""


def test_one_process_at_a_time(tmp_path: Path, queue: JobQueue) -> None:
    command = [sys.executable, "-c", TAKE_OVER, str(tmp_path / "queue.sqlite")]
    refused = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (refused.returncode, refused.stderr.strip()) == (1, "database is locked")
    with pytest.raises(WrongInput, match="is in use by another process"):
        made(tmp_path)
    queue.close()
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "taken"
        with pytest.raises(WrongInput, match="is in use by another process"):
            made(tmp_path)
        other.communicate()
    made(tmp_path).close()


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(b"this is no database, and long enough to be seen" * 30)
    with pytest.raises(CaptionaryError, match="file is not a database"):
        made(tmp_path)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=3")
    db.close()
    with pytest.raises(WrongInput, match="by a later release"):
        made(tmp_path)


def test_a_file_of_the_first_release_is_opened(tmp_path: Path, queue: JobQueue) -> None:
    name = queue.add_pairs(pairs(1))
    queue.close()
    db = sqlite3.connect(tmp_path / "queue.sqlite")
    db.execute("ALTER TABLE pairs DROP COLUMN regions")
    db.execute("PRAGMA user_version=1")
    db.close()
    for _ in range(2):
        again = made(tmp_path)
        (taken_again,) = taken(again)
        assert (taken_again.pair, taken_again.kind) == (pairs(1)[0], "pairs")
        assert again.read_job(name, {}) is not None
        again.close()


def test_a_queue_is_claimed_where_there_is_one(tmp_path: Path, queue: JobQueue) -> None:
    with pytest.raises(WrongInput, match="is in use by another process"), open_queue(tmp_path):
        raise AssertionError("two have it")
    name = queue.add_pairs(pairs(1))
    queue.close()
    with open_queue(tmp_path) as ours:
        with pytest.raises(WrongInput, match="is in use by another process"):
            made(tmp_path)
        ours.open()
        assert ours.read_job(name, {}) is not None
    with open_queue(tmp_path / "new"):
        assert not (tmp_path / "new").exists()
    made(tmp_path).close()


def test_a_closed_queue_says_so(tmp_path: Path) -> None:
    queue = made(tmp_path)
    queue.close()
    with pytest.raises(CaptionaryError, match="is closed"):
        queue.add_pairs(pairs(1))
