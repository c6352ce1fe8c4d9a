from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.pictograms.drawing import draw_scene
from captionary.pictograms.grounds import draw_tile
from captionary.pictograms.layouts import Layout, draw_layout
from captionary.pictograms.nouns import read_nouns
from captionary.pictograms.sprites import read_sprites
from captionary.schemas.arrays import LabelMap, Mask, Rgb

SIZE = 64
ANY_SEED = st.integers(0, 2**32)


def layout_of(seed: int, *, objects: int | None = None) -> Layout:
    return draw_layout(np.random.default_rng(seed), read_nouns(), objects=objects)


def draw(layout: Layout, size: int = SIZE) -> tuple[Rgb, LabelMap]:
    return draw_scene(
        layout, size=size, sprites=read_sprites(), tile=draw_tile(layout.ground, layout.tile, size)
    )


def reachable(layout: Layout, number: int, *, margin: float = 2.0) -> Mask:
    """Where an object can be at all: a circle round its square, and some pixels."""
    pose = layout.poses[number]
    across = np.arange(SIZE) + 0.5
    distance = np.hypot(across[None, :] - pose.x * SIZE, across[:, None] - pose.y * SIZE)
    return np.asarray(distance <= pose.side * SIZE / np.sqrt(2) + margin)


@settings(max_examples=50)
@given(ANY_SEED)
def test_each_pixel_belongs_to_an_object_near_it_or_to_the_ground(seed: int) -> None:
    layout = layout_of(seed)
    picture, owner = draw(layout)
    assert picture.shape == (SIZE, SIZE, 3)
    assert picture.dtype == np.uint8
    assert owner.shape == (SIZE, SIZE)
    assert owner.dtype == np.int32
    assert set(np.unique(owner)) <= {-1, *range(len(layout.poses))}
    for number in range(len(layout.poses)):
        assert not (owner == number)[~reachable(layout, number)].any()
    assert (owner == len(layout.poses) - 1).any()


@settings(max_examples=50)
@given(ANY_SEED)
def test_an_object_covers_what_it_covers_alone_less_what_stands_before_it(seed: int) -> None:
    layout = layout_of(seed)
    _, owner = draw(layout)
    expected = np.full_like(owner, -1)
    for number, pose in enumerate(layout.poses):
        _, alone = draw(replace(layout, poses=(pose,)))
        expected[alone == 0] = number
    np.testing.assert_array_equal(owner, expected)


@settings(max_examples=50)
@given(ANY_SEED)
def test_beside_the_objects_and_their_shadows_there_is_only_the_ground(seed: int) -> None:
    layout = layout_of(seed)
    picture, _ = draw(layout)
    ground, owner = draw(replace(layout, poses=()))
    assert (owner == -1).all()
    margin = 2 + 0.04 * 0.85 * SIZE * 2
    near = [reachable(layout, number, margin=margin) for number in range(len(layout.poses))]
    beside = ~np.any(near, axis=0)
    np.testing.assert_array_equal(picture[beside], ground[beside])


@settings(max_examples=50)
@given(ANY_SEED)
def test_an_object_is_as_large_as_its_sprite_says(seed: int) -> None:
    (pose,) = (layout := layout_of(seed, objects=1)).poses
    layout = replace(layout, poses=(replace(pose, x=0.5, y=0.5, side=0.7),))
    _, owner = draw(layout, size=128)
    sprite = read_sprites()[pose.sprite]
    solid = (np.asarray(sprite)[..., 3] >= 128).sum() / max(sprite.size) ** 2
    assert (owner == 0).mean() == pytest.approx(solid * 0.7**2, rel=0.15, abs=0.004)


@settings(max_examples=25)
@given(ANY_SEED)
def test_a_scene_has_the_same_shares_at_all_sizes(seed: int) -> None:
    layout = layout_of(seed)
    owners = [draw(layout, size=size)[1] for size in (64, 128)]
    for number in range(-1, len(layout.poses)):
        small, large = ((owner == number).mean() for owner in owners)
        assert small == pytest.approx(large, abs=0.02)


def test_objects_differ_from_their_ground() -> None:
    for seed in range(20):
        layout = layout_of(seed)
        picture, owner = draw(layout)
        ground, _ = draw(replace(layout, poses=()))
        changed = (picture != ground).any(axis=2)
        assert changed[owner >= 0].mean() > 0.95


def test_a_mirrored_object_is_mirrored() -> None:
    (pose,) = (layout := layout_of(3, objects=1)).poses
    still = replace(pose, x=0.5, y=0.5, side=0.5, angle=0.0)
    shapes = []
    for mirrored in (False, True):
        _, owner = draw(replace(layout, poses=(replace(still, mirrored=mirrored),)))
        rows, columns = (np.flatnonzero((owner == 0).any(axis=axis)) for axis in (1, 0))
        shapes.append(owner[np.ix_(rows, columns)])
    np.testing.assert_array_equal(shapes[0][:, ::-1], shapes[1])
    assert (shapes[0] != shapes[1]).any()
