from itertools import combinations

import numpy as np
import pytest

from captionary.pictograms.grounds import (
    GROUNDS,
    TILE_SIDES,
    TILES,
    Texture,
    blend_colours,
    draw_noise,
    draw_tile,
)


def tiles_of(size: int) -> list[Texture]:
    return [draw_tile(ground, tile, size) for ground in GROUNDS for tile in range(TILES)]


@pytest.mark.parametrize("size", [16, 64])
def test_tiles_are_pictures_larger_than_a_scene(size: int) -> None:
    for tile in tiles_of(size):
        assert tile.shape == (TILE_SIDES * size, TILE_SIDES * size, 3)
        assert tile.dtype == np.float32
        assert 0 <= tile.min() < tile.max() <= 1


def test_tiles_are_always_the_same() -> None:
    before = tiles_of(16)
    draw_tile.cache_clear()
    draw_tile(GROUNDS[-1], TILES - 1, 16)
    for one, other in zip(before, tiles_of(16), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_two_tiles_are_alike() -> None:
    assert all(np.abs(one - other).mean() > 0.005 for one, other in combinations(tiles_of(16), 2))


@pytest.mark.parametrize("cell", [1.0, (2.0, 8.0)])
def test_noise_is_centred_and_wraps(cell: tuple[float, float] | float) -> None:
    field = draw_noise(np.random.default_rng(0), 96, cell)
    assert field.dtype == np.float32
    assert float(field.mean()) == pytest.approx(0, abs=1e-5)
    assert float(field.std()) == pytest.approx(1, abs=1e-4)
    steps = np.abs(np.diff(field, axis=0)).mean()
    seam = np.abs(field[0] - field[-1]).mean()
    assert seam < 2 * steps


def test_shades_lie_between_two_colours() -> None:
    field = np.array([[-9, 0, 9]], np.float32)
    colours = blend_colours(field, (0, 51, 255), (255, 51, 0))
    np.testing.assert_allclose(colours, [[[0, 0.2, 1], [0.5, 0.2, 0.5], [1, 0.2, 0]]], atol=1e-6)
