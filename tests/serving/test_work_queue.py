import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from captionary.serving.problems import Problem
from captionary.serving.work_queue import WorkQueue


class Work:
    """Calls that hold on until they are let go, counted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._go = threading.Event()
        self.now = 0
        self.most = 0
        self.done = 0

    def __call__(self) -> str:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self._go.wait(10)
        with self._lock:
            self.now -= 1
            self.done += 1
        return threading.current_thread().name

    def let_go(self) -> None:
        self._go.set()


async def until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.005)
    pytest.fail("it did not come about within 5 s")


def test_never_more_at_work_than_said_and_all_in_line_get_their_turn() -> None:
    queue, work = WorkQueue(workers=2, waiting=6), Work()

    async def run_calls() -> list[str]:
        tasks = [asyncio.create_task(queue.run(work)) for _ in range(8)]
        await until(lambda: work.now == 2)
        assert queue.pending == 8
        work.let_go()
        return await asyncio.gather(*tasks)

    threads = asyncio.run(run_calls())
    assert (work.most, work.done, queue.pending) == (2, 8, 0)
    assert all(name.startswith("work") for name in threads)
    queue.close()


def test_a_full_line_turns_away_at_once() -> None:
    queue, work = WorkQueue(workers=1, waiting=2), Work()

    async def run_calls() -> None:
        tasks = [asyncio.create_task(queue.run(work)) for _ in range(3)]
        await until(lambda: work.now == 1)
        start = time.perf_counter()
        with pytest.raises(Problem) as busy:
            await queue.run(work)
        assert time.perf_counter() - start < 1
        assert busy.value.status_code == 503
        assert busy.value.headers is not None
        # Three calls of a second each are expected, one at a time.
        assert busy.value.headers["Retry-After"] == "3"
        assert "come again in 3 s" in busy.value.detail
        work.let_go()
        await asyncio.gather(*tasks)
        assert (await queue.run(lambda: "in again")) == "in again"

    asyncio.run(run_calls())
    assert work.done == 3
    queue.close()


def test_the_time_to_come_again_follows_the_time_of_the_work() -> None:
    queue, work = WorkQueue(workers=1, waiting=0), Work()

    async def run_calls() -> None:
        for _ in range(100):
            await queue.run(lambda: None)
        tasks = asyncio.create_task(queue.run(work))
        await until(lambda: work.now == 1)
        with pytest.raises(Problem) as busy:
            await queue.run(work)
        # 100 calls that took no time: the expected second is long forgotten, and rounded up.
        assert busy.value.headers is not None
        assert busy.value.headers["Retry-After"] == "1"
        work.let_go()
        await tasks

    asyncio.run(run_calls())
    queue.close()


def test_a_place_is_held_from_before_the_work_to_its_end() -> None:
    queue = WorkQueue(workers=1, waiting=0)

    async def run_calls() -> None:
        with queue.reserve():
            assert queue.pending == 1
            with pytest.raises(Problem, match="1 requests are under way"), queue.reserve():
                pass
            assert await queue.run_reserved(divmod, 7, 2) == (3, 1)
            assert queue.pending == 1
        with pytest.raises(LookupError), queue.reserve():
            raise LookupError("no body")
        assert queue.pending == 0

    asyncio.run(run_calls())
    queue.close()


def test_what_a_call_raises_is_raised_and_its_place_is_free_again() -> None:
    queue = WorkQueue(workers=1, waiting=0)

    def fail() -> None:
        raise LookupError("no such picture")

    async def run_calls() -> None:
        for _ in range(3):
            with pytest.raises(LookupError, match="no such picture"):
                await queue.run(fail)

    asyncio.run(run_calls())
    assert queue.pending == 0
    queue.close()


def test_arguments_reach_the_call() -> None:
    queue = WorkQueue(workers=1, waiting=0)
    assert asyncio.run(queue.run(divmod, 7, 2)) == (3, 1)
    assert asyncio.run(queue.run(sorted, [1, 3, 2], reverse=True)) == [3, 2, 1]
    queue.close()


def test_whoever_gives_up_in_line_leaves_it() -> None:
    queue, work = WorkQueue(workers=1, waiting=1), Work()

    async def run_calls() -> None:
        first = asyncio.create_task(queue.run(work))
        second = asyncio.create_task(queue.run(work))
        await until(lambda: work.now == 1 and queue.pending == 2)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert queue.pending == 1
        work.let_go()
        await first

    asyncio.run(run_calls())
    assert work.done == 1
    queue.close()


def test_closing_waits_for_what_is_at_work_and_drops_what_is_in_line() -> None:
    queue, work = WorkQueue(workers=1, waiting=1), Work()

    async def run_calls() -> list[str | BaseException]:
        tasks = [asyncio.create_task(queue.run(work)) for _ in range(2)]
        await until(lambda: work.now == 1 and queue.pending == 2)
        closing = asyncio.create_task(asyncio.to_thread(queue.close))
        await until(tasks[1].done)
        assert not closing.done()
        work.let_go()
        await closing
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second = asyncio.run(run_calls())
    assert isinstance(first, str)
    assert isinstance(second, asyncio.CancelledError)
    assert work.done == 1
