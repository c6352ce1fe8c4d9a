"""Thumbnails: JPEG bytes of a picture, and of a box cut out of its thumbnail."""

import io

import numpy as np
from PIL import Image

from captionary.schemas.arrays import Box, Rgb


def thumbnail(pixels: Rgb, *, longest: int = 192) -> bytes:
    """Shrink a picture, (H, W, 3) uint8, to JPEG bytes of at most `longest` pixels a side."""
    return _encode_jpeg(Image.fromarray(pixels), longest=longest, quality=80)


def crop_thumbnail(
    jpeg: bytes, *, box_xyxy: Box, size_hw: tuple[int, int], longest: int = 96
) -> bytes:
    """Cut a box out of a thumbnail, with a margin of a tenth of its side.

    Args:
        jpeg:     what `thumbnail` made; empty bytes stay empty.
        box_xyxy: the box in pixels of the original picture, half-open.
        size_hw:  the original picture's size.
        longest:  limit on the sides of the result, in pixels.
    """
    if not jpeg:
        return b""
    with Image.open(io.BytesIO(jpeg)) as image:
        height, width = size_hw
        left, right = _widen(box_xyxy[0] / width, box_xyxy[2] / width, image.width)
        top, bottom = _widen(box_xyxy[1] / height, box_xyxy[3] / height, image.height)
        return _encode_jpeg(image.crop((left, top, right, bottom)), longest=longest, quality=85)


def _widen(start: float, stop: float, length: int) -> tuple[int, int]:
    """Widen a span of a side, in fractions of it, to whole pixels: inside, never empty."""
    # A margin shows a small thing in its surroundings, without which it is hard to tell.
    margin = (stop - start) / 10
    first = int(np.clip(np.floor((start - margin) * length), 0, length - 1))
    last = int(np.clip(np.ceil((stop + margin) * length), first + 1, length))
    return first, last


def _encode_jpeg(image: Image.Image, *, longest: int, quality: int) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((longest, longest), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
