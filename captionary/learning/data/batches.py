"""Batches as a pure function of the step: a run that is resumed goes on with the very next one."""

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from captionary.learning.data.examples import Example, Examples
from captionary.schemas.errors import WrongInput

Batch: TypeAlias = tuple[torch.Tensor, ...]
"""What a model is given at one step: tensors whose first axis counts examples."""

Draw: TypeAlias = tuple[int, int]
"""Number of an example, and of the pass through all examples that it is drawn in."""

T = TypeVar("T")

ROUNDS = 4
PREFETCHED = 4
"""Batches that each worker has ready."""


class Inputs(Protocol[T]):
    """Turns examples into what a model is given; runs in the workers."""

    def one(self, example: Example, random: np.random.Generator) -> T:
        """Prepare one example; whatever is drawn, is drawn from `random`."""
        ...

    def together(self, prepared: Sequence[T]) -> Batch:
        """Put prepared examples into one batch."""
        ...


def shuffled(positions: NDArray[np.uint64], *, length: int, key: int) -> NDArray[np.uint64]:
    """A permutation of 0..length-1, evaluated at some positions: (N,) uint64 -> (N,) uint64.

    A Feistel network on the smallest even number of bits that holds `length`; what falls outside
    is sent through again (Black and Rogaway, 2002). It takes no memory, so a set may have any
    length, and the order at a position needs no knowledge of the order before.
    """
    half = np.uint64(max(1, ((length - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    result = positions.astype(np.uint64)
    outside = np.ones(len(result), dtype=np.bool_)
    while outside.any():
        left, right = result[outside] >> half, result[outside] & mask
        for turn in range(ROUNDS):
            left, right = right, left ^ (_mixed(right, key * ROUNDS + turn) & mask)
        result[outside] = (left << half) | right
        outside = result >= length
    return result


def _mixed(values: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """Scatter 64-bit numbers (the finisher of SplitMix64; Steele, Lea and Flood, 2014)."""
    mixed = values + np.uint64((key + 1) * 0x9E3779B97F4A7C15 % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


@dataclass(frozen=True, slots=True)
class Order:
    """Which examples a step draws.

    Every pass through the examples has an order of its own. What does not fill a batch at the end
    of a pass is left out of that pass, so that no batch has an example twice.

    length:     number of examples.
    batch_size: examples a step, over all processes.
    rank:       which of `ranks` equal parts of the batch is this process's.
    """

    length: int
    batch_size: int
    seed: int
    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        if self.batch_size > self.length:
            raise WrongInput(
                f"a batch of {self.batch_size} is more than the {self.length} pictures to learn "
                "from; give a smaller --batch or more pictures"
            )
        if self.batch_size % self.ranks:
            raise WrongInput(
                f"a batch of {self.batch_size} does not divide among {self.ranks} processes; "
                f"give a --batch that is a multiple of {self.ranks}"
            )

    def draws(self, step: int) -> list[Draw]:
        """What this process draws at a step, counted from 0."""
        turn, within = divmod(step, self.length // self.batch_size)
        share = self.batch_size // self.ranks
        first = within * self.batch_size + self.rank * share
        positions = np.arange(first, first + share, dtype=np.uint64)
        key = int(np.random.SeedSequence((self.seed, turn)).generate_state(1)[0])
        indices = shuffled(positions, length=self.length, key=key)
        return [(index, turn) for index in indices.tolist()]


@dataclass(frozen=True)
class Prepared(Dataset[T], Generic[T]):
    """Examples, prepared when they are drawn; equal draws are prepared equally."""

    examples: Examples
    inputs: Inputs[T]
    seed: int

    def __getitem__(self, draw: Draw) -> T:
        """Read and prepare what was drawn."""
        index, turn = draw
        random = np.random.default_rng((self.seed, turn, index))
        return self.inputs.one(self.examples[index], random)


@dataclass(frozen=True)
class Batches(Generic[T]):
    """The batches of a run.

    workers: processes that read and prepare; 0: this one does it itself, between the steps.
    pinned:  put batches where a GPU can fetch them while it computes.
    """

    examples: Examples
    inputs: Inputs[T]
    batch_size: int
    seed: int = 0
    rank: int = 0
    ranks: int = 1
    workers: int = 0
    pinned: bool = False

    def __post_init__(self) -> None:
        self._order()

    def _order(self) -> Order:
        return Order(len(self.examples), self.batch_size, self.seed, self.rank, self.ranks)

    def stream(self, first: int, last: int) -> Iterator[Batch]:
        """This process's share of the batches of the steps `first` to `last` - 1."""
        order = self._order()
        draws = (order.draws(step) for step in range(first, last))
        data = Prepared(self.examples, self.inputs, self.seed)
        yield from loader(
            data, draws, self.inputs.together, workers=self.workers, pinned=self.pinned
        )


def loader(
    data: Prepared[T],
    draws: Iterable[list[Draw]],
    together: Callable[[Sequence[T]], Batch],
    *,
    workers: int,
    pinned: bool = False,
) -> DataLoader[T]:
    """Read and prepare draws, a list of them a batch, in other processes where there are any."""
    return DataLoader(
        data,
        batch_sampler=draws,
        collate_fn=together,
        num_workers=workers,
        pin_memory=pinned,
        prefetch_factor=PREFETCHED if workers else None,
        worker_init_fn=_leave_signals_alone,
    )


def _leave_signals_alone(_worker: int) -> None:
    """Ctrl-C and torchrun signal every process; only the trainer is to decide what it means."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
