"""A cache of one entry: a function that keeps its last result, for calls with the same picture."""

import operator
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class LastInput(Generic[In, Out]):
    """Calls a function, unless the input is the one of the call before; each thread has its own.

    A proposer and an embedder want the same forward pass over a picture, one after the other. A
    cache by key would have to digest the picture; to compare it with the last one is cheaper.

    Args:
        function: what to compute; nobody may change its result later.
        same:     whether two inputs are the same one.
    """

    def __init__(
        self, function: Callable[[In], Out], same: Callable[[In, In], bool] = operator.is_
    ) -> None:
        self._function = function
        self._same = same
        self._last = threading.local()

    def __call__(self, value: In) -> Out:
        """Return the function's result."""
        # A local of the thread: threads that work on pictures of their own do not evict each other.
        if not hasattr(self._last, "input") or not self._same(self._last.input, value):
            self._last.result = self._function(value)
            # Set after the result: a call that fails leaves the last pair as it was.
            self._last.input = value
        result: Out = self._last.result
        return result
