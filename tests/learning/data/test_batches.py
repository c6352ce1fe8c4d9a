from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captionary.learning.data.batches import Batch, Batches, SamplingOrder, permute
from captionary.learning.data.examples import Example
from captionary.schemas.errors import WrongInput
from tests.learning.flag_pictures import Flags


class Numbers:
    """A preprocessor that shows draws: a pixel of the picture, and a random number."""

    def prepare(self, example: Example, random: np.random.Generator) -> tuple[int, int]:
        return int(example.picture.sum()), int(random.integers(1 << 30))

    def collate(self, prepared: Sequence[tuple[int, int]]) -> Batch:
        return (torch.tensor(prepared),)


def stream(first: int, last: int, *, workers: int = 0) -> list[torch.Tensor]:
    batches = Batches(Flags(37), Numbers(), 8, seed=3, workers=workers)
    return [batch[0] for batch in batches.stream(first, last)]


@given(st.integers(1, 3000), st.integers(0, 2**32 - 1))
def test_shuffling_is_a_permutation(length: int, key: int) -> None:
    order = permute(np.arange(length, dtype=np.uint64), length=length, key=key)

    assert sorted(order.tolist()) == list(range(length))


def test_shuffling_a_part_is_a_part_of_the_shuffle() -> None:
    whole = permute(np.arange(1000, dtype=np.uint64), length=1000, key=1)
    part = permute(np.arange(300, 310, dtype=np.uint64), length=1000, key=1)

    assert part.tolist() == whole[300:310].tolist()


def test_shuffling_leaves_no_trace_of_the_order() -> None:
    positions = np.arange(10_000, dtype=np.uint64)
    one, other = (permute(positions, length=10_000, key=key).astype(float) for key in (1, 2))

    assert abs(np.corrcoef(positions, one)[0, 1]) < 0.03
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(one[:-1], one[1:])[0, 1]) < 0.03


def test_a_set_may_be_of_any_length() -> None:
    order = SamplingOrder(1 << 40, 256, seed=0)
    drawn = {index for step in range(20) for index, _ in order.draws(step)}

    assert len(drawn) == 20 * 256
    assert max(drawn) > 1 << 39


@given(
    st.integers(1, 60), st.integers(1, 4), st.integers(1, 3), st.integers(0, 9), st.integers(0, 9)
)
def test_a_pass_draws_nothing_twice(
    length: int, share: int, ranks: int, seed: int, turn: int
) -> None:
    size = share * ranks
    if size > length:
        return
    steps = length // size
    draws = [
        draw
        for step in range(turn * steps, (turn + 1) * steps)
        for rank in range(ranks)
        for draw in SamplingOrder(length, size, seed, rank, ranks).draws(step)
    ]

    assert len({index for index, _ in draws}) == len(draws) == steps * size
    assert {number for _, number in draws} == {turn}


def test_every_pass_has_its_own_order() -> None:
    order = SamplingOrder(32, 32, seed=0)

    assert [index for index, _ in order.draws(0)] != [index for index, _ in order.draws(1)]


@pytest.mark.parametrize("ranks", [2, 4])
def test_processes_share_the_batch_of_one(ranks: int) -> None:
    whole = SamplingOrder(100, 8, seed=5).draws(17)
    parts = [SamplingOrder(100, 8, 5, rank, ranks).draws(17) for rank in range(ranks)]

    assert [draw for part in parts for draw in part] == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_goes_on_as_if_it_had_not_been_cut(workers: int) -> None:
    whole, rest = stream(0, 12), stream(7, 12, workers=workers)

    assert len(rest) == 5
    assert all(torch.equal(*pair) for pair in zip(whole[7:], rest, strict=True))
    assert stream(3, 3) == []


def test_another_pass_draws_other_random_numbers() -> None:
    (first,), (second,) = ([batch] for batch in stream(0, 8)[::4][:2])

    assert not set(first[:, 1].tolist()) & set(second[:, 1].tolist())


def test_batches_that_cannot_be_are_refused() -> None:
    with pytest.raises(WrongInput, match="batch of 8 is more than the 7 pictures"):
        Batches(Flags(7), Numbers(), 8)
    with pytest.raises(WrongInput, match="multiple of 3"):
        Batches(Flags(70), Numbers(), 8, ranks=3)
