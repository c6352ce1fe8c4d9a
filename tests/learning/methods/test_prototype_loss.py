import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import normalize

from captionary.learning.methods.prototype_loss import (
    good_matches,
    match_one_to_one,
    prototype_loss,
    update_group_prototypes,
)

SEEDS = st.integers(0, 9999)
GROUPS = st.integers(1, 5)


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def total(similarity: np.ndarray, groups: Sequence[int]) -> float:
    return float(sum(similarity[group, own] for own, group in enumerate(groups)))


def all_choices(groups: int, prototypes: int) -> list[tuple[int, ...]]:
    """Every way to give each prototype a group of its own."""
    return [*permutations(range(groups), prototypes)]


@settings(max_examples=40)
@given(count=st.integers(1, 4), groups=GROUPS, fewer=st.integers(0, 2), seed=SEEDS)
def test_matches_are_the_best_of_all_choices(
    count: int, groups: int, fewer: int, seed: int
) -> None:
    prototypes = max(1, groups - fewer)
    similarity = drawn(count, groups, prototypes, seed=seed)

    found = match_one_to_one(similarity)

    assert found.shape == (count, prototypes)
    for each, chosen in zip(similarity.numpy(), found.tolist(), strict=True):
        totals = [total(each, other) for other in all_choices(groups, prototypes)]
        assert len(set(chosen)) == prototypes
        assert total(each, chosen) == pytest.approx(max(totals))
        assert total(each, chosen) >= np.mean(totals) - 1e-5  # never the least alike


def test_many_groups_are_matched_as_scipy_does() -> None:
    similarity = drawn(3, 40, 40, seed=0)

    found = match_one_to_one(similarity)

    for each, chosen in zip(similarity.numpy(), found.tolist(), strict=True):
        groups, own = linear_sum_assignment(-each)
        assert [chosen[column] for column in own] == groups.tolist()


@settings(max_examples=40)
@given(
    groups=st.integers(2, 5),
    counts=st.lists(st.booleans(), min_size=1, max_size=5),
    seed=SEEDS,
)
def test_what_does_not_count_takes_no_group_that_another_needs(
    groups: int, counts: list[bool], seed: int
) -> None:
    there = torch.tensor(counts[:groups])
    similarity = drawn(1, groups, len(there), seed=seed)

    (chosen,) = match_one_to_one(similarity.masked_fill(~there, -torch.inf))

    assert len(set(chosen.tolist())) == len(there)
    if there.any():
        (alone,) = match_one_to_one(similarity[:, :, there])
        assert chosen[there].tolist() == alone.tolist()


@settings(max_examples=40)
@given(groups=GROUPS, fewer=st.integers(0, 2), least=st.sampled_from([0.0, 0.1, 0.9]), seed=SEEDS)
def test_what_is_kept_equals_a_plain_loop_over_the_matches(
    groups: int, fewer: int, least: float, seed: int
) -> None:
    prototypes = max(1, groups - fewer)
    similarity = drawn(3, groups, prototypes, seed=seed)
    chosen = drawn(3, groups, seed=seed).argsort(dim=1)[:, :prototypes]

    kept = good_matches(similarity, chosen, least=least)

    for number, each in enumerate(similarity.double().numpy()):
        for place in range(prototypes):
            column = each[:, place]
            low, high = min(column), max(column)
            own = column[chosen[number, place]]
            share = (own - low) / (high - low) if high > low else 0.0
            assert bool(kept[number, place]) == (share > least)


def test_a_match_that_its_prototype_likes_least_is_left_out() -> None:
    similarity = torch.tensor([[[0.9, 0.2, 0.5], [0.1, 0.1, 0.3], [0.2, 0.7, 0.5]]])
    diagonal = torch.arange(3)[None]

    assert good_matches(similarity, diagonal).tolist() == [[True, False, True]]
    assert good_matches(similarity, diagonal, least=-1.0).all()
    assert good_matches(similarity, diagonal.flip(1)).tolist() == [[True, False, True]]


def loss_by_loops(groups: np.ndarray, prototypes: np.ndarray, scale: float) -> float:
    losses = []
    for own, others in zip(groups, prototypes, strict=True):
        cosine = np.array(
            [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in others] for a in own]
        ).reshape(len(own), len(others))
        choices = all_choices(len(own), len(others))
        chosen = max(choices, key=lambda other: total(cosine, other))
        powers = np.exp(scale * cosine)
        for place, group in enumerate(chosen):
            column = cosine[:, place]
            span = max(column) - min(column)
            if span == 0 or (column[group] - min(column)) / span <= 0.1:
                continue
            among_groups = powers[group, place] / powers[:, place].sum()
            among_prototypes = powers[group, place] / powers[group].sum()
            losses.append(-np.log(among_groups) - np.log(among_prototypes))
    return float(sum(losses) / max(1, len(losses)))


@settings(max_examples=60)
@given(
    count=st.integers(1, 3),
    groups=GROUPS,
    scale=st.floats(1, 30),
    seed=SEEDS,
)
def test_the_loss_equals_plain_loops(count: int, groups: int, scale: float, seed: int) -> None:
    own = 3 * drawn(count, groups, 6, seed=seed).double()
    others = drawn(count, groups, 6, seed=seed + 1).double()

    loss = prototype_loss(own, others, scale=torch.tensor(scale))

    expected = loss_by_loops(own.numpy(), others.numpy(), scale)
    assert float(loss) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@settings(max_examples=20)
@given(groups=st.integers(2, 6), seed=SEEDS)
def test_groups_that_stand_where_prototypes_do_have_no_loss(groups: int, seed: int) -> None:
    prototypes = normalize(drawn(2, groups, 16, seed=seed), dim=2)
    orders = [drawn(groups, seed=seed + number).argsort() for number in range(2)]
    same = torch.stack([5 * prototypes[number, order] for number, order in enumerate(orders)])

    for scale in (10.0, 200.0):
        loss = prototype_loss(same, prototypes, scale=torch.tensor(scale))

        ordered = prototype_loss(prototypes, prototypes, scale=torch.tensor(scale))
        torch.testing.assert_close(loss, ordered, atol=1e-4, rtol=1e-4)
        alike = float((prototypes @ prototypes.transpose(1, 2)).triu(1).max())
        assert float(loss) <= 2 * groups * math.exp(-scale * (1 - alike))


def test_groups_learn_from_prototypes_and_not_the_other_way() -> None:
    groups, prototypes = (drawn(2, 4, 8, seed=seed).requires_grad_() for seed in (0, 1))
    scale = torch.tensor(10.0, requires_grad=True)

    loss = prototype_loss(groups, prototypes, scale=scale)
    inputs = [groups, prototypes, scale]
    of_groups, of_prototypes, of_scale = torch.autograd.grad(loss, inputs, allow_unused=True)

    assert of_prototypes is None
    assert of_groups.abs().sum() > 0
    assert of_scale != 0


def test_groups_that_follow_their_gradient_find_a_prototype_each() -> None:
    prototypes, groups = drawn(1, 4, 8, seed=2), drawn(1, 4, 8, seed=3).requires_grad_()
    optimizer = torch.optim.Adam([groups], lr=0.05)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = prototype_loss(groups, prototypes, scale=torch.tensor(10.0))
        (groups.grad,) = torch.autograd.grad(loss, [groups])
        optimizer.step()
        losses.append(loss.item())

    cosine = normalize(groups.detach(), dim=2)[0] @ normalize(prototypes, dim=2)[0].T

    assert losses[-1] < 0.02 < losses[0]
    for axis in (0, 1):
        assert sorted(cosine.argmax(dim=axis).tolist()) == [0, 1, 2, 3]


def test_kept_prototypes_move_a_tenth_of_the_way_and_stay_unit_vectors() -> None:
    kept = normalize(drawn(3, 5, seed=4), dim=1)
    found = normalize(drawn(6, 3, 5, seed=5), dim=2)
    expected = []
    for group in range(3):
        mean = sum(found[number, group] for number in range(6)) / 6
        moved = 0.9 * kept[group] + 0.1 * mean
        expected.append(moved / moved.norm())

    update_group_prototypes(kept, found)

    torch.testing.assert_close(kept, torch.stack(expected))
    torch.testing.assert_close(kept.norm(dim=1), torch.ones(3))
