"""Reading and writing in pages, so that no request is too large."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def pages(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield lists of at most `size` items, in order."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
