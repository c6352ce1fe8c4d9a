"""Coverage of patches by regions: the share of each patch of a grid that lies in a region."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.regions import Region

Shares = NDArray[np.float32]


def coverage(regions: Sequence[Region], grid_hw: tuple[int, int]) -> Shares:
    """The share of each cell of an (h, w) grid that a region covers, (R, h w) in [0, 1].

    By area, exactly, whatever the two sizes. Every region covers something, however small.
    """
    shares = np.empty((len(regions), grid_hw[0] * grid_hw[1]), dtype=np.float32)
    if not regions:
        return shares
    height, width = regions[0].mask.shape
    # The share of a rectangle is the product of those of its sides: two small matrix products of
    # the box, instead of resizing a whole mask for each region.
    by_row, by_column = overlaps(grid_hw[0], height), overlaps(grid_hw[1], width)
    for row, region in enumerate(regions):
        left, top, right, bottom = region.box_xyxy
        inside = region.mask[top:bottom, left:right].astype(np.float32)
        shares[row] = (by_row[:, top:bottom] @ inside @ by_column[:, left:right].T).ravel()
    # Sums of float32 shares may pass 1 by a rounding.
    return np.minimum(shares, 1, out=shares)


def overlaps(cells: int, pixels: int) -> Shares:
    """The share of each cell of a line that each of its pixels fills, (cells, pixels)."""
    size = pixels / cells
    start = np.arange(cells)[:, None] * size
    pixel = np.arange(pixels)[None]
    filled = np.minimum(start + size, pixel + 1) - np.maximum(start, pixel)
    return np.asarray(np.maximum(filled, 0) / size, dtype=np.float32)
