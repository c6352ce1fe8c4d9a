"""From region scores to a class for every pixel.

Regions overlap, but a picture has few distinct sets of them: its cells. The scores are blended once
per cell and then looked up, so the cost per pixel does not grow with the number of classes.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from captionary.schemas.arrays import LabelMap, Mask, Scores
from captionary.schemas.regions import Region

CELLS_AT_ONCE = 4096
"""Cells scored in one go: bounds memory at 4096 x C numbers, however ragged the regions are."""

LEAST = 1e-6
"""Probability below which a region's veto counts no further."""

Confidence: TypeAlias = NDArray[np.float32]
"""(H, W) float32, in [0, 1]."""


def paint(
    regions: Sequence[Region], scores: Scores, weights: NDArray[np.float32]
) -> tuple[LabelMap, Confidence]:
    """Give every pixel its best class, and that class's score.

    Opinions are pooled in the logarithm, a weighted geometric mean over the regions k that cover
    pixel x: score(x, c) = exp(sum_k w_k log score(k, c) / sum_k w_k). A class that one layer rules
    out is not saved by another, which beats the arithmetic mean (docs/results.md). A pixel that no
    region covers takes what its nearest covered pixel has.

    Args:
        regions: R regions of one picture, R >= 1; they may overlap in any way.
        scores:  (R, C) float32, probabilities.
        weights: (R,) float32, >= 0; a region of weight 0 does not count, unless all are 0.

    Returns:
        (H, W) int32 class indices, and (H, W) float32 scores of those classes.

    Raises:
        ValueError: the lengths differ, or there is no region.
    """
    if not regions or scores.shape[:1] != (len(regions),) or weights.shape != (len(regions),):
        raise ValueError(
            f"paint needs R >= 1 regions, (R, C) scores and (R,) weights, "
            f"got {len(regions)}, {scores.shape} and {weights.shape}"
        )
    if not (weights > 0).any():
        weights = np.ones_like(weights)
    cell_of_pixel, members = _cells(regions, np.flatnonzero(weights > 0))
    best, confidence, covered = _score_cells(members, scores, weights)
    class_map, confidence_map = best[cell_of_pixel], confidence[cell_of_pixel]
    if not covered.all():
        rows, columns = _nearest(covered[cell_of_pixel])
        class_map, confidence_map = class_map[rows, columns], confidence_map[rows, columns]
    return class_map, confidence_map


def _cells(
    regions: Sequence[Region], used: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Number the distinct sets of regions that pixels lie in.

    Returns:
        (H, W) int64 cell of each pixel, and (cells, L) int32: 1 + region of each cell in each of L
        layers, 0 where the layer has none there.
    """
    shape = regions[0].mask.shape
    cell_of_pixel = np.zeros(shape, np.int64)
    members = np.zeros((1, 0), np.int32)
    for layer in _layers(regions, used):
        base = len(regions) + 1
        joint = cell_of_pixel * base + layer
        values, cell_of_pixel = _renumber(joint, span=len(members) * base)
        members = np.column_stack([members[values // base], (values % base).astype(np.int32)])
    return cell_of_pixel, members


def _layers(regions: Sequence[Region], used: NDArray[np.int64]) -> Iterator[LabelMap]:
    """Draw the regions into as few (H, W) maps of 1 + region as they need not to overlap."""
    by_layer: dict[int, list[int]] = {}
    for index in used.tolist():
        by_layer.setdefault(regions[index].layer, []).append(index)
    for waiting in by_layer.values():
        while waiting:
            layer = np.zeros(regions[0].mask.shape, np.int32)
            waiting = [index for index in waiting if not _draw(layer, regions[index], index + 1)]
            yield layer


def _draw(layer: LabelMap, region: Region, label: int) -> bool:
    """Write a label where the region is, unless something else is there already."""
    x0, y0, x1, y1 = region.box_xyxy
    place, mask = layer[y0:y1, x0:x1], region.mask[y0:y1, x0:x1]
    if ((place > 0) & mask).any():
        return False
    np.copyto(place, label, where=mask)
    return True


def _renumber(
    codes: NDArray[np.int64], *, span: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sorted distinct codes, and each pixel's rank among them; codes are in [0, span).

    np.unique sorts, which takes ten times as long as a table of what occurs.
    """
    if span > max(4 * codes.size, 1 << 20):
        values, ranks = np.unique(codes, return_inverse=True)
        return values, ranks.reshape(codes.shape)
    occurs = np.zeros(span, bool)
    occurs[codes] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]


def _score_cells(
    members: NDArray[np.int32], scores: Scores, weights: NDArray[np.float32]
) -> tuple[NDArray[np.int32], Confidence, Mask]:
    """Best class (cells,), its score (cells,), and whether any region covers the cell (cells,)."""
    logs = np.log(np.maximum(scores, LEAST))
    weighted = np.vstack([np.zeros((1, scores.shape[1])), logs * weights[:, None]])
    weight = np.concatenate([[0.0], weights])
    best = np.zeros(len(members), np.int32)
    confidence = np.zeros(len(members), np.float32)
    total = weight[members].sum(axis=1)
    for start in range(0, len(members), CELLS_AT_ONCE):
        cells = slice(start, start + CELLS_AT_ONCE)
        blend = np.zeros((len(members[cells]), scores.shape[1]))
        for layer in members[cells].T:
            blend += weighted[layer]
        best[cells] = blend.argmax(axis=1)
        mean = blend.max(axis=1) / np.maximum(total[cells], np.finfo(np.float32).tiny)
        confidence[cells] = np.exp(mean)
    return best, confidence, total > 0


def _nearest(covered: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Row and column, each (H, W), of the covered pixel nearest to each pixel."""
    rows, columns = ndimage.distance_transform_edt(
        ~covered, return_distances=False, return_indices=True
    )
    return rows, columns
