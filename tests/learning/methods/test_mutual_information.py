import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.learning.methods.augmented_views import GLOBAL_AREA, overlap_within, random_box
from captionary.learning.methods.mutual_information import (
    align_views,
    information_loss,
    joint_probabilities,
)

SEEDS = st.integers(0, 9999)
GRID_HW = (5, 7)
SIZE_HW = (60, 90)


def shares(count: int, clusters: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(count, clusters, generator=random)).double().softmax(dim=1)


@settings(max_examples=30)
@given(count=st.integers(1, 12), clusters=st.integers(1, 6), seed=SEEDS)
def test_joint_probabilities_equal_plain_loops(count: int, clusters: int, seed: int) -> None:
    first, second = shares(count, clusters, seed), shares(count, clusters, seed + 1)

    joint = joint_probabilities(first, second)

    for one, other in np.ndindex(clusters, clusters):
        there = sum(float(first[row, one] * second[row, other]) for row in range(count)) / count
        back = sum(float(first[row, other] * second[row, one]) for row in range(count)) / count
        assert float(joint[one, other]) == pytest.approx((there + back) / 2)
    assert float(joint.sum()) == pytest.approx(1)
    torch.testing.assert_close(joint, joint_probabilities(second, first))


@settings(max_examples=30)
@given(clusters=st.integers(1, 6), seed=SEEDS)
def test_the_loss_equals_its_formula(clusters: int, seed: int) -> None:
    joint = joint_probabilities(shares(9, clusters, seed), shares(9, clusters, seed + 1))

    loss = information_loss(joint)

    expected = 0.0
    for one, other in np.ndindex(clusters, clusters):
        both = float(joint[one, other])
        row = sum(float(joint[one, number]) for number in range(clusters))
        column = sum(float(joint[number, other]) for number in range(clusters))
        expected -= both * (math.log(both) - math.log(row) - math.log(column))
    assert float(loss) == pytest.approx(expected, abs=1e-5)
    assert -math.log(clusters) - 1e-6 <= float(loss) <= 1e-6


@settings(max_examples=30)
@given(order=st.integers(1, 9).flatmap(lambda count: st.permutations(range(count))))
def test_the_loss_is_least_where_each_cluster_is_one_of_the_others(order: list[int]) -> None:
    count = len(order)
    joint = torch.zeros(count, count, dtype=torch.float64)
    joint[torch.arange(count), torch.tensor(order)] = 1 / count

    assert float(information_loss(joint)) == pytest.approx(-math.log(count), abs=1e-4)


@settings(max_examples=20)
@given(clusters=st.integers(1, 6), seed=SEEDS)
def test_independent_views_say_nothing_of_one_another(clusters: int, seed: int) -> None:
    (often,) = shares(1, clusters, seed)

    loss = information_loss(torch.outer(often, often))

    assert float(loss) == pytest.approx(0, abs=1e-5)


def test_one_cluster_for_all_is_no_better_than_chance() -> None:
    collapsed = torch.zeros(4, 4)
    collapsed[2, 2] = 1
    even = torch.eye(4) / 4
    uneven = torch.diag(torch.tensor([0.7, 0.1, 0.1, 0.1]))

    losses = [float(information_loss(joint)) for joint in (even, uneven, collapsed)]

    assert losses[0] < losses[1] < losses[2]
    assert losses[2] == pytest.approx(0, abs=1e-4)


def test_rare_clusters_have_a_gradient() -> None:
    joint = torch.zeros(3, 3)
    joint[0, 0] = 1
    joint.requires_grad_()

    (gradient,) = torch.autograd.grad(information_loss(joint), [joint])

    assert gradient.isfinite().all()


Box = tuple[float, float, float, float]


def places(box: Box, *, flip: bool) -> torch.Tensor:
    """The feature map of a view whose features are where in the picture they are, (h, w, 2)."""
    left, top, right, bottom = box
    rows, columns = GRID_HW
    features = torch.empty(rows, columns, 2)
    for row, column in np.ndindex(rows, columns):
        across = (column + 0.5) / columns
        features[row, column, 0] = left + (1 - across if flip else across) * (right - left)
        features[row, column, 1] = top + (row + 0.5) / rows * (bottom - top)
    return features


@settings(max_examples=30)
@given(seed=SEEDS, flips=st.lists(st.booleans(), min_size=4, max_size=4))
def test_corresponding_rows_show_the_same_place(seed: int, flips: list[bool]) -> None:
    random = np.random.default_rng(seed)
    pairs = [[random_box(SIZE_HW, random, area=GLOBAL_AREA) for _ in range(2)] for _ in range(2)]
    flipped = torch.tensor(flips).view(2, 2)
    maps = [
        torch.stack([places(pairs[n][view], flip=bool(flipped[n, view])) for n in range(2)])
        for view in range(2)
    ]
    shares = [[overlap_within(one, two), overlap_within(two, one)] for one, two in pairs]
    overlaps = torch.tensor(shares)

    first, second = align_views(maps[0], maps[1], overlaps, flipped)

    assert first.shape == second.shape == (2 * 5 * 7, 2)
    for number, boxes in enumerate(pairs):
        both = np.array(boxes)
        shared = both[:, :2].max(axis=0), both[:, 2:].min(axis=0)
        seen = [rows.view(2, *GRID_HW, 2)[number] for rows in (first, second)]
        for row, column in np.ndindex(GRID_HW):
            share = np.array([(column + 0.5) / GRID_HW[1], (row + 0.5) / GRID_HW[0]])
            true = shared[0] + share * (shared[1] - shared[0])
            for own, box in zip(seen, boxes, strict=True):
                half = np.subtract(box[2:], box[:2]) / GRID_HW[::-1] / 2
                inner = (true >= box[:2] + half) & (true <= box[2:] - half)
                # In the outer half of a border patch there is nothing to interpolate with.
                near = np.where(inner, 0, half) + 1e-3
                assert (abs(own[row, column].numpy() - true) <= near).all()


def test_the_same_view_twice_is_compared_patch_by_patch() -> None:
    features = torch.randn(2, *GRID_HW, 3, generator=torch.Generator().manual_seed(0))
    whole = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(2, 2, 4)
    mirrored = features.flip(2)

    first, second = align_views(features, mirrored, whole, torch.tensor([[False, True]] * 2))

    torch.testing.assert_close(first, features.flatten(0, 2))
    torch.testing.assert_close(second, first)


def test_gradients_go_back_to_the_patches_of_the_overlap() -> None:
    features = torch.randn(1, 4, 4, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    overlaps = torch.tensor([[[0.0, 0.0, 0.5, 1.0], [0.5, 0.0, 1.0, 1.0]]])

    first, _ = align_views(
        features, features.detach(), overlaps, torch.zeros(1, 2, dtype=torch.bool)
    )
    (gradient,) = torch.autograd.grad(first.sum(), [features])

    assert gradient[:, :, :2].min() > 0
    assert gradient[:, :, 3].abs().max() == 0
