import asyncio
import threading
import time
from collections.abc import Callable

import pytest

from captionary.serving.limits import Gate
from captionary.serving.problems import Problem


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
    gate, work = Gate(working=2, waiting=6), Work()

    async def ask() -> list[str]:
        asked = [asyncio.create_task(gate.run(work)) for _ in range(8)]
        await until(lambda: work.now == 2)
        assert gate.inside == 8
        work.let_go()
        return await asyncio.gather(*asked)

    threads = asyncio.run(ask())
    assert (work.most, work.done, gate.inside) == (2, 8, 0)
    assert all(name.startswith("work") for name in threads)
    gate.close()


def test_a_full_line_turns_away_at_once() -> None:
    gate, work = Gate(working=1, waiting=2), Work()

    async def ask() -> None:
        asked = [asyncio.create_task(gate.run(work)) for _ in range(3)]
        await until(lambda: work.now == 1)
        start = time.perf_counter()
        with pytest.raises(Problem) as busy:
            await gate.run(work)
        assert time.perf_counter() - start < 1
        assert busy.value.status_code == 503
        assert busy.value.headers is not None
        # Three calls of a second each are expected, one at a time.
        assert busy.value.headers["Retry-After"] == "3"
        assert "come again in 3 s" in busy.value.detail
        work.let_go()
        await asyncio.gather(*asked)
        assert (await gate.run(lambda: "in again")) == "in again"

    asyncio.run(ask())
    assert work.done == 3
    gate.close()


def test_the_time_to_come_again_follows_the_time_of_the_work() -> None:
    gate, work = Gate(working=1, waiting=0), Work()

    async def ask() -> None:
        for _ in range(100):
            await gate.run(lambda: None)
        asked = asyncio.create_task(gate.run(work))
        await until(lambda: work.now == 1)
        with pytest.raises(Problem) as busy:
            await gate.run(work)
        # 100 calls that took no time: the expected second is long forgotten, and rounded up.
        assert busy.value.headers is not None
        assert busy.value.headers["Retry-After"] == "1"
        work.let_go()
        await asked

    asyncio.run(ask())
    gate.close()


def test_a_place_is_held_from_before_the_work_to_its_end() -> None:
    gate = Gate(working=1, waiting=0)

    async def ask() -> None:
        with gate.place():
            assert gate.inside == 1
            with pytest.raises(Problem, match="1 requests are under way"), gate.place():
                pass
            assert await gate.work(divmod, 7, 2) == (3, 1)
            assert gate.inside == 1
        with pytest.raises(LookupError), gate.place():
            raise LookupError("no body")
        assert gate.inside == 0

    asyncio.run(ask())
    gate.close()


def test_what_a_call_raises_is_raised_and_its_place_is_free_again() -> None:
    gate = Gate(working=1, waiting=0)

    def fail() -> None:
        raise LookupError("no such picture")

    async def ask() -> None:
        for _ in range(3):
            with pytest.raises(LookupError, match="no such picture"):
                await gate.run(fail)

    asyncio.run(ask())
    assert gate.inside == 0
    gate.close()


def test_arguments_reach_the_call() -> None:
    gate = Gate(working=1, waiting=0)
    assert asyncio.run(gate.run(divmod, 7, 2)) == (3, 1)
    assert asyncio.run(gate.run(sorted, [1, 3, 2], reverse=True)) == [3, 2, 1]
    gate.close()


def test_whoever_gives_up_in_line_leaves_it() -> None:
    gate, work = Gate(working=1, waiting=1), Work()

    async def ask() -> None:
        first = asyncio.create_task(gate.run(work))
        second = asyncio.create_task(gate.run(work))
        await until(lambda: work.now == 1 and gate.inside == 2)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        assert gate.inside == 1
        work.let_go()
        await first

    asyncio.run(ask())
    assert work.done == 1
    gate.close()


def test_closing_waits_for_what_is_at_work_and_drops_what_is_in_line() -> None:
    gate, work = Gate(working=1, waiting=1), Work()

    async def ask() -> list[str | BaseException]:
        asked = [asyncio.create_task(gate.run(work)) for _ in range(2)]
        await until(lambda: work.now == 1 and gate.inside == 2)
        closing = asyncio.create_task(asyncio.to_thread(gate.close))
        await until(asked[1].done)
        assert not closing.done()
        work.let_go()
        await closing
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second = asyncio.run(ask())
    assert isinstance(first, str)
    assert isinstance(second, asyncio.CancelledError)
    assert work.done == 1
