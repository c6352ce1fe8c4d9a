"""Draws a layout: the picture, and the owner of each pixel."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captionary.pictograms.grounds import Texture
from captionary.pictograms.layouts import Layout, Light, Pose
from captionary.schemas.arrays import LabelMap, Rgb

SHADOW = 0.35
"""Share of the ground's light that a shadow takes away."""


def draw_scene(
    layout: Layout, *, size: int, sprites: Sequence[Image.Image], tile: Texture
) -> tuple[Rgb, LabelMap]:
    """Draw a scene of `size` pixels a side.

    Args:
        sprites: all sprites of the sheet.
        tile:    the texture of the layout's ground, larger than the scene.

    Returns:
        The picture, (size, size, 3) uint8, and the owner of each pixel, (size, size) int32: the
        number of a pose in the layout, -1 for the ground. A pixel belongs to the last object that
        covers at least half of it; shadows belong to nobody.
    """
    canvas = _cut_ground(layout, size, tile)
    owner = np.full((size, size), -1, np.int32)
    for number, pose in enumerate(layout.poses):
        _draw_object(canvas, owner, number, pose, sprites[pose.sprite])
    canvas *= _light_factors(layout.light, size)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8), owner


def _cut_ground(layout: Layout, size: int, tile: Texture) -> Texture:
    """A window of the ground's tile, mirrored as the layout says, (size, size, 3)."""
    room = len(tile) - size
    down, across, upside, mirrored = layout.window
    top, left = round(down * room), round(across * room)
    cut = tile[top : top + size, left : left + size]
    return cut[:: -1 if upside else 1, :: -1 if mirrored else 1].copy()


def _draw_object(
    canvas: Texture, owner: LabelMap, number: int, pose: Pose, sprite: Image.Image
) -> None:
    """Paint an object and its shadow onto the canvas, and its number onto the owners, in place."""
    size = len(canvas)
    drawn = _transform_sprite(pose, sprite, size)
    height, width = drawn.shape[:2]
    top, left = round(pose.y * size - height / 2), round(pose.x * size - width / 2)
    # The shadow is the sprite's own shape, a little lower and half as far to the right. It is drawn
    # first, so that the object stands on it.
    drop = max(1, round(0.04 * pose.side * size))
    for shift, shadow in ((drop, True), (0, False)):
        rows = slice(max(0, top + shift), min(size, top + shift + height))
        columns = slice(max(0, left + shift // 2), min(size, left + shift // 2 + width))
        patch = drawn[
            rows.start - top - shift : rows.stop - top - shift,
            columns.start - left - shift // 2 : columns.stop - left - shift // 2,
        ]
        alpha = patch[..., 3:]
        if shadow:
            canvas[rows, columns] *= 1 - SHADOW * alpha
            continue
        tinted = patch[..., :3] * np.array(pose.tint, np.float32)
        canvas[rows, columns] += alpha * (tinted - canvas[rows, columns])
        owner[rows, columns][alpha[..., 0] >= 0.5] = number


def _transform_sprite(pose: Pose, sprite: Image.Image, size: int) -> NDArray[np.float32]:
    """The sprite scaled, mirrored and turned as its pose says, (h, w, 4) float32 in [0, 1]."""
    scale = pose.side * size / max(sprite.size)
    width, height = (max(2, round(side * scale)) for side in sprite.size)
    small = sprite.resize((width, height), Image.Resampling.BILINEAR)
    if pose.mirrored:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned = small.rotate(pose.angle, Image.Resampling.BILINEAR, expand=True)
    return np.asarray(turned, np.float32) / np.float32(255)


def _light_factors(light: Light, size: int) -> NDArray[np.float32]:
    """Factor of each pixel and colour, (size, size, 3)."""
    across = np.linspace(-1, 1, size, dtype=np.float32)
    plane = light.gain + light.slope_x * across[None, :] + light.slope_y * across[:, None]
    warmth = np.array([1 + light.warmth, 1.0, 1 - light.warmth], np.float32)
    return np.asarray(plane[..., None] * warmth, np.float32)
