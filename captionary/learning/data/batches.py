"""Batches as a pure function of the step: a run that is resumed goes on with the very next one.

Examples are drawn without replacement, in another order at every pass, and prepared by a PyTorch
DataLoader's workers.
"""

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
"""The input of a model at one step: tensors whose first axis counts examples."""

Draw: TypeAlias = tuple[int, int]
"""Number of an example, and of the pass through all examples that it is drawn in."""

T = TypeVar("T")

ROUNDS = 4
PREFETCH = 4
"""Batches that each worker has ready."""


class Preprocessor(Protocol[T]):
    """Turns examples into the input of a model; runs in the workers."""

    def prepare(self, example: Example, random: np.random.Generator) -> T:
        """Prepare one example; all that is random about it comes from `random`."""
        ...

    def collate(self, prepared: Sequence[T]) -> Batch:
        """Put prepared examples into one batch."""
        ...


def permute(positions: NDArray[np.uint64], *, length: int, key: int) -> NDArray[np.uint64]:
    """A permutation of 0..length-1, evaluated at some positions: (N,) uint64 -> (N,) uint64.

    A Feistel network on the smallest even number of bits that holds `length`; what falls outside
    is sent through again (cycle walking; Black and Rogaway, 2002). It takes no memory, so a set may
    have any length, and the order at a position needs no knowledge of the order before.
    """
    half = np.uint64(max(1, ((length - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    result = positions.astype(np.uint64)
    # The network permutes 0..2^bits-1: walking on from a value outside ends at one inside, and
    # no two walks end at the same.
    outside = np.ones(len(result), dtype=np.bool_)
    while outside.any():
        left, right = result[outside] >> half, result[outside] & mask
        for number in range(ROUNDS):
            left, right = right, left ^ (_splitmix64(right, key * ROUNDS + number) & mask)
        result[outside] = (left << half) | right
        outside = result >= length
    return result


def _splitmix64(values: NDArray[np.uint64], key: int) -> NDArray[np.uint64]:
    """Hash 64-bit numbers (the finisher of SplitMix64; Steele, Lea and Flood, 2014)."""
    mixed = values + np.uint64((key + 1) * 0x9E3779B97F4A7C15 % (1 << 64))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result


@dataclass(frozen=True, slots=True)
class SamplingOrder:
    """The examples of each step.

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
        """The draws of this process at a step, counted from 0."""
        epoch, within = divmod(step, self.length // self.batch_size)
        # All processes evaluate the same permutation and take a part of it: nothing is exchanged.
        share = self.batch_size // self.ranks
        first = within * self.batch_size + self.rank * share
        positions = np.arange(first, first + share, dtype=np.uint64)
        key = int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0])
        indices = permute(positions, length=self.length, key=key)
        return [(index, epoch) for index in indices.tolist()]


@dataclass(frozen=True)
class PreparedExamples(Dataset[T], Generic[T]):
    """A dataset of examples, prepared when they are drawn; equal draws are prepared equally."""

    examples: Examples
    preprocessor: Preprocessor[T]
    seed: int

    def __getitem__(self, draw: Draw) -> T:
        """Read and prepare the example of a draw."""
        index, epoch = draw
        # Seeded by the draw and not by the worker: however many there are, examples are the same.
        random = np.random.default_rng((self.seed, epoch, index))
        return self.preprocessor.prepare(self.examples[index], random)


@dataclass(frozen=True)
class Batches(Generic[T]):
    """The batches of a run.

    workers: processes that read and prepare; 0: this one does it itself, between the steps.
    pinned:  put batches where a GPU can fetch them while it computes.
    """

    examples: Examples
    preprocessor: Preprocessor[T]
    batch_size: int
    seed: int = 0
    rank: int = 0
    ranks: int = 1
    workers: int = 0
    pinned: bool = False

    def __post_init__(self) -> None:
        # A batch size that does not fit is to be refused now, not when the first batch is drawn.
        self._order()

    def _order(self) -> SamplingOrder:
        return SamplingOrder(len(self.examples), self.batch_size, self.seed, self.rank, self.ranks)

    def stream(self, first: int, last: int) -> Iterator[Batch]:
        """This process's share of the batches of the steps `first` to `last` - 1."""
        order = self._order()
        draws = (order.draws(step) for step in range(first, last))
        data = PreparedExamples(self.examples, self.preprocessor, self.seed)
        yield from build_loader(
            data, draws, self.preprocessor.collate, workers=self.workers, pinned=self.pinned
        )


def build_loader(
    data: PreparedExamples[T],
    draws: Iterable[list[Draw]],
    collate: Callable[[Sequence[T]], Batch],
    *,
    workers: int,
    pinned: bool = False,
) -> DataLoader[T]:
    """A loader of batches, each a list of draws, prepared in `workers` processes or in this one."""
    # Batches are sampled as lists of draws: with torch's own sampler a run that is resumed would
    # have to draw again all that it had drawn before.
    return DataLoader(
        data,
        batch_sampler=draws,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=pinned,
        # torch refuses a number where there are no workers.
        prefetch_factor=PREFETCH if workers else None,
        worker_init_fn=_ignore_stop_signals,
    )


def _ignore_stop_signals(_worker: int) -> None:
    """Leave SIGINT and SIGTERM to the trainer: Ctrl-C and torchrun signal the workers too."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
