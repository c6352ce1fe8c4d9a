"""What learning needs of the readers of captioned pictures, which are handed to it.

`captionary.build_training` hands over those of `captionary index`; learning imports none.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.pairs import ImageCaption, PairItem


class NumberedPairs(Protocol):
    """Pairs by number; a list of them is one. Sent to other processes, so it can be pickled."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int, /) -> ImageCaption:
        """A pair that has at least one caption.

        Raises:
            UnreadablePicture: it cannot be read.
        """
        ...


class SelectablePairs(NumberedPairs, Protocol):
    """Pairs by number, of which parts can be chosen."""

    def select(self, numbers: NDArray[np.intp], /) -> Self:
        """The pairs of these numbers."""
        ...

    def without(self, numbers: NDArray[np.intp], /) -> Self:
        """All pairs but those of these numbers."""
        ...


class ShardIndex(Protocol):
    """The pairs of some shards."""

    @property
    def pairs(self) -> SelectablePairs:
        """All that can be used, in the order of the shards."""
        ...

    @property
    def digests(self) -> NDArray[np.uint64]:
        """Of each pair, (N,): its picture's name and captions, not where it is stored."""
        ...

    @property
    def left_out(self) -> int:
        """How many samples are no pairs."""
        ...

    @property
    def first_failure(self) -> str:
        """The first sample that is no pair, and why; empty where all are."""
        ...


class PairReader(Protocol):
    """Reads captioned pictures of a SOURCE."""

    def read_pairs(self, source: str, /, *, images: str | None) -> Iterator[PairItem]:
        """Stream pairs.

        Raises:
            WrongInput: SOURCE cannot be used at all (at the call), or breaks off (while reading).
        """
        ...

    def local_shards(self, source: str, /) -> list[str]:
        """The WebDataset shards of a SOURCE; none where it is no shards, or not all are local.

        Raises:
            WrongInput: SOURCE cannot be used at all.
        """
        ...

    def index_shards(
        self, shards: Sequence[str], /, *, folder: Path, report: Callable[[int], None]
    ) -> ShardIndex:
        """List the pairs of shards; the lists are kept in a folder.

        Args:
            report: called with the number of shards that are done.

        Raises:
            WrongInput: the folder cannot be written to.
        """
        ...
