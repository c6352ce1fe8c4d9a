"""Borders for groups of patches: superpixels are far finer than patches are."""

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label as connected
from skimage.segmentation import felzenszwalb
from torch.nn.functional import interpolate

from captionary.schemas.arrays import LabelMap, Rgb
from captionary.vision.proposers.layers import SAME_REGION_IOU
from captionary.vision.proposers.superpixels import SMOOTHING, WORKING_SIDE

SCALE, LEAST = 100.0, 0.003
BORDERS = (SCALE, LEAST, WORKING_SIDE, SMOOTHING, SAME_REGION_IOU)
"""What regions with such borders depend on."""


def pieces_of(small: Rgb) -> LabelMap:
    """Small superpixels, (h, w) int32, whose borders those of regions will be."""
    least = max(1, int(LEAST * small.shape[0] * small.shape[1]))
    cut = felzenszwalb(small, scale=SCALE, sigma=SMOOTHING, min_size=least)
    return np.asarray(cut, dtype=np.int32)


def snapped(shares: torch.Tensor, pieces: LabelMap) -> LabelMap:
    """Give each piece the group that has most of it, and number the connected parts from 0.

    Args:
        shares: (h', w', G), whom each patch belongs to.
        pieces: (h, w) int32, of one picture with the patches.
    """
    plane = shares.permute(2, 0, 1)[None]
    full: NDArray[np.float32] = interpolate(plane, pieces.shape, mode="bilinear")[0].numpy()
    mass = np.stack([np.bincount(pieces.ravel(), weights.ravel()) for weights in full], axis=1)
    groups = mass.argmax(axis=1)[pieces]
    parts = connected(groups, background=-1, connectivity=1)  # type: ignore[no-untyped-call]
    return np.asarray(parts - 1, dtype=np.int32)
