"""The service is killed in the middle of jobs: what was accepted is finished, and counted once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from captionary.schemas.bodies import JobBody
from tests.indexer.planted import SCENES, opened_folder, pairs
from tests.indexer.service.served import pair_of

ROOT = Path(__file__).parents[3]
PATIENCE = 120.0
"""Seconds for anything that is waited for."""


class Served:
    """A process that serves a folder."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.indexer.service.serve_planted", str(folder)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        assert address, "the service did not start"
        self.client = httpx.Client(base_url=address, timeout=PATIENCE)

    def send(self, sent: list[dict[str, Any]]) -> str:
        answer = self.client.post("/v1/pairs", json={"pairs": sent})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job"])

    def job(self, name: str) -> JobBody:
        return JobBody.model_validate(self.client.get(f"/v1/jobs/{name}").json())

    def wait(self, name: str, *, done: int) -> JobBody:
        """The job when so many of its pairs are done, or all is."""
        end = time.monotonic() + PATIENCE
        while (job := self.job(name)).state in ("queued", "running") and job.done < done:
            assert time.monotonic() < end, job
            time.sleep(0.005)
        return job

    def finish(self, name: str) -> JobBody:
        return self.wait(name, done=sys.maxsize)

    def end(self, how: signal.Signals) -> int:
        """Send a signal, and answer how the process ended."""
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    served = Served(folder)
    try:
        yield served
    finally:
        served.close()


def jobs_of(folder: Path, count: int) -> list[list[dict[str, Any]]]:
    """Jobs of six new pictures each, one known from the job before, and one that is torn."""
    made = pairs(folder, SCENES * count)
    torn = folder / "torn.png"
    torn.write_bytes(Path(made[0].picture_name).read_bytes()[:900])
    size = len(SCENES)
    jobs = []
    for number in range(count):
        own = [
            pair_of(Path(pair.picture_name), *pair.captions, id=f"{number}/{n}", source="kept")
            for n, pair in enumerate(made[number * size : (number + 1) * size])
        ]
        before = Path(made[(number - 1) * size].picture_name)
        known = pair_of(before, f"a brick, number {number}", id=f"{max(number - 1, 0)}/0")
        jobs.append([*own, *([known] if number else []), pair_of(torn, "a torn apple", id="torn")])
    return jobs


def check(folder: Path, count: int) -> None:
    """Every picture is there once, with all its captions, and nothing is left to do."""
    with opened_folder(folder / "store") as dictionary:
        pictures = {picture.id: picture for picture in dictionary.pictures()}
        wanted = {f"{job}/{n}" for job in range(count) for n in range(len(SCENES))}
        assert pictures.keys() == wanted
        assert dictionary.pending() == {}
        stats = dictionary.stats()
        assert stats.regions == sum(picture.regions for picture in pictures.values())
        for job in range(count):
            said = pictures[f"{job}/0"].captions
            assert len(said) == (2 if job + 1 < count else 1)
            assert len(set(said)) == len(said)
    assert list((folder / "jobs" / "uploads").iterdir()) == []


def check_kills(folder: Path, moments: list[int]) -> None:
    """Kill a process when so many pairs of its own job are done; then have another end it all."""
    jobs = jobs_of(folder / "pictures", len(moments) + 1)
    names, killed = [], 0
    gone = {**jobs[0][0], "id": "gone", "captions": ["a kite"], "source": "gone"}
    for number, done in enumerate(moments):
        with serving(folder) as served:
            own = served.send(jobs[number])
            names.append(own)
            if not number:
                names.append(served.send([gone]))
                answer = served.client.delete("/v1/sources/gone")
                names.append(answer.raise_for_status().json()["job"])
            killed += served.wait(own, done=done).state in ("queued", "running")
            assert served.end(signal.SIGKILL) == -signal.SIGKILL
    assert killed >= len(moments) / 2  # a job may end before its moment comes
    with serving(folder) as served:
        names.append(served.send(jobs[-1]))
        ended = [served.finish(name) for name in names]
        assert served.end(signal.SIGTERM) == 0
    for job in ended:
        assert job.state == ("failed" if job.failures and job.pairs == 1 else "done")
        assert job.done == job.pairs
        assert [failure.pair for failure in job.failures] == (
            [job.pairs - 1] if job.pairs > 1 else []
        )
    assert [job.pairs for job in ended if job.pairs > 1] == [len(job) for job in jobs]
    check(folder, len(jobs))


@pytest.mark.slow
def test_what_was_accepted_before_a_kill_is_finished_after_it(tmp_path: Path) -> None:
    check_kills(tmp_path, [1])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_at_random_leave_nothing_undone_or_done_twice(tmp_path: Path) -> None:
    chance = random.Random(5)
    check_kills(tmp_path, [chance.randint(0, 5) for _ in range(8)])


@pytest.mark.slow
def test_a_service_that_is_told_to_end_finishes_later(tmp_path: Path) -> None:
    (sent,) = jobs_of(tmp_path / "pictures", 1)
    with serving(tmp_path) as served:
        name = served.send(sent)
        assert served.end(signal.SIGTERM) == 0
    with serving(tmp_path) as served:
        job = served.finish(name)
        assert (job.state, job.done, len(job.failures)) == ("done", len(sent), 1)
        assert served.end(signal.SIGTERM) == 0
    check(tmp_path, 1)
