"""From label maps, or masks that overlap in any way, to layers of regions that do not."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import LabelMap, Mask
from captionary.schemas.regions import Region
from captionary.vision.pictures.resizing import enlarged

SAME_REGION_IOU = 0.95


def regions_of(
    layers: Sequence[LabelMap], size_hw: tuple[int, int], *, smallest: float = 0
) -> list[Region]:
    """The regions of label maps, one layer each, but for those that an earlier layer has already.

    Args:
        layers:   (h, w) int32 each, numbered from 0, all of one size.
        size_hw:  the size of the masks to make.
        smallest: share of the picture below which a region is left out.
    """
    full = [enlarged(labels, size_hw) for labels in layers]
    # IoU is cheaper on the smaller maps, and the same there up to rounding.
    small = layers if layers[0].size < full[0].size else full
    counts = [np.bincount(labels.ravel()) for labels in layers]
    masks = [
        (layer, full[layer] == number)
        for layer, number in distinct_labels(small)
        if counts[layer][number] >= smallest * layers[layer].size
    ]
    return [Region(mask, layer) for layer, mask in masks if mask.any()]


def distinct_labels(layers: Sequence[LabelMap]) -> list[tuple[int, int]]:
    """List (layer, label) of all regions but those that an earlier kept one equals.

    Args:
        layers: label maps of one shape, (H, W) int32, numbered from 0.
    """
    counts = [np.bincount(labels.ravel()) for labels in layers]
    kept = [count > 0 for count in counts]
    for later in range(1, len(layers)):
        for earlier in range(later):
            same = _iou(layers[earlier], layers[later], counts[earlier], counts[later])
            kept[later] &= ~(same[kept[earlier]] > SAME_REGION_IOU).any(axis=0)
    return [(layer, int(number)) for layer, keep in enumerate(kept) for number in keep.nonzero()[0]]


def _iou(
    a: LabelMap, b: LabelMap, count_a: np.ndarray, count_b: np.ndarray
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Intersection over union of every label of `a` with every label of `b`, (A, B)."""
    shape = len(count_a), len(count_b)
    pairs = a.ravel().astype(np.int64) * shape[1] + b.ravel()
    both = np.bincount(pairs, minlength=shape[0] * shape[1]).reshape(shape)
    either = count_a[:, None] + count_b[None, :] - both
    return np.asarray(both / np.maximum(either, 1), dtype=np.float64)


def distinct(
    masks: NDArray[np.bool_], scores: NDArray[np.float32], *, same_iou: float
) -> list[int]:
    """Choose masks from the best score down, leaving out those that a chosen one nearly equals.

    Args:
        masks:    (N, H, W) bool, at least one pixel each.
        scores:   (N,) float32; of equal ones the first comes first.
        same_iou: two masks are the same when their intersection over union is larger.

    Returns:
        Indices of the chosen masks, the best first.
    """
    # Eight pixels to a byte: a thousand masks are compared in a moment.
    packed = np.packbits(masks.reshape(len(masks), math.prod(masks.shape[1:])), axis=1)
    area = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    waiting = np.argsort(-scores, kind="stable")
    chosen = []
    while waiting.size:
        best, waiting = int(waiting[0]), waiting[1:]
        chosen.append(best)
        both = np.bitwise_count(packed[waiting] & packed[best]).sum(axis=1, dtype=np.int64)
        waiting = waiting[both <= same_iou * (area[waiting] + area[best] - both)]
    return chosen


def layered(masks: Sequence[Mask], size_hw: tuple[int, int]) -> list[Region]:
    """Put masks into layers, each into the first that has room for it, the largest mask first.

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
