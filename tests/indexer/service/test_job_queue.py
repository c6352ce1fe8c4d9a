"""The queue: what order work is taken in, and that nothing is lost or done twice."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.indexer.service import queue_rows
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.jobs import AcceptedPair, Order
from captionary.indexer.service.queue_rows import ALONE_AFTER, MAX_ATTEMPTS
from captionary.serving.problems import Problem
from tests.indexer.service.queues import made, pairs, taken


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    queue = made(tmp_path)
    yield queue
    queue.close()


def test_a_pair_comes_out_as_it_went_in(queue: JobQueue) -> None:
    pair = AcceptedPair(
        name='ä "b"\x00.png',
        captions=("one", "zwei ü\n"),
        id="my/own id",
        image_id="my/own id",
        source="s",
        tags=("x", "y"),
        upload="file",
        bytes=17,
    )
    fetched = AcceptedPair("http://a/b", ("two",), url="http://a/b")
    queue.add_pairs([pair, fetched])
    assert [queued.pair for queued in taken(queue)] == [pair, fetched]


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=5), limit=st.integers(1, 8))
@settings(max_examples=30)
def test_small_jobs_are_not_held_up(sizes: list[int], limit: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        queue = made(Path(folder))
        for size in sizes:
            queue.add_pairs(pairs(size))
        order = []
        while work := queue.take(limit):
            assert isinstance(work, list)
            assert len(work) <= limit
            order += [(pair.number, pair.job) for pair in work]
            queue.finish_pairs(work, {})
        queue.close()
    assert order == sorted((n, job) for job, size in enumerate(sizes, 1) for n in range(size))


STEPS = st.one_of(
    st.tuples(st.sampled_from(["add", "replace"]), st.integers(1, 5)),
    st.tuples(st.just("remove"), st.just(0)),
    st.tuples(st.sampled_from(["finish", "kill", "give back", "suspect"]), st.integers(1, 6)),
)


def lost(queue: JobQueue, names: list[str]) -> set[tuple[int, int]]:
    """Pairs that were given up."""
    jobs = enumerate((queue.read_job(name, {}) for name in names), 1)
    return {(number, f.pair) for number, job in jobs if job for f in job.failures}


@given(steps=st.lists(STEPS, min_size=3, max_size=25))
@settings(max_examples=60)
def test_barriers_hold_and_nothing_is_lost_or_done_twice(
    steps: list[tuple[str, int]],
) -> None:
    """Whatever breaks off, and whenever the process ends, all is finished once and in order."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        queue = made(path)
        names: list[str] = []
        sizes: list[int] = []
        replacing: list[bool] = []
        finished: set[tuple[int, int]] = set()
        for step, number in [*steps, *[("finish", 6)] * 200]:
            if step in ("add", "replace"):
                names.append(
                    queue.add_pairs(pairs(number), "replacement" if step == "replace" else "pairs")
                )
                sizes.append(number)
                replacing.append(step == "replace")
            elif step == "remove":
                names.append(queue.add_order("source", "s"))
                sizes.append(0)
                replacing.append(False)
            else:
                work = queue.take(number)
                first = work[0] if isinstance(work, list) else work
                if isinstance(first, Order) or (first and first.kind == "replacement"):
                    before = {(j, n) for j, size in enumerate(sizes, 1) for n in range(size)}
                    done = finished | lost(queue, names)
                    assert {key for key in before if key[0] < first.job} <= done
                    assert not {key for key in finished if key[0] > first.job}
                if isinstance(work, list):
                    assert all(
                        (pair.kind == "replacement") == replacing[pair.job - 1] for pair in work
                    )
                    keys = {(pair.job, pair.number) for pair in work}
                    assert not keys & finished
                    assert len({pair.attempts >= ALONE_AFTER for pair in work}) == 1
                    if step == "finish":
                        queue.finish_pairs(work, {})
                        finished |= keys
                    elif step == "give back":
                        queue.requeue(work)
                    elif step == "suspect":
                        queue.isolate(work)
                elif isinstance(work, Order) and step == "finish":
                    queue.finish_order(work, None)
                if step == "kill":
                    queue.close()
                    queue = made(path)
        jobs = [queue.read_job(name, {}) for name in names]
        queue.close()
    assert len(finished) + sum(len(job.failures) for job in jobs if job) == sum(sizes)
    for job, size in zip(jobs, sizes, strict=True):
        assert job is not None
        assert (job.pairs, job.done) == (size, size)
        assert job.state in ("done", "failed")


def test_a_job_tells_its_state_and_its_failures(queue: JobQueue) -> None:
    name = queue.add_pairs(pairs(3))
    other = queue.add_pairs(pairs(1))
    removal = queue.add_order("image", "x")
    assert queue.read_job("unknown", {}) is None

    def told(of: str, dealt: int = 0) -> tuple[str, int, int]:
        job = queue.read_job(of, {1: dealt})
        assert job is not None
        return job.state, job.done, job.pairs

    assert told(name) == ("queued", 0, 3)
    first = taken(queue, 2)
    assert [pair.job for pair in first] == [1, 2]
    assert told(name) == ("running", 0, 3)
    assert told(name, dealt=1) == ("running", 1, 3)
    assert [ended.id for ended in queue.finish_pairs(first, {first[1].key: "it is torn"})] == [
        other
    ]
    assert told(name, dealt=1) == ("running", 1, 3)
    assert told(other) == ("failed", 1, 1)
    rest = taken(queue)
    (ended,) = queue.finish_pairs(rest, {rest[0].key: "it is dark"})
    assert (ended.id, ended.kind, ended.pairs, ended.failed) == (name, "pairs", 3, 1)
    assert told(name) == ("done", 3, 3)
    job = queue.read_job(name, {})
    assert job is not None
    assert [(f.pair, f.image, f.reason) for f in job.failures] == [(1, "1.png", "it is dark")]
    assert told(removal) == ("queued", 0, 0)
    work = queue.take(9)
    assert work == Order(3, "image", "x")
    assert told(removal) == ("running", 0, 0)
    queue.finish_order(work, None)
    assert told(removal) == ("done", 0, 0)
    assert queue.take(9) is None


def test_suspects_are_taken_alone_and_later_ones_wait(queue: JobQueue) -> None:
    queue.add_pairs(pairs(3))
    first = taken(queue, 2)
    queue.isolate(first)
    for number in (0, 1):
        (alone,) = taken(queue)
        assert (alone.number, alone.attempts) == (number, ALONE_AFTER)
        queue.finish_pairs([alone], {})
    (last,) = taken(queue)
    assert (last.number, last.attempts) == (2, 0)


def test_attempts_that_were_not_the_pairs_fault_do_not_count(queue: JobQueue) -> None:
    queue.add_pairs(pairs(2))
    for _ in range(3 * MAX_ATTEMPTS):
        both = taken(queue)
        assert [pair.attempts for pair in both] == [0, 0]
        queue.requeue(both)


def test_a_pair_that_ends_the_process_is_given_up(tmp_path: Path) -> None:
    queue = made(tmp_path)
    name = queue.add_pairs(pairs(2))
    for attempt in range(MAX_ATTEMPTS):
        batch = taken(queue)
        assert len(batch) == (2 if attempt < ALONE_AFTER else 1)
        queue.close()
        queue = made(tmp_path)
    (other,) = taken(queue)
    assert other.number == 1
    queue.finish_pairs([other], {})
    job = queue.read_job(name, {})
    queue.close()
    assert job is not None
    assert job.state == "done"
    assert [failure.pair for failure in job.failures] == [0]
    assert f"broke off {MAX_ATTEMPTS} times" in job.failures[0].reason


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    queue = made(tmp_path, most_pairs=4, most_bytes=100)
    large = [AcceptedPair("a", ("b",), upload="f", bytes=90)]
    queue.add_pairs(pairs(5))  # nothing waits, so even too much is let in
    for more in (pairs(1), large):
        with pytest.raises(Problem) as caught:
            queue.add_pairs(more)
        assert caught.value.status_code == 429
        assert caught.value.headers == {"Retry-After": "30"}
    with pytest.raises(Problem):
        queue.add_order("image", "x")
    queue.finish_pairs(taken(queue, 3), {})
    queue.add_order("image", "x")
    queue.add_pairs(large)
    with pytest.raises(Problem):
        queue.add_pairs(pairs(1))
    assert queue.backlog().pairs == 3
    assert queue.backlog().bytes == 90
    queue.close()
    assert queue.backlog().pairs == 0


def test_bytes_are_bounded_too(tmp_path: Path) -> None:
    queue = made(tmp_path, most_pairs=100, most_bytes=100)
    half = [AcceptedPair("a", ("b",), upload="f", bytes=50)]
    queue.add_pairs(half)
    queue.add_pairs(half)
    with pytest.raises(Problem, match="100 bytes are waiting"):
        queue.add_pairs([AcceptedPair("a", ("b",), upload="f", bytes=1)])
    queue.close()


def test_it_knows_what_a_removal_may_be_for(queue: JobQueue) -> None:
    queue.add_pairs(pairs(2, source="holiday"))
    assert queue.may_contain("source", "holiday")
    assert not queue.may_contain("source", "work")
    assert queue.may_contain("image", "i1")
    assert not queue.may_contain("image", "i2")
    queue.finish_pairs(taken(queue), {})
    assert not queue.may_contain("source", "holiday")
    assert not queue.may_contain("image", "i1")
    queue.add_pairs([AcceptedPair("http://a", ("b",), url="http://a")])
    assert queue.may_contain("image", "anything: nobody knows before it is fetched")


def test_finished_jobs_are_forgotten(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    done, open_one = queue.add_pairs(pairs(1)), queue.add_pairs(pairs(2))
    queue.finish_pairs(taken(queue, 2), {})
    assert queue.read_job(done, {}) is not None
    monkeypatch.setattr(queue_rows, "KEPT_SECONDS", -1)
    queue.finish_pairs(taken(queue, 1), {})
    assert queue.read_job(done, {}) is None
    assert queue.read_job(open_one, {}) is None
    monkeypatch.undo()
    assert queue.take(1) is None


def test_uploads_are_needed_until_their_pairs_are_done(queue: JobQueue) -> None:
    queue.add_pairs(
        [AcceptedPair("a", ("b",), upload="f0"), AcceptedPair("a", ("b",), url="http://c")]
    )
    queue.add_pairs([AcceptedPair("a", ("b",), upload="f1")])
    assert queue.needed_uploads() == {"f0", "f1"}
    queue.finish_pairs(taken(queue, 1), {})
    assert queue.needed_uploads() == {"f1"}
