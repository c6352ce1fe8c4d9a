"""Random layouts: which objects stand where in a scene, on which ground, in which light."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captionary.pictograms.grounds import GROUNDS, TILES, Ground
from captionary.pictograms.nouns import Noun

COUNT_SHARES = (0.26, 0.2, 0.2, 0.14, 0.1, 0.1)
"""How often a scene has one, two, ... six objects."""
COPY_SHARES = (0.74, 0.16, 0.1)
"""How often a noun has one, two, three copies in a scene."""
NEAREST = 0.36
"""Least distance of two objects, as a share of the sum of their sides: they overlap a little."""
TRIES = 24
"""Random places tried for an object before it is left out."""


@dataclass(frozen=True, slots=True)
class Pose:
    """One object of a scene; lengths are shares of the scene's side.

    sprite:   its number on the sheet.
    x, y:     its centre.
    side:     of the square that holds it before it is turned.
    angle:    degrees, anticlockwise.
    tint:     factors of red, green and blue.
    """

    noun: Noun
    sprite: int
    x: float
    y: float
    side: float
    angle: float
    mirrored: bool
    tint: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness, warmth (blue to red, around 0) and where the light falls off to."""

    gain: float
    warmth: float
    slope_x: float
    slope_y: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A scene before it is drawn; objects in drawing order, the nearest last.

    window: which part of the ground's tile is shown: its corner, as shares of the free room down
        and across, and whether it is mirrored vertically and horizontally.
    """

    ground: Ground
    tile: int
    window: tuple[float, float, bool, bool]
    poses: tuple[Pose, ...]
    light: Light


def draw_layout(
    random: np.random.Generator, nouns: Sequence[Noun], *, objects: int | None = None
) -> Layout:
    """Draw a layout of some nouns, all equally likely.

    Args:
        objects: how many; None: one to six by COUNT_SHARES. Where they find no room, fewer.
    """
    count = objects or 1 + int(random.choice(len(COUNT_SHARES), p=COUNT_SHARES))
    chosen: list[Noun] = []
    while len(chosen) < count:
        copies = 1 + int(random.choice(len(COPY_SHARES), p=COPY_SHARES))
        chosen += [nouns[int(random.integers(len(nouns)))]] * copies
    poses: list[Pose] = []
    for noun in chosen[:count]:
        poses += _place(random, noun, count, poses)
    window = (random.uniform(), random.uniform(), random.uniform() < 0.5, random.uniform() < 0.5)
    return Layout(
        GROUNDS[int(random.integers(len(GROUNDS)))],
        int(random.integers(TILES)),
        window,
        tuple(sorted(poses, key=lambda pose: pose.y + pose.side / 2)),
        _draw_light(random),
    )


def _place(
    random: np.random.Generator, noun: Noun, count: int, others: Sequence[Pose]
) -> list[Pose]:
    """The pose of a noun where there is room beside the others, or none."""
    largest = min(0.85, 0.95 / np.sqrt(count))
    for _ in range(TRIES):
        side = random.uniform(0.55 * largest, largest)
        x, y = random.uniform(0.42 * side, 1 - 0.42 * side, 2)
        if all(np.hypot(x - o.x, y - o.y) >= NEAREST * (side + o.side) for o in others):
            return [_draw_pose(random, noun, float(x), float(y), float(side))]
    return []


def _draw_pose(random: np.random.Generator, noun: Noun, x: float, y: float, side: float) -> Pose:
    red, green, blue = random.normal(1.0, 0.05, 3)
    return Pose(
        noun=noun,
        sprite=int(random.choice(noun.sprites)),
        x=x,
        y=y,
        side=side,
        angle=float(np.clip(random.normal(0, 14), -40, 40)),
        mirrored=bool(random.uniform() < 0.5),
        tint=(float(red), float(green), float(blue)),
    )


def _draw_light(random: np.random.Generator) -> Light:
    return Light(
        gain=float(random.uniform(0.75, 1.12)),
        warmth=float(random.normal(0, 0.05)),
        slope_x=float(random.normal(0, 0.12)),
        slope_y=float(random.normal(0, 0.12)),
    )
