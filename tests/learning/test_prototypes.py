import math
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import normalize

from learning.prototypes import kept_matches, matches, move_prototypes, prototype_loss

SEEDS = st.integers(0, 9999)
GROUPS = st.integers(1, 5)


def drawn(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def total(similarity: np.ndarray, order: tuple[int, ...]) -> float:
    return float(sum(similarity[group, own] for group, own in enumerate(order)))


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 4), groups=GROUPS, seed=SEEDS)
def test_matches_are_the_best_of_all_permutations(count: int, groups: int, seed: int) -> None:
    similarity = drawn(count, groups, groups, seed=seed)

    found = matches(similarity)

    assert found.shape == (count, groups)
    for each, order in zip(similarity.numpy(), found.tolist(), strict=True):
        totals = [total(each, other) for other in permutations(range(groups))]
        assert sorted(order) == list(range(groups))
        assert total(each, tuple(order)) == pytest.approx(max(totals))
        assert total(each, tuple(order)) >= np.mean(totals) - 1e-5  # never the least alike


def test_many_groups_are_matched_as_scipy_does() -> None:
    similarity = drawn(3, 40, 40, seed=0)

    found = matches(similarity)

    for each, order in zip(similarity.numpy(), found.numpy(), strict=True):
        assert (order == linear_sum_assignment(-each)[1]).all()


@settings(max_examples=40, deadline=None)
@given(groups=GROUPS, least=st.sampled_from([0.0, 0.1, 0.5, 0.9]), seed=SEEDS)
def test_what_is_kept_equals_a_plain_loop_over_the_diagonal(
    groups: int, least: float, seed: int
) -> None:
    similarity = drawn(3, groups, groups, seed=seed)

    kept = kept_matches(similarity, least=least)

    for number, each in enumerate(similarity.double().numpy()):
        for place in range(groups):
            column = each[:, place]
            low, high = min(column), max(column)
            share = (each[place, place] - low) / (high - low) if high > low else 0.0
            assert bool(kept[number, place]) == (share > least)


def test_a_match_that_its_prototype_likes_least_is_left_out() -> None:
    similarity = torch.tensor([[[0.9, 0.2, 0.5], [0.1, 0.1, 0.3], [0.2, 0.7, 0.5]]])

    assert kept_matches(similarity).tolist() == [[True, False, True]]
    assert kept_matches(similarity, least=-1.0).tolist() == [[True, True, True]]


def loss_by_loops(groups: np.ndarray, prototypes: np.ndarray, scale: float) -> float:
    losses = []
    for own, others in zip(groups, prototypes, strict=True):
        count = len(own)
        cosine = np.array(
            [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in others] for a in own]
        )
        order = max(permutations(range(count)), key=lambda other: total(cosine, other))
        matched = np.stack([cosine[:, own] for own in order], axis=1)
        for place in range(count):
            column = matched[:, place]
            span = max(column) - min(column)
            if span == 0 or (matched[place, place] - min(column)) / span <= 0.1:
                continue
            powers = np.exp(scale * matched)
            of_group = powers[place, place] / powers[place].sum()
            of_prototype = powers[place, place] / powers[:, place].sum()
            losses.append(-np.log(of_group) - np.log(of_prototype))
    return float(sum(losses) / max(1, len(losses)))


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 3), groups=GROUPS, scale=st.floats(1, 30), seed=SEEDS)
def test_the_loss_equals_plain_loops(count: int, groups: int, scale: float, seed: int) -> None:
    own = 3 * drawn(count, groups, 6, seed=seed).double()
    prototypes = drawn(count, groups, 6, seed=seed + 1).double()

    loss = prototype_loss(own, prototypes, scale=torch.tensor(scale))

    expected = loss_by_loops(own.numpy(), prototypes.numpy(), scale)
    assert float(loss) == pytest.approx(expected, rel=1e-6, abs=1e-9)


@settings(max_examples=20, deadline=None)
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

    prototype_loss(groups, prototypes, scale=scale).backward()

    assert prototypes.grad is None
    assert groups.grad is not None
    assert groups.grad.abs().sum() > 0
    assert scale.grad is not None
    assert scale.grad != 0


def test_groups_that_follow_their_gradient_find_a_prototype_each() -> None:
    prototypes, groups = drawn(1, 4, 8, seed=2), drawn(1, 4, 8, seed=3).requires_grad_()
    optimizer = torch.optim.Adam([groups], lr=0.05)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = prototype_loss(groups, prototypes, scale=torch.tensor(10.0))
        loss.backward()
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

    move_prototypes(kept, found)

    torch.testing.assert_close(kept, torch.stack(expected))
    torch.testing.assert_close(kept.norm(dim=1), torch.ones(3))
