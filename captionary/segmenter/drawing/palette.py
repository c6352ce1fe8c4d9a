"""Class colours: a palette of distinct colours, also for people with red-green colour blindness."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from captionary.segmenter.background import BACKGROUND

FIRST = ("E69F00", "56B4E9", "009E73", "F0E442", "0072B2", "D55E00", "CC79A7")
"""Okabe and Ito's palette (2008) without black; the other colours keep clear of it."""

DISTINCT = 160
"""How many colours there are before they repeat."""

GREY = (92, 96, 104)
"""The background's colour."""

# Machado, Oliveira and Fernandes, IEEE TVCG 15(6), 2009: linear RGB without red, or green, cones.
PROTANOPIA = ((0.1523, 1.0526, -0.2049), (0.1145, 0.7863, 0.0992), (-0.0039, -0.0481, 1.0520))
DEUTERANOPIA = ((0.3673, 0.8606, -0.2280), (0.2801, 0.6725, 0.0474), (-0.0118, 0.0429, 0.9689))

# Ottosson, "A perceptual color space for image processing", 2020: linear RGB to OKLab.
TO_LMS = ((0.4122, 0.5363, 0.0514), (0.2119, 0.6807, 0.1074), (0.0883, 0.2817, 0.6300))
TO_LAB = ((0.2105, 0.7936, -0.0041), (1.9780, -2.4286, 0.4506), (0.0259, 0.7828, -0.8087))


def class_colours(classes: tuple[str, ...]) -> NDArray[np.uint8]:
    """A colour per class, (C, 3) uint8 sRGB; it depends on the class's place in the list alone.

    A class named "background" is grey. Colours repeat after `DISTINCT` classes.
    """
    # Indexing with an array copies: the cached palette stays as it is.
    colours = distinct_colours()[np.arange(len(classes)) % DISTINCT]
    for index, name in enumerate(classes):
        if name.casefold() == BACKGROUND:
            colours[index] = GREY
    return colours


@cache
def distinct_colours() -> NDArray[np.uint8]:
    """Greedy farthest-point selection of `DISTINCT` colours, (DISTINCT, 3) uint8.

    The distance of two colours is that of normal vision, plus the least of three kinds of vision.
    """
    steps = np.linspace(0, 255, 18).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = _oklab(_linear(grid))
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    # Neither pale nor neon, neither dark nor light: names and lines are drawn on all of them.
    vivid = (chroma > 0.09) & (chroma < 0.25) & (lab[:, 0] > 0.48) & (lab[:, 0] < 0.92)
    # The known palette comes first, so few classes get colours that readers know from charts.
    first = np.array([list(bytes.fromhex(colour)) for colour in FIRST], np.uint8)
    colours = np.concatenate([first, grid[vivid]])
    perceived = _perceived(colours)
    chosen = list(range(len(first)))
    distance = np.min([_distance(perceived, index) for index in chosen], axis=0)
    while len(chosen) < DISTINCT:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, _distance(perceived, chosen[-1]))
    return colours[chosen]


def _perceived(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """OKLab of (N, 3) colours in normal vision, protanopia and deuteranopia, (3, N, 3)."""
    linear = _linear(colours)
    visions = [np.eye(3), np.array(PROTANOPIA), np.array(DEUTERANOPIA)]
    return np.stack([_oklab((linear @ vision.T).clip(0, 1)) for vision in visions])


def _distance(perceived: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.linalg.norm(
        perceived - perceived[:, index : index + 1], axis=2
    )
    total: NDArray[np.float64] = distance[0] + distance.min(axis=0)
    return total


def _linear(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    """SRGB (N, 3) uint8 to linear light in [0, 1] (IEC 61966-2-1)."""
    share = colours / 255
    linear: NDArray[np.float64] = np.where(
        share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4
    )
    return linear


def _oklab(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    lab: NDArray[np.float64] = np.cbrt(linear @ np.array(TO_LMS).T) @ np.array(TO_LAB).T
    return lab
