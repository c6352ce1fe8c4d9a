"""Sharp borders for groups of patches, which are coarse: those of small superpixels."""

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label as connected
from skimage.segmentation import felzenszwalb
from torch.nn.functional import interpolate

from captionary.schemas.arrays import LabelMap, Rgb
from captionary.vision.proposers.layers import SAME_REGION_IOU
from captionary.vision.proposers.superpixels import SMOOTHING, WORKING_SIDE

SCALE = 100.0
"""Felzenszwalb's k, as that of the finest layer of `Superpixels`."""

MIN_SIZE = 0.003
"""Smallest superpixel, as a share of the picture."""

BORDER_SETTINGS = (SCALE, MIN_SIZE, WORKING_SIDE, SMOOTHING, SAME_REGION_IOU)
"""Everything that regions with such borders depend on, for fingerprints."""


def cut_superpixels(small: Rgb) -> LabelMap:
    """Cut a picture of WORKING_SIDE into small superpixels, (h, w) int32."""
    min_size = max(1, int(MIN_SIZE * small.shape[0] * small.shape[1]))
    cut = felzenszwalb(small, scale=SCALE, sigma=SMOOTHING, min_size=min_size)
    return np.asarray(cut, dtype=np.int32)


def snap_to_superpixels(assignment: torch.Tensor, superpixels: LabelMap) -> LabelMap:
    """Assign each superpixel to the group that has most of it; number connected parts from 0.

    Args:
        assignment:  (h', w', G) of each patch to groups, rows sum to 1.
        superpixels: (h, w) int32, of the same picture.

    Returns:
        (h, w) int32, a number for each connected part of a group.
    """
    # Interpolated before it is counted: a patch is larger than most superpixels.
    plane = assignment.permute(2, 0, 1)[None]
    full: NDArray[np.float32] = interpolate(plane, superpixels.shape, mode="bilinear")[0].numpy()
    labels = superpixels.ravel()
    mass = np.stack([np.bincount(labels, weights.ravel()) for weights in full], axis=1)
    groups = mass.argmax(axis=1)[superpixels]
    # Without a background: group 0 is a group as any other.
    parts = connected(groups, background=-1, connectivity=1)  # type: ignore[no-untyped-call]
    return np.asarray(parts - 1, dtype=np.int32)
