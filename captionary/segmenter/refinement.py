"""Sharper borders: pixels take the class of neighbours that have their colour."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy import ndimage
from torch.nn.functional import pad

from captionary.schemas.arrays import LabelMap, Rgb

ITERATIONS = 10
DILATIONS = (1, 2, 4, 8)
SHARPNESS = 0.1
NEIGHBOURS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]


def refined(class_map: LabelMap, pixels: Rgb) -> LabelMap:
    """Move the borders of classes to where the picture changes, (H, W) -> (H, W).

    Pixel-adaptive refinement (after PAMR; Araslanov and Roth, 2020): each pixel's probabilities
    become a mean of its neighbours', each weighted by how near its colour is, several times over.
    It starts from the classes as they are, so a class that is nowhere stays nowhere. It needs 600
    bytes a pixel at most, and time in proportion to the boxes around the classes.

    Args:
        class_map: (H, W) int32, class indices.
        pixels:    (H, W, 3) uint8, the picture.
    """
    present, numbers = np.unique(class_map, return_inverse=True)
    numbers = numbers.reshape(class_map.shape)
    weights = affinities(torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255)
    best_share = torch.full(class_map.shape, -1.0)
    best = torch.zeros(class_map.shape, dtype=torch.int64)
    for number, box in enumerate(ndimage.find_objects(numbers + 1)):
        place = tuple(_widened(side, length) for side, length in zip(box, best.shape, strict=True))
        share = torch.from_numpy(numbers[place] == number).float()
        for _ in range(ITERATIONS):
            share = _mean(share, weights[:, *place])
        better = share > best_share[place]
        best_share[place] = torch.where(better, share, best_share[place])
        best[place] = torch.where(better, number, best[place])
    return np.asarray(present[best.numpy()], dtype=np.int32)


def _widened(side: slice, length: int) -> slice:
    """A side of a class's box, with all pixels that the class can come to."""
    reach = ITERATIONS * max(DILATIONS)
    return slice(max(0, side.start - reach), min(length, side.stop + reach))


def affinities(picture: torch.Tensor) -> torch.Tensor:
    """How much each pixel listens to each neighbour, (3, H, W) in [0, 1] -> (N, H, W), sums to 1.

    The softmax of minus the absolute difference in colour, in units of a tenth of its standard
    deviation around the pixel, averaged over the channels.
    """
    count = 1 + len(DILATIONS) * len(NEIGHBOURS)
    mean = (sum(_shifted(picture), start=picture)) / count
    squares = sum(((seen - mean).square() for seen in _shifted(picture)), (picture - mean).square())
    unit = SHARPNESS * (squares / (count - 1)).sqrt() + 1e-8
    logits = torch.empty(count - 1, *picture.shape[1:])
    for number, seen in enumerate(_shifted(picture)):
        logits[number] = -((seen - picture).abs() / unit).mean(dim=0)
    return logits.softmax(dim=0)


def _mean(share: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """What the neighbours of each pixel have on average, (H, W) -> (H, W)."""
    total = torch.zeros_like(share)
    for weight, (seen,) in zip(weights, _shifted(share[None]), strict=True):
        total.addcmul_(weight, seen)
    return total


def _shifted(planes: torch.Tensor) -> Iterator[torch.Tensor]:
    """The planes, (C, H, W), as seen from each neighbour; borders are repeated outwards."""
    height, width = planes.shape[1:]
    for dilation in DILATIONS:
        padded = pad(planes[None], (dilation,) * 4, mode="replicate")[0]
        for row, column in NEIGHBOURS:
            top, left = dilation * (1 + row), dilation * (1 + column)
            yield padded[:, top : top + height, left : left + width]
