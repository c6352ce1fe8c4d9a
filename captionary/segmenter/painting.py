"""Paints region scores onto pixels: a class for every pixel from overlapping regions.

Regions overlap, but a picture has few distinct sets of them: its cells. The scores are pooled once
per cell and then looked up, so the cost per pixel does not grow with the number of classes.
"""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from captionary.schemas.arrays import LabelMap, Mask, Scores
from captionary.schemas.regions import CutPicture, Region
from captionary.schemas.segmentation import ClassScores
from captionary.segmenter.refinement import refine_borders
from captionary.vision.pictures.resizing import resize_labels

CELLS_AT_ONCE = 4096
"""Cells scored in one batch: bounds memory at 4096 x C numbers, however ragged the regions are."""

LARGENESS = 10.0
"""How fast a region's weight falls with its share of the picture (docs/results.md)."""

LEAST = 1e-6
"""Probability below which a region's veto counts no further."""

Confidence: TypeAlias = NDArray[np.float32]
"""(H, W) float32, in [0, 1]."""


def paint_picture(
    cut: CutPicture, scores: Scores, *, refine: bool = False, largeness: float = LARGENESS
) -> tuple[LabelMap, ClassScores]:
    """Paint the regions of a picture, at the picture's own size.

    Args:
        cut:    the picture in regions.
        scores: (R, C) float32, probabilities of its R regions.
        refine: whether to move borders to where the picture's colours change.
        largeness: as `paint`.

    Returns:
        (H, W) int32 class indices, and (C,) float32 mean scores of the classes over the pixels they
        won before the borders were moved; 0 for a class without any.
    """
    class_map, confidence = paint(cut.regions, scores, largeness)
    count = scores.shape[1]
    pixels = np.bincount(class_map.ravel(), minlength=count)
    total = np.bincount(class_map.ravel(), weights=confidence.ravel(), minlength=count)
    class_scores = (total / np.maximum(pixels, 1)).astype(np.float32)
    if refine:
        class_map = refine_borders(class_map, cut.pixels)
    return resize_labels(class_map, cut.size_hw), class_scores


def paint(
    regions: Sequence[Region], scores: Scores, largeness: float = LARGENESS
) -> tuple[LabelMap, Confidence]:
    """Give every pixel its best class, and that class's score.

    Scores are pooled in the logarithm, a weighted geometric mean over the regions k that cover
    pixel x: score(x, c) = exp(sum_k w_k log score(k, c) / sum_k w_k), with the region's weight
    w_k = 1 / (1 + largeness * area): a large region knows what is there, a small one where. A class
    that one layer rules out is not saved by another, which beats the arithmetic mean
    (docs/results.md). A pixel that no region covers takes what its nearest covered pixel has.

    Args:
        regions: R regions of one picture, R >= 1; they may overlap in any way.
        scores:  (R, C) float32, probabilities.
        largeness: how fast a region's weight falls with its share of the picture, >= 0.

    Returns:
        (H, W) int32 class indices, and (H, W) float32 scores of those classes.

    Raises:
        ValueError: the lengths differ, or there is no region.
    """
    if not regions or scores.shape[:1] != (len(regions),):
        raise ValueError(
            f"paint needs R >= 1 regions and (R, C) scores, got {len(regions)} and {scores.shape}"
        )
    cell_of_pixel, cell_regions = _find_cells(regions)
    areas = np.array([region.area for region in regions])
    best, confidence, covered = _score_cells(cell_regions, scores, 1 / (1 + largeness * areas))
    class_map, confidence_map = best[cell_of_pixel], confidence[cell_of_pixel]
    if not covered.all():
        rows, columns = _nearest_covered(covered[cell_of_pixel])
        class_map, confidence_map = class_map[rows, columns], confidence_map[rows, columns]
    return class_map, confidence_map


def _find_cells(regions: Sequence[Region]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Number the distinct sets of regions that pixels lie in.

    Returns:
        (H, W) int64 cell of each pixel, and (cells, L) int32: 1 + region of each cell in each of L
        layers, 0 where the layer has none there.
    """
    shape = regions[0].mask.shape
    cell_of_pixel = np.zeros(shape, np.int64)
    cell_regions = np.zeros((1, 0), np.int32)
    # Layer by layer, and renumbered each time: the codes of all layers together would overflow.
    for layer in _draw_layers(regions):
        base = len(regions) + 1
        joint = cell_of_pixel * base + layer
        values, cell_of_pixel = _renumber(joint, span=len(cell_regions) * base)
        in_layer = (values % base).astype(np.int32)
        cell_regions = np.column_stack([cell_regions[values // base], in_layer])
    return cell_of_pixel, cell_regions


def _draw_layers(regions: Sequence[Region]) -> Iterator[LabelMap]:
    """Draw the regions into (H, W) maps of 1 + region, as few as they need not to overlap."""
    by_layer: dict[int, list[int]] = {}
    for index, region in enumerate(regions):
        by_layer.setdefault(region.layer, []).append(index)
    # The regions of one layer should not overlap; where some do, they wait for another map.
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
    """Sorted distinct codes, and each pixel's rank among them; codes are in [0, span)."""
    # np.unique sorts, which takes ten times as long as a table of what occurs.
    if span > max(4 * codes.size, 1 << 20):
        values, ranks = np.unique(codes, return_inverse=True)
        return values, ranks.reshape(codes.shape)
    occurs = np.zeros(span, bool)
    occurs[codes] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[codes]


def _score_cells(
    cell_regions: NDArray[np.int32], scores: Scores, weight: NDArray[np.float64]
) -> tuple[NDArray[np.int32], Confidence, Mask]:
    """Best class (cells,), its score (cells,), and whether any region covers the cell (cells,)."""
    # Row 0 stands for no region, and adds nothing. It makes the sums float64.
    logs = weight[:, None] * np.log(np.maximum(scores, LEAST))
    logs, weight = np.vstack([np.zeros((1, scores.shape[1])), logs]), np.append(0, weight)
    best = np.zeros(len(cell_regions), np.int32)
    confidence = np.zeros(len(cell_regions), np.float32)
    mass = weight[cell_regions].sum(axis=1)
    for start in range(0, len(cell_regions), CELLS_AT_ONCE):
        cells = slice(start, start + CELLS_AT_ONCE)
        total = np.zeros((len(cell_regions[cells]), scores.shape[1]))
        for layer in cell_regions[cells].T:
            total += logs[layer]
        best[cells] = total.argmax(axis=1)
        confidence[cells] = np.exp(total.max(axis=1) / np.maximum(mass[cells], LEAST))
    return best, confidence, mass > 0


def _nearest_covered(covered: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Row and column, each (H, W), of the covered pixel nearest to each pixel."""
    rows, columns = ndimage.distance_transform_edt(
        ~covered, return_distances=False, return_indices=True
    )
    return rows, columns
