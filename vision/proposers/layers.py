"""Masks that overlap in any way, brought into layers of regions that do not."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from schemas.arrays import Mask
from schemas.regions import Region


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
