"""The queue: what order work is taken in, and that nothing is lost or done twice."""

import multiprocessing
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.indexer.service import job_queue
from captionary.indexer.service.job_queue import ALONE, MOST_ATTEMPTS, JobQueue, claimed
from captionary.indexer.service.jobs import Accepted, QueuedPair, Removal
from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.serving.problems import Problem


def made(folder: Path, *, most_pairs: int = 1000, most_bytes: int = 1000) -> JobQueue:
    queue = JobQueue(folder, most_pairs=most_pairs, most_bytes=most_bytes)
    queue.open()
    return queue


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    queue = made(tmp_path)
    yield queue
    queue.close()


def pairs(count: int, source: str = "") -> list[Accepted]:
    return [
        Accepted(f"{n}.png", (f"caption {n}",), image_id=f"i{n}", source=source)
        for n in range(count)
    ]


def taken(queue: JobQueue, limit: int = 1000) -> list[QueuedPair]:
    work = queue.take(limit)
    assert isinstance(work, list)
    return work


def test_a_pair_comes_out_as_it_went_in(queue: JobQueue) -> None:
    pair = Accepted(
        name='ä "b"\x00.png',
        captions=("one", "zwei ü\n"),
        id="my/own id",
        image_id="my/own id",
        source="s",
        tags=("x", "y"),
        upload="file",
        bytes=17,
    )
    fetched = Accepted("http://a/b", ("two",), url="http://a/b")
    queue.add([pair, fetched])
    assert [queued.pair for queued in taken(queue)] == [pair, fetched]


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), limit=st.integers(1, 8))
@settings(max_examples=30)
def test_small_jobs_are_not_held_up(sizes: list[int], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        queue = made(Path(folder))
        for size in sizes:
            queue.add(pairs(size))
        order = []
        while work := queue.take(limit):
            assert isinstance(work, list)
            assert len(work) <= limit
            order += [(pair.number, pair.job) for pair in work]
            queue.finish(work, {})
        queue.close()
    assert order == sorted((n, job) for job, size in enumerate(sizes, 1) for n in range(size))


STEPS = st.one_of(
    st.tuples(st.just("add"), st.integers(1, 5)),
    st.tuples(st.just("remove"), st.just(0)),
    st.tuples(st.sampled_from(["finish", "kill", "give back", "suspect"]), st.integers(1, 6)),
)


def lost(queue: JobQueue, names: list[str]) -> set[tuple[int, int]]:
    """Pairs that were given up."""
    jobs = enumerate((queue.job(name, {}) for name in names), 1)
    return {(number, f.pair) for number, job in jobs if job for f in job.failures}


@given(steps=st.lists(STEPS, min_size=3, max_size=25))
@settings(max_examples=60)
def test_removals_are_barriers_and_nothing_is_lost_or_done_twice(
    steps: list[tuple[str, int]],
) -> None:
    """Whatever breaks off, and whenever the process ends, all is finished once and in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        queue = made(path)
        names: list[str] = []
        sizes: list[int] = []
        finished: set[tuple[int, int]] = set()
        for step, number in [*steps, *[("finish", 6)] * 200]:
            if step == "add":
                names.append(queue.add(pairs(number)))
                sizes.append(number)
            elif step == "remove":
                names.append(queue.add_removal("source", "s"))
                sizes.append(0)
            else:
                work = queue.take(number)
                if isinstance(work, list):
                    keys = {(pair.job, pair.number) for pair in work}
                    assert not keys & finished
                    assert len({pair.attempts >= ALONE for pair in work}) == 1
                    if step == "finish":
                        queue.finish(work, {})
                        finished |= keys
                    elif step == "give back":
                        queue.give_back(work)
                    elif step == "suspect":
                        queue.suspect(work)
                elif isinstance(work, Removal):
                    before = {(j, n) for j, size in enumerate(sizes, 1) for n in range(size)}
                    assert {key for key in before if key[0] < work.job} <= finished | lost(
                        queue, names
                    )
                    assert not {key for key in finished if key[0] > work.job}
                    if step == "finish":
                        queue.finish_removal(work)
                if step == "kill":
                    queue.close()
                    queue = made(path)
        jobs = [queue.job(name, {}) for name in names]
        queue.close()
    assert len(finished) + sum(len(job.failures) for job in jobs if job) == sum(sizes)
    for job, size in zip(jobs, sizes, strict=True):
        assert job is not None
        assert (job.pairs, job.done) == (size, size)
        assert job.state in ("done", "failed")


def test_a_job_tells_its_state_and_its_failures(queue: JobQueue) -> None:
    name = queue.add(pairs(3))
    other = queue.add(pairs(1))
    removal = queue.add_removal("image", "x")
    assert queue.job("unknown", {}) is None

    def told(of: str, dealt: int = 0) -> tuple[str, int, int]:
        job = queue.job(of, {1: dealt})
        assert job is not None
        return job.state, job.done, job.pairs

    assert told(name) == ("queued", 0, 3)
    first = taken(queue, 2)
    assert [pair.job for pair in first] == [1, 2]
    assert told(name) == ("running", 0, 3)
    assert told(name, dealt=1) == ("running", 1, 3)
    assert [ended.id for ended in queue.finish(first, {first[1].key: "it is torn"})] == [other]
    assert told(name, dealt=1) == ("running", 1, 3)
    assert told(other) == ("failed", 1, 1)
    rest = taken(queue)
    (ended,) = queue.finish(rest, {rest[0].key: "it is dark"})
    assert (ended.id, ended.kind, ended.pairs, ended.failed) == (name, "pairs", 3, 1)
    assert told(name) == ("done", 3, 3)
    job = queue.job(name, {})
    assert job is not None
    assert [(f.pair, f.image, f.reason) for f in job.failures] == [(1, "1.png", "it is dark")]
    assert told(removal) == ("queued", 0, 0)
    work = queue.take(9)
    assert work == Removal(3, "image", "x")
    assert told(removal) == ("running", 0, 0)
    queue.finish_removal(work)
    assert told(removal) == ("done", 0, 0)
    assert queue.take(9) is None


def test_suspects_are_taken_alone_and_later_ones_wait(queue: JobQueue) -> None:
    queue.add(pairs(3))
    first = taken(queue, 2)
    queue.suspect(first)
    for number in (0, 1):
        (alone,) = taken(queue)
        assert (alone.number, alone.attempts) == (number, ALONE)
        queue.finish([alone], {})
    (last,) = taken(queue)
    assert (last.number, last.attempts) == (2, 0)


def test_attempts_that_were_not_the_pairs_fault_do_not_count(queue: JobQueue) -> None:
    queue.add(pairs(2))
    for _ in range(3 * MOST_ATTEMPTS):
        both = taken(queue)
        assert [pair.attempts for pair in both] == [0, 0]
        queue.give_back(both)


def test_a_pair_that_ends_the_process_is_given_up(tmp_path: Path) -> None:
    queue = made(tmp_path)
    name = queue.add(pairs(2))
    for attempt in range(MOST_ATTEMPTS):
        batch = taken(queue)
        assert len(batch) == (2 if attempt < ALONE else 1)
        queue.close()
        queue = made(tmp_path)
    (other,) = taken(queue)
    assert other.number == 1
    queue.finish([other], {})
    job = queue.job(name, {})
    queue.close()
    assert job is not None
    assert job.state == "done"
    assert [failure.pair for failure in job.failures] == [0]
    assert f"broke off {MOST_ATTEMPTS} times" in job.failures[0].reason


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    queue = made(tmp_path, most_pairs=4, most_bytes=100)
    large = [Accepted("a", ("b",), upload="f", bytes=90)]
    queue.add(pairs(5))  # nothing waits, so even too much is let in
    for more in (pairs(1), large):
        with pytest.raises(Problem) as caught:
            queue.add(more)
        assert caught.value.status_code == 429
        assert caught.value.headers == {"Retry-After": "30"}
    with pytest.raises(Problem):
        queue.add_removal("image", "x")
    queue.finish(taken(queue, 3), {})
    queue.add_removal("image", "x")
    queue.add(large)
    with pytest.raises(Problem):
        queue.add(pairs(1))
    assert queue.waiting().pairs == 3
    assert queue.waiting().bytes == 90
    queue.close()
    assert queue.waiting().pairs == 0


def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    queue = made(tmp_path, most_pairs=100, most_bytes=100)
    half = [Accepted("a", ("b",), upload="f", bytes=50)]
    queue.add(half)
    queue.add(half)
    with pytest.raises(Problem, match="100 bytes are waiting"):
        queue.add([Accepted("a", ("b",), upload="f", bytes=1)])
    queue.close()


def test_it_knows_what_a_removal_may_be_for(queue: JobQueue) -> None:
    queue.add(pairs(2, source="holiday"))
    assert queue.might_bring("source", "holiday")
    assert not queue.might_bring("source", "work")
    assert queue.might_bring("image", "i1")
    assert not queue.might_bring("image", "i2")
    queue.finish(taken(queue), {})
    assert not queue.might_bring("source", "holiday")
    assert not queue.might_bring("image", "i1")
    queue.add([Accepted("http://a", ("b",), url="http://a")])
    assert queue.might_bring("image", "anything: nobody knows before it is fetched")


def test_finished_jobs_are_forgotten(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    done, open_one = queue.add(pairs(1)), queue.add(pairs(2))
    queue.finish(taken(queue, 2), {})
    assert queue.job(done, {}) is not None
    monkeypatch.setattr(job_queue, "KEPT", -1)
    queue.finish(taken(queue, 1), {})
    assert queue.job(done, {}) is None
    assert queue.job(open_one, {}) is None
    monkeypatch.undo()
    assert queue.take(1) is None


def test_uploads_are_needed_until_their_pairs_are_done(queue: JobQueue) -> None:
    queue.add([Accepted("a", ("b",), upload="f0"), Accepted("a", ("b",), url="http://c")])
    queue.add([Accepted("a", ("b",), upload="f1")])
    assert queue.uploads() == {"f0", "f1"}
    queue.finish(taken(queue, 1), {})
    assert queue.uploads() == {"f1"}


def _take_over(folder: Path) -> str:
    try:
        made(folder)
    except WrongInput as error:
        return str(error)
    return ""


def test_one_process_at_a_time(tmp_path: Path, queue: JobQueue) -> None:
    assert "is in use by another process" in _take_over(tmp_path)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        said = pool.apply(_take_over, (tmp_path,))
        assert "is in use by another process" in said
        queue.close()
        assert pool.apply(_take_over, (tmp_path,)) == ""


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    path.write_bytes(b"this is no database, and long enough to be seen" * 30)
    with pytest.raises(CaptionaryError, match="file is not a database"):
        made(tmp_path)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=2")
    db.close()
    with pytest.raises(WrongInput, match="by a later release"):
        made(tmp_path)


def test_a_queue_is_claimed_where_there_is_one(tmp_path: Path, queue: JobQueue) -> None:
    with pytest.raises(WrongInput, match="is in use by another process"), claimed(tmp_path):
        raise AssertionError("two have it")
    name = queue.add(pairs(1))
    queue.close()
    with claimed(tmp_path) as ours:
        with pytest.raises(WrongInput, match="is in use by another process"):
            made(tmp_path)
        ours.open()
        assert ours.job(name, {}) is not None
    with claimed(tmp_path / "new"):
        assert not (tmp_path / "new").exists()
    made(tmp_path).close()


def test_a_closed_queue_says_so(tmp_path: Path) -> None:
    queue = made(tmp_path)
    queue.close()
    with pytest.raises(CaptionaryError, match="is closed"):
        queue.add(pairs(1))
