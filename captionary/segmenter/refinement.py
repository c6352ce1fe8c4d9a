"""Pixel-adaptive refinement of class borders: pixels take the class of like-coloured neighbours."""

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


def refine_borders(class_map: LabelMap, pixels: Rgb) -> LabelMap:
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
    # A class spreads by a few pixels an iteration: what lies farther than that from it stays out.
    for number, box in enumerate(ndimage.find_objects(numbers + 1)):
        place = tuple(_widen(side, length) for side, length in zip(box, best.shape, strict=True))
        share = torch.from_numpy(numbers[place] == number).float()
        for _ in range(ITERATIONS):
            share = _neighbour_mean(share, weights[:, *place])
        better = share > best_share[place]
        best_share[place] = torch.where(better, share, best_share[place])
        best[place] = torch.where(better, number, best[place])
    return np.asarray(present[best.numpy()], dtype=np.int32)


def _widen(side: slice, length: int) -> slice:
    """A side of a class's box, with all pixels that the class can come to."""
    reach = ITERATIONS * max(DILATIONS)
    return slice(max(0, side.start - reach), min(length, side.stop + reach))


def affinities(picture: torch.Tensor) -> torch.Tensor:
    """Weight of each of N neighbours for each pixel, (3, H, W) in [0, 1] -> (N, H, W), sums to 1.

    The softmax of minus the absolute difference in colour, in units of a tenth of its standard
    deviation around the pixel, averaged over the channels.
    """
    # The standard deviation over the pixel and its neighbours: where all is alike, small
    # differences count.
    count = 1 + len(DILATIONS) * len(NEIGHBOURS)
    mean = (sum(_shifts(picture), start=picture)) / count
    differences = (neighbour - mean for neighbour in _shifts(picture))
    squares = sum((one.square() for one in differences), (picture - mean).square())
    unit = SHARPNESS * (squares / (count - 1)).sqrt() + 1e-8
    logits = torch.empty(count - 1, *picture.shape[1:])
    for number, neighbour in enumerate(_shifts(picture)):
        logits[number] = -((neighbour - picture).abs() / unit).mean(dim=0)
    return logits.softmax(dim=0)


def _neighbour_mean(share: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The weighted mean over the neighbours of each pixel, (H, W) -> (H, W)."""
    total = torch.zeros_like(share)
    for weight, (neighbour,) in zip(weights, _shifts(share[None]), strict=True):
        total.addcmul_(weight, neighbour)
    return total


def _shifts(planes: torch.Tensor) -> Iterator[torch.Tensor]:
    """The planes, (C, H, W), shifted by each neighbour's offset; borders are repeated outwards."""
    height, width = planes.shape[1:]
    for dilation in DILATIONS:
        padded = pad(planes[None], (dilation,) * 4, mode="replicate")[0]
        for row, column in NEIGHBOURS:
            top, left = dilation * (1 + row), dilation * (1 + column)
            yield padded[:, top : top + height, left : left + width]
