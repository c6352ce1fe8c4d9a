"""Queues for tests."""

from pathlib import Path

from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.jobs import AcceptedPair, QueuedPair


def made(folder: Path, *, most_pairs: int = 1000, most_bytes: int = 1000) -> JobQueue:
    queue = JobQueue(folder, most_pairs=most_pairs, most_bytes=most_bytes)
    queue.open()
    return queue


def pairs(count: int, source: str = "") -> list[AcceptedPair]:
    return [
        AcceptedPair(f"{n}.png", (f"caption {n}",), image_id=f"i{n}", source=source)
        for n in range(count)
    ]


def taken(queue: JobQueue, limit: int = 1000) -> list[QueuedPair]:
    work = queue.take(limit)
    assert isinstance(work, list)
    return work
