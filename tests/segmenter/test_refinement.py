from itertools import product

import numpy as np
import pytest
import torch

from captionary.segmenter.refinement import (
    DILATIONS,
    ITERATIONS,
    NEIGHBOURS,
    SHARPNESS,
    affinities,
    refine_borders,
)


def square() -> tuple[np.ndarray, np.ndarray]:
    """A red square on green, and its true classes."""
    truth = np.zeros((40, 50), np.int32)
    truth[10:30, 12:36] = 1
    pixels = np.where(truth[..., None] == 1, (200, 40, 30), (40, 160, 60)).astype(np.uint8)
    noise = np.random.default_rng(0).integers(-5, 6, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8), truth


def test_borders_move_to_where_colours_change() -> None:
    pixels, truth = square()
    ragged = np.roll(truth, (2, -2), axis=(0, 1))
    before, after = (ragged == truth).mean(), (refine_borders(ragged, pixels) == truth).mean()
    assert before < 0.95
    assert after > 0.99


def test_right_borders_stay() -> None:
    pixels, truth = square()
    np.testing.assert_array_equal(refine_borders(truth, pixels), truth)


def test_no_class_appears_and_numbers_are_kept() -> None:
    pixels, truth = square()
    numbers = np.where(truth == 1, 7, 300).astype(np.int32)
    answer = refine_borders(numbers, pixels)
    assert answer.dtype == np.int32
    assert set(np.unique(answer)) == {7, 300}


def test_equals_whole_planes() -> None:
    """Every class over the whole picture, where refine_borders() looks near its own box only."""
    random = np.random.default_rng(2)
    pixels = random.integers(0, 256, (130, 260, 3)).astype(np.uint8)
    class_map = np.zeros((130, 260), np.int32)
    class_map[:20, :30], class_map[100:, 200:] = 1, 2
    weights = affinities(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
    shares = torch.stack([torch.from_numpy(class_map == number) for number in range(3)]).float()
    rows, columns = np.indices(class_map.shape)
    for _ in range(ITERATIONS):
        total = torch.zeros_like(shares)
        for number, (dilation, (down, right)) in enumerate(product(DILATIONS, NEIGHBOURS)):
            y = np.clip(rows + dilation * down, 0, 129)
            x = np.clip(columns + dilation * right, 0, 259)
            total += weights[number] * shares[:, y, x]
        shares = total
    expected = shares.argmax(dim=0).numpy()
    assert (refine_borders(class_map, pixels) == expected).mean() > 0.999


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (5, 2)])
def test_odd_pictures(size: tuple[int, int]) -> None:
    class_map = np.full(size, 3, np.int32)
    pixels = np.zeros((*size, 3), np.uint8)
    np.testing.assert_array_equal(refine_borders(class_map, pixels), class_map)


def test_affinities_equal_the_formula_pixel_by_pixel() -> None:
    random = np.random.default_rng(1)
    picture = random.random((3, 6, 9)).astype(np.float32)
    weights = affinities(torch.from_numpy(picture)).numpy()
    assert weights.shape == (len(DILATIONS) * 8, 6, 9)
    for row, column in [(0, 0), (3, 4), (5, 8)]:
        colours = []
        for dilation in DILATIONS:
            for down, right in NEIGHBOURS:
                y = min(max(row + dilation * down, 0), 5)
                x = min(max(column + dilation * right, 0), 8)
                colours.append(picture[:, y, x].astype(np.float64))
        around = np.array(colours)
        here = picture[:, row, column]
        spread = np.vstack([around, here]).std(axis=0, ddof=1)
        logits = -(np.abs(around - here) / (SHARPNESS * spread + 1e-8)).mean(axis=1)
        expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        np.testing.assert_allclose(weights[:, row, column], expected, rtol=1e-3, atol=1e-6)
