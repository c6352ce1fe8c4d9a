"""Where the time goes: parts of a program, each charged only with what it does itself.

A part that calls another part stands still meanwhile, so the parts add up to the whole, also where
several threads work.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.engine import CollectionName, Engine

T = TypeVar("T")


class Clock:
    """Seconds by part. Safe between threads; each has its own parts under way.

    phase: put before the names of parts from now on.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Charge what happens inside to a part, but for the parts inside of it."""
        outer: str | None = getattr(self._here, "name", None)
        name = f"{self.phase}{name}"
        self._switch(outer, name)
        try:
            yield
        finally:
            self._switch(name, outer)

    def _switch(self, before: str | None, after: str | None) -> None:
        now = time.perf_counter()
        if before is not None:
            with self._lock:
                self.seconds[before] += now - self._here.since
        self._here.name, self._here.since = after, now

    def watch(self, name: str, subject: T) -> T:
        """The subject, with the time of all its methods charged to a part."""
        return cast(T, Watched(self, name, subject))

    def watch_engine(self, name: str, engine: EdgeEngine) -> Engine:
        """An engine whose collections are watched too."""
        return cast(Engine, WatchedEngine(self, name, engine))

    def table(self) -> list[tuple[str, float, float]]:
        """Part, seconds and share in [0, 1] of all, largest first."""
        total = sum(self.seconds.values())
        rows = sorted(self.seconds.items(), key=lambda item: -item[1])
        return [(name, seconds, seconds / total) for name, seconds in rows]


class Watched:
    """Stands for an object; calls, and steps of the iterators they answer, are charged."""

    def __init__(self, clock: Clock, name: str, subject: Any) -> None:
        self._clock, self._name, self._subject = clock, name, subject

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self._subject, attribute)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            with self._clock.part(self._name):
                answer = value(*arguments, **named)
            return self._steps(answer) if isinstance(answer, Iterator) else answer

        return call

    def _steps(self, steps: Iterator[T]) -> Iterator[T]:
        while True:
            with self._clock.part(self._name):
                try:
                    step = next(steps)
                except StopIteration:
                    return
            yield step


class WatchedEngine(Watched):
    """Watches an engine and its collections."""

    def collection(self, name: CollectionName) -> Any:
        """One of the collections, watched."""
        return Watched(self._clock, self._name, self._subject.collection(name))


def print_shares(clock: Clock, *, count: int) -> None:
    """Print seconds a picture and share of each part."""
    for name, seconds, share in clock.table():
        print(f"  {name:<36}{seconds / count:>9.4f} s{share:>9.1%}")
    whole = sum(seconds for _, seconds, _ in clock.table())
    main = sum(share for name, _, share in clock.table() if "encoder" in name or "proposer" in name)
    print(f"  {'all':<36}{whole / count:>9.4f} s")
    print(f"  {'encoder + proposer':<36}{'':>11}{main:>9.1%}", flush=True)
