"""Sharper borders: pixels take the class of neighbours that have their colour."""

import numpy as np
import torch
from torch.nn.functional import one_hot, pad

from schemas.arrays import LabelMap, Rgb

ITERATIONS = 10
DILATIONS = (1, 2, 4, 8)
SHARPNESS = 0.1
NEIGHBOURS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if row or column]


def refined(class_map: LabelMap, pixels: Rgb) -> LabelMap:
    """Move the borders of classes to where the picture changes, (H, W) -> (H, W).

    Pixel-adaptive refinement (PAMR; Araslanov and Roth, 2020): each pixel's probabilities become a
    mean of its neighbours', each weighted by how near its colour is, several times over. It starts
    from the classes as they are, so a class that is nowhere stays nowhere.

    Args:
        class_map: (H, W) int32, class indices.
        pixels:    (H, W, 3) uint8, the picture.
    """
    present, numbers = np.unique(class_map, return_inverse=True)
    local = torch.from_numpy(numbers.reshape(class_map.shape))
    shares = one_hot(local, len(present)).permute(2, 0, 1).float()
    weights = affinities(torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255)
    for _ in range(ITERATIONS):
        shares = _means(shares, weights)
    best = shares.argmax(dim=0).numpy()
    return np.asarray(present[best], dtype=np.int32)


def affinities(picture: torch.Tensor) -> torch.Tensor:
    """How much each pixel listens to each neighbour, (3, H, W) in [0, 1] -> (N, H, W), sums to 1.

    The softmax of minus the absolute difference in colour, in units of a tenth of its standard
    deviation around the pixel, averaged over the channels.
    """
    around = torch.stack([*_shifted(picture)])
    spread = torch.cat([around, picture[None]]).std(dim=0)
    distance = (around - picture).abs() / (SHARPNESS * spread + 1e-8)
    return (-distance.mean(dim=1)).softmax(dim=0)


def _means(shares: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    total = torch.zeros_like(shares)
    for weight, shifted in zip(weights, _shifted(shares), strict=True):
        total += weight * shifted
    return total


def _shifted(planes: torch.Tensor) -> list[torch.Tensor]:
    """The planes, (C, H, W), as seen from each neighbour; borders are repeated outwards."""
    height, width = planes.shape[1:]
    seen = []
    for dilation in DILATIONS:
        padded = pad(planes[None], (dilation,) * 4, mode="replicate")[0]
        for row, column in NEIGHBOURS:
            top, left = dilation * (1 + row), dilation * (1 + column)
            seen.append(padded[:, top : top + height, left : left + width])
    return seen
