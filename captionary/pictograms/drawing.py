"""Draws a layout: the picture, and which pixel belongs to what."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captionary.pictograms.grounds import Texture
from captionary.pictograms.layouts import Layout, Light, Pose
from captionary.schemas.arrays import LabelMap, Rgb

SHADOW = 0.35
"""How much of the ground's light a shadow takes."""


def draw_scene(
    layout: Layout,
    *,
    size: int,
    sprites: Sequence[Image.Image],
    tiles: Mapping[str, Sequence[Texture]],
) -> tuple[Rgb, LabelMap]:
    """Draw a scene of `size` pixels a side.

    Returns:
        The picture, (size, size, 3) uint8, and the owner of each pixel, (size, size) int32: the
        number of a pose in the layout, -1 for the ground. A pixel belongs to the last object that
        covers at least half of it; shadows belong to nobody.
    """
    canvas = _ground(layout, size, tiles[layout.ground.name])
    owner = np.full((size, size), -1, np.int32)
    for number, pose in enumerate(layout.poses):
        _draw_object(canvas, owner, number, pose, sprites[pose.sprite])
    canvas *= _lighting(layout.light, size)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8), owner


def _ground(layout: Layout, size: int, tiles: Sequence[Texture]) -> Texture:
    tile = tiles[layout.tile]
    room = len(tile) - size
    down, across, upside, mirrored = layout.window
    top, left = round(down * room), round(across * room)
    cut = tile[top : top + size, left : left + size]
    return cut[:: -1 if upside else 1, :: -1 if mirrored else 1].copy()


def _draw_object(
    canvas: Texture, owner: LabelMap, number: int, pose: Pose, sprite: Image.Image
) -> None:
    size = len(canvas)
    drawn = _turned(pose, sprite, size)
    height, width = drawn.shape[:2]
    top, left = round(pose.y * size - height / 2), round(pose.x * size - width / 2)
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


def _turned(pose: Pose, sprite: Image.Image, size: int) -> NDArray[np.float32]:
    """The sprite as it stands in the scene, (h, w, 4) float32 in [0, 1]."""
    scale = pose.side * size / max(sprite.size)
    width, height = (max(2, round(side * scale)) for side in sprite.size)
    small = sprite.resize((width, height), Image.Resampling.BILINEAR)
    if pose.mirrored:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    turned = small.rotate(pose.angle, Image.Resampling.BILINEAR, expand=True)
    return np.asarray(turned, np.float32) / np.float32(255)


def _lighting(light: Light, size: int) -> NDArray[np.float32]:
    """Factor of each pixel and colour, (size, size, 3)."""
    across = np.linspace(-1, 1, size, dtype=np.float32)
    plane = light.gain + light.slope_x * across[None, :] + light.slope_y * across[:, None]
    warmth = np.array([1 + light.warmth, 1.0, 1 - light.warmth], np.float32)
    return np.asarray(plane[..., None] * warmth, np.float32)
