"""Masks in COCO's run lengths: column by column, the first run of zeros; as text or as numbers.

Masks are decoded here and not by pycocotools, which writes where broken counts tell it to.
"""

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from captionary.schemas.arrays import Mask
from captionary.schemas.errors import WrongInput
from captionary.schemas.pointing import RleArea

LONGEST_SIDE = 1 << 30
"""Pixels: far more than a picture has, and few enough to be multiplied."""

DIGITS = 12
"""Characters of a number at most: more do not fit into 60 bits."""


def encode_mask(mask: Mask) -> RleArea:
    """A mask, (H, W) bool, in COCO's compressed text."""
    # pycocotools wants columns first in memory, and returns its counts as bytes.
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = encoded["size"]
    return RleArea(encoded["counts"].decode(), (int(height), int(width)))


def decode_mask(area: RleArea) -> Mask:
    """The mask of run lengths, (H, W) bool. Raises WrongInput as `run_lengths`."""
    counts = run_lengths(area)
    height, width = area.size_hw
    column = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    mask: Mask = column.reshape(width, height).T
    return mask


def run_lengths(area: RleArea) -> NDArray[np.int64]:
    """The lengths of its runs, (N,), which add up to its size.

    Raises:
        WrongInput: they are no run lengths, or do not make up the size.
    """
    height, width = area.size_hw
    if max(height, width) > LONGEST_SIDE:
        raise WrongInput("its size is of no picture; give [height, width] in pixels")
    counts = _parse_counts(area.counts) if isinstance(area.counts, str) else _to_array(area.counts)
    pixels = height * width
    if min(height, width) < 1 or (counts < 0).any() or (counts > pixels).any():
        raise WrongInput(
            f"its counts are no run lengths of a mask of {width} x {height} pixels; "
            "size is [height, width]"
        )
    if (total := int(counts.sum())) != pixels:
        raise WrongInput(
            f"its counts add up to {total:,} pixels but a mask of {width} x {height} has "
            f"{pixels:,}; size is [height, width]"
        )
    return counts


def _to_array(counts: tuple[int, ...]) -> NDArray[np.int64]:
    try:
        return np.array(counts, np.int64)
    except OverflowError as error:
        raise WrongInput("its counts are no run lengths; give whole numbers of pixels") from error


def _parse_counts(text: str) -> NDArray[np.int64]:
    """The run lengths of COCO's text: differences to the count before the last, from the fourth on.

    Each is written five bits a character, the lowest first; the sixth bit says that more follow.
    """
    codes = np.array([ord(letter) - 48 for letter in text], np.int64)
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise WrongInput("its counts are no text of COCO's, or are cut off; write them again")
    last = np.flatnonzero(codes & 32 == 0)
    first = np.concatenate([[0], last[:-1] + 1])
    if (last - first).max() >= DIGITS:
        raise WrongInput("its counts are no text of COCO's; write them again")
    place = np.arange(len(codes)) - np.repeat(first, last - first + 1)
    counts: NDArray[np.int64] = np.add.reduceat((codes & 31) << 5 * place, first)
    # The highest bit of the last character is the sign.
    counts -= np.where(codes[last] & 16, 1 << 5 * (last - first + 1), 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    return counts
