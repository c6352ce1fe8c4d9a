"""ViL-Seg's clustering loss: mutual information between corresponding patches of two views."""

import torch
from torchvision.ops import roi_align

EPSILON = 1e-8


def joint_probabilities(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Joint probabilities of the clusters of two views' patches, (M, C) twice -> (C, C).

    Rows of both are probabilities of clusters; row i of one corresponds to row i of the other.
    The order of the views does not matter: the result is symmetric, and sums to 1.
    """
    joint = first.T @ second / len(first)
    return (joint + joint.T) / 2


def information_loss(joint: torch.Tensor) -> torch.Tensor:
    """Minus the mutual information of two views' clusters (IIC; Ji et al., 2019), in nats.

    A scalar in [-ln C, 0], least where each cluster of one view is one of the other's and all are
    as large.

    Args:
        joint: (C, C), sums to 1.
    """
    joint = joint.clamp_min(EPSILON)
    rows, columns = joint.sum(dim=1, keepdim=True), joint.sum(dim=0, keepdim=True)
    return -(joint * (joint.log() - rows.log() - columns.log())).sum()


def align_views(
    first: torch.Tensor,
    second: torch.Tensor,
    overlaps: torch.Tensor,
    flipped: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample the features of two views at equal places of the picture (RoIAlign; He et al., 2017).

    Args:
        first, second: (N, h, w, D) feature maps of the two views.
        overlaps:      (N, 2, 4) left, top, right, bottom of what both show, in each view before it
            was flipped, as shares of its sides.
        flipped:       (N, 2) bool, which views were mirrored, left to right.

    Returns:
        (N h w, D) each: row i of one and of the other show the same place.
    """
    aligned = [
        _align_view(features, overlaps[:, number], flipped[:, number])
        for number, features in enumerate((first, second))
    ]
    return aligned[0], aligned[1]


def _align_view(
    features: torch.Tensor, overlap: torch.Tensor, flipped: torch.Tensor
) -> torch.Tensor:
    count, height, width = features.shape[:3]
    left, top, right, bottom = overlap.unbind(dim=1)
    # The overlap of a view that was flipped lies mirrored in its features.
    mirrored = torch.stack([1 - right, top, 1 - left, bottom], dim=1)
    shares = torch.where(flipped[:, None], mirrored, overlap)
    sides = torch.tensor([width, height, width, height], device=features.device)
    numbers = torch.arange(count, device=features.device, dtype=features.dtype)[:, None]
    boxes = torch.cat([numbers, (shares * sides).to(features.dtype)], dim=1)
    crops = roi_align(features.permute(0, 3, 1, 2), boxes, (height, width), aligned=True)
    crops = torch.where(flipped[:, None, None, None], crops.flip(3), crops)
    return crops.permute(0, 2, 3, 1).flatten(0, 2)
