"""Regions in layers, within which they do not overlap: from label maps, or from any masks."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import LabelMap, Mask
from captionary.schemas.regions import Region
from captionary.vision.pictures.resizing import resize_labels

SAME_REGION_IOU = 0.95
"""Two regions with more intersection over union are the same one. It is part of fingerprints."""


def build_regions(
    layers: Sequence[LabelMap], size_hw: tuple[int, int], *, smallest: float = 0
) -> list[Region]:
    """Build the regions of label maps, one layer each, without those that an earlier layer has.

    Args:
        layers:   (h, w) int32 each, numbered from 0, all of one size.
        size_hw:  the size of the masks to make.
        smallest: share of the picture below which a region is left out.
    """
    full = [resize_labels(labels, size_hw) for labels in layers]
    # IoU is cheaper on the smaller maps, and the same there up to rounding.
    small = layers if layers[0].size < full[0].size else full
    counts = [np.bincount(labels.ravel()) for labels in layers]
    masks = [
        (layer, full[layer] == number)
        for layer, number in find_distinct_labels(small)
        if counts[layer][number] >= smallest * layers[layer].size
    ]
    # In a picture that is smaller than the maps a region may have no pixel left.
    return [Region(mask, layer) for layer, mask in masks if mask.any()]


def find_distinct_labels(layers: Sequence[LabelMap]) -> list[tuple[int, int]]:
    """List (layer, label) of all regions without those that equal an earlier one that was kept.

    Args:
        layers: label maps of one shape, (H, W) int32, numbered from 0.
    """
    counts = [np.bincount(labels.ravel()) for labels in layers]
    kept = [count > 0 for count in counts]
    for later in range(1, len(layers)):
        for earlier in range(later):
            same = _pairwise_iou(layers[earlier], layers[later], counts[earlier], counts[later])
            kept[later] &= ~(same[kept[earlier]] > SAME_REGION_IOU).any(axis=0)
    return [(layer, int(number)) for layer, keep in enumerate(kept) for number in keep.nonzero()[0]]


def _pairwise_iou(
    a: LabelMap, b: LabelMap, count_a: np.ndarray, count_b: np.ndarray
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Intersection over union of each label of `a` with each label of `b`, (A, B)."""
    shape = len(count_a), len(count_b)
    # One count over pairs of labels takes a pass over the pixels, whatever the number of labels.
    pairs = a.ravel().astype(np.int64) * shape[1] + b.ravel()
    both = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    either = count_a[:, None] + count_b[None, :] - both
    return np.asarray(both / np.maximum(either, 1), dtype=np.float64)


def suppress_duplicates(
    masks: NDArray[np.bool_], scores: NDArray[np.float32], *, same_iou: float
) -> list[int]:
    """Non-maximum suppression: choose masks by score, without those that a chosen one overlaps.

    Args:
        masks:    (N, H, W) bool, at least one pixel each.
        scores:   (N,) float32; of equal ones the first comes first.
        same_iou: of two masks whose intersection over union is larger, one is left out.

    Returns:
        Indices of the chosen masks, the best first.
    """
    # Eight pixels to a byte: a thousand masks are compared in a moment.
    packed = np.packbits(masks.reshape(len(masks), math.prod(masks.shape[1:])), axis=1)
    area = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    remaining = np.argsort(-scores, kind="stable")
    chosen = []
    while remaining.size:
        best, remaining = int(remaining[0]), remaining[1:]
        chosen.append(best)
        both = np.bitwise_count(packed[remaining] & packed[best]).sum(axis=1, dtype=np.int64)
        union = area[remaining] + area[best] - both
        remaining = remaining[both <= same_iou * union]
    return chosen


def arrange_in_layers(masks: Sequence[Mask], size_hw: tuple[int, int]) -> list[Region]:
    """Arrange masks in layers, each in the first that has room for it, the largest mask first.

    So parts end up in later layers than what they are parts of. Masks are not cut.

    Args:
        masks:   (H, W) bool each, at least one pixel each; they may overlap in any way.
        size_hw: H and W.

    Returns:
        The whole picture as layer 0, then a region for each mask, from large to small.
    """
    regions = [Region(np.ones(size_hw, dtype=np.bool_))]
    taken: list[Mask] = []
    for mask in sorted(masks, key=np.count_nonzero, reverse=True):
        layer = next((i for i, other in enumerate(taken) if not (other & mask).any()), len(taken))
        if layer == len(taken):
            taken.append(np.zeros(size_hw, dtype=np.bool_))
        taken[layer] |= mask
        regions.append(Region(mask, layer + 1))
    return regions
