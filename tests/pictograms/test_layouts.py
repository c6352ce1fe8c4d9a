import math
from collections import Counter
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.pictograms.grounds import GROUNDS, TILES
from captionary.pictograms.layouts import COUNT_SHARES, NEAREST, Layout, draw_layout
from captionary.pictograms.nouns import choose_nouns, read_nouns


def layout_of(seed: int, *, objects: int | None = None) -> Layout:
    return draw_layout(np.random.default_rng(seed), read_nouns(), objects=objects)


@given(st.integers(0, 2**32))
def test_objects_stand_in_the_scene_and_apart(seed: int) -> None:
    layout = layout_of(seed)
    assert 1 <= len(layout.poses) <= len(COUNT_SHARES)
    for pose in layout.poses:
        assert 0.42 * pose.side <= pose.x <= 1 - 0.42 * pose.side
        assert 0.42 * pose.side <= pose.y <= 1 - 0.42 * pose.side
        assert 0.1 < pose.side <= 0.85
        assert pose.sprite in pose.noun.sprites
        assert -40 <= pose.angle <= 40
    for one, other in combinations(layout.poses, 2):
        distance = math.hypot(one.x - other.x, one.y - other.y)
        assert distance >= NEAREST * (one.side + other.side)


@given(st.integers(0, 2**32))
def test_the_nearest_is_drawn_last(seed: int) -> None:
    feet = [pose.y + pose.side / 2 for pose in layout_of(seed).poses]
    assert all(upper <= lower for upper, lower in pairwise(feet))


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_as_many_objects_as_asked_for_or_fewer(seed: int, objects: int) -> None:
    assert 1 <= len(layout_of(seed, objects=objects).poses) <= objects


@given(st.integers(0, 2**32))
def test_only_the_given_nouns_stand_there(seed: int) -> None:
    nouns = choose_nouns("novel")[:3]
    layout = draw_layout(np.random.default_rng(seed), nouns)
    assert {pose.noun for pose in layout.poses} <= set(nouns)
    assert layout.ground in GROUNDS
    assert 0 <= layout.tile < TILES


def test_the_same_seed_gives_the_same_layout() -> None:
    assert layout_of(5) == layout_of(5) != layout_of(6)


def test_how_often_things_come() -> None:
    layouts = [layout_of(seed) for seed in range(2000)]
    counts = Counter(len(layout.poses) for layout in layouts)
    assert counts[1] / 2000 == pytest.approx(COUNT_SHARES[0], abs=0.04)
    assert counts[6] > 0.03 * 2000  # the last one does not always find room
    grounds = Counter(layout.ground.name for layout in layouts)
    assert min(grounds.values()) > 0.6 * 2000 / len(GROUNDS)
    assert {pose.noun for layout in layouts for pose in layout.poses} == set(read_nouns())
