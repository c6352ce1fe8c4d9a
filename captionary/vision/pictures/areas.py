"""Areas that people point at -> masks of their pictures, at the size that pictures are cut at."""

from math import ceil, isfinite
from typing import assert_never

import numpy as np
from pycocotools import mask as coco_mask

from captionary.schemas.arrays import Mask
from captionary.schemas.errors import WrongInput
from captionary.schemas.pointing import Area, BoxArea, MaskArea, PolygonArea, RleArea
from captionary.vision.pictures.label_maps import read_label_values
from captionary.vision.pictures.resizing import resize_labels
from captionary.vision.pictures.rle import decode_mask, run_lengths

SizeHw = tuple[int, int]

LONGEST_OUTLINE = 2_000_000
"""Pixels along the outline of a polygon, at most: about 80 MB while it is filled."""


def area_mask(area: Area, *, size_hw: SizeHw, to_hw: SizeHw, orientation: int = 1) -> Mask:
    """The pixels of an area, in its picture made smaller: (h, w) bool, at least one of them.

    A pixel is covered where its centre is. An area that is too small for any is the nearest one.

    Args:
        size_hw:     height and width of the upright picture, in whose pixels the area is given.
        to_hw:       height and width of the mask.
        orientation: how the picture's file is stored (EXIF); a mask file that is stored alike is
            turned alike.

    Raises:
        WrongInput: the area is malformed, empty, wholly outside of the picture, or of another size.
        UnreadablePicture: its mask file cannot be read, or is of another size.
    """
    check_area(area)
    match area:
        case BoxArea():
            return _box_mask(area, size_hw, to_hw)
        case PolygonArea():
            _refuse_far_points(area, size_hw)
            mask = _polygon_mask(area, size_hw, to_hw)
            return mask if mask.any() else _nearest_pixel(area, size_hw, to_hw)
        case RleArea():
            if area.size_hw != size_hw:
                raise WrongInput(
                    f"the mask is {_named(area.size_hw)} but its picture is {_named(size_hw)}; "
                    "make them the same size (an RLE's size is [height, width])"
                )
            return _shrink(decode_mask(area), to_hw)
        case MaskArea():
            stored = read_label_values(area.address, size_hw=size_hw, orientation=orientation)
            chosen = np.isin(stored.values, area.values) if area.values else stored.values != 0
            if not chosen.any():
                listed = ", ".join(map(str, area.values)) or "any but 0"
                raise WrongInput(f"the mask {area.address} has no pixel of the value {listed}")
            return _shrink(chosen, to_hw)
        case _:
            assert_never(area)


def check_area(area: Area) -> None:
    """Check what can be said of an area without its picture.

    Raises:
        WrongInput: its numbers are not finite, do not make a shape, or are no run lengths.
    """
    match area:
        case BoxArea():
            numbers = (area.left, area.top, area.width, area.height)
            if not all(map(isfinite, numbers)) or min(area.width, area.height) <= 0:
                raise WrongInput(
                    f"the box {_listed(numbers)} has no area; give x, y, width and height in pixels"
                )
        case PolygonArea():
            if not area.polygons:
                raise WrongInput("there is no polygon; give x, y, x, y, ... in pixels")
            for polygon in area.polygons:
                if len(polygon) < 6 or len(polygon) % 2 or not all(map(isfinite, polygon)):
                    raise WrongInput(
                        f"the polygon {_listed(polygon)} is none; give x, y, x, y, ... of three or "
                        "more points"
                    )
        case RleArea():
            run_lengths(area)
        case MaskArea():
            pass


def _named(size_hw: SizeHw) -> str:
    return f"{size_hw[1]} x {size_hw[0]} pixels"


def _listed(numbers: tuple[float, ...]) -> str:
    shown = [f"{number:.6g}" for number in numbers[:6]]
    return f"[{', '.join(shown)}{', ...' * (len(numbers) > 6)}]"


def _box_mask(area: BoxArea, size_hw: SizeHw, to_hw: SizeHw) -> Mask:
    spans = []
    sides = ((area.top, area.height), (area.left, area.width))
    for (start, length), size, to_size in zip(sides, size_hw, to_hw, strict=True):
        first, end = max(0.0, start), min(float(size), start + length)
        if end <= first:
            box = (area.left, area.top, area.width, area.height)
            raise WrongInput(
                f"the box {_listed(box)} lies outside of its picture of {_named(size_hw)}; "
                "give x, y, width and height in pixels"
            )
        factor = to_size / size
        inside = slice(ceil(first * factor - 0.5), ceil(end * factor - 0.5))
        if inside.start >= inside.stop:
            nearest = min(int((first + end) / 2 * factor), to_size - 1)
            inside = slice(nearest, nearest + 1)
        spans.append(inside)
    mask = np.zeros(to_hw, np.bool_)
    mask[tuple(spans)] = True
    return mask


def _refuse_far_points(area: PolygonArea, size_hw: SizeHw) -> None:
    """Points that no tool writes cost time and memory for their distance from the picture."""
    height, width = size_hw
    for polygon in area.polygons:
        for x, y in zip(polygon[::2], polygon[1::2], strict=True):
            if not (-width <= x <= 2 * width and -height <= y <= 2 * height):
                raise WrongInput(
                    f"the point {_listed((x, y))} of a polygon lies far outside of its picture of "
                    f"{_named(size_hw)}; give x, y in pixels"
                )


def _polygon_mask(area: PolygonArea, size_hw: SizeHw, to_hw: SizeHw) -> Mask:
    """All polygons together, each filled as COCO does; none of the pixels, where they are tiny."""
    factor = np.divide(to_hw, size_hw)[::-1]
    scaled = [(np.reshape(p, (-1, 2)) * factor).ravel().tolist() for p in area.polygons]
    for polygon in scaled:
        steps = np.diff(np.reshape([*polygon, *polygon[:2]], (-1, 2)), axis=0)
        # Memory is taken for every pixel of an outline, and pycocotools does not ask how much.
        if np.abs(steps).max(axis=1).sum() > LONGEST_OUTLINE:
            raise WrongInput(
                f"the outline of a polygon of {len(polygon) // 2:,} points crosses its picture "
                "hundreds of times; give points in their order along the outline"
            )
    merged = coco_mask.merge(coco_mask.frPyObjects(scaled, *to_hw))
    return decode_mask(RleArea(merged["counts"].decode(), to_hw))


def _nearest_pixel(area: PolygonArea, size_hw: SizeHw, to_hw: SizeHw) -> Mask:
    """The one pixel that stands for polygons that cover no pixel's centre."""
    if not any(map(_surface, area.polygons)):
        raise WrongInput(f"the polygon {_listed(area.polygons[0])} has no area; give its outline")
    points = np.concatenate([np.reshape(polygon, (-1, 2)) for polygon in area.polygons])[:, ::-1]
    low, high = points.min(axis=0), points.max(axis=0)
    if (high < 0).any() or (low >= size_hw).any():
        raise WrongInput(
            f"a polygon lies outside of its picture of {_named(size_hw)}; give x, y in pixels"
        )
    centre = (np.maximum(low, 0) + np.minimum(high, size_hw)) / 2
    row, column = np.minimum(centre * to_hw // size_hw, np.subtract(to_hw, 1)).astype(int)
    mask = np.zeros(to_hw, np.bool_)
    mask[row, column] = True
    return mask


def _surface(polygon: tuple[float, ...]) -> float:
    """Twice the signed surface of a polygon, by the shoelace formula."""
    x, y = np.reshape(polygon, (-1, 2)).T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1))


def _shrink(mask: Mask, to_hw: SizeHw) -> Mask:
    """A mask made smaller by the values at the centres of pixels, but never to nothing.

    Raises:
        WrongInput: it is empty.
    """
    small = resize_labels(mask, to_hw)
    if small.any():
        return small
    places = np.argwhere(mask)
    if not len(places):
        raise WrongInput(
            f"it covers no pixel of its picture of {mask.shape[1]} x {mask.shape[0]} pixels; give "
            "the area in pixels"
        )
    # Of the area, which may be a ring, the pixel nearest to its centre.
    nearest = places[np.square(places - places.mean(axis=0)).sum(axis=1).argmin()]
    row, column = (nearest * to_hw // mask.shape).tolist()
    small[row, column] = True
    return small
