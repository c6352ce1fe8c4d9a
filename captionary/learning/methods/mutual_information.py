"""ViL-Seg's clusters: corresponding patches of two views are to say the most of one another."""

import torch
from torchvision.ops import roi_align

TINY = 1e-8


def joint_probabilities(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """How often two views' patches fall in two clusters together, (M, C) twice -> (C, C).

    Rows of both are probabilities of clusters; row i of one corresponds to row i of the other.
    The order of the views does not matter: the result is symmetric, and sums to 1.
    """
    joint = first.T @ second / len(first)
    return (joint + joint.T) / 2


def information_loss(joint: torch.Tensor) -> torch.Tensor:
    """Minus the mutual information of two views' clusters (Ji et al., 2019), a scalar in nats.

    It lies in [-ln C, 0] and is least where each cluster of one view is one of the other's and all
    are as large.

    Args:
        joint: (C, C), sums to 1.
    """
    own = joint.clamp_min(TINY)
    rows, columns = own.sum(dim=1, keepdim=True), own.sum(dim=0, keepdim=True)
    return -(own * (own.log() - rows.log() - columns.log())).sum()


def corresponding(
    first: torch.Tensor,
    second: torch.Tensor,
    overlaps: torch.Tensor,
    flipped: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of two views at the same places of the picture (He et al., 2017: RoIAlign).

    Args:
        first, second: (N, h, w, D) feature maps of the two views.
        overlaps:      (N, 2, 4) left, top, right, bottom of what both show, in each view before it
            was flipped, as shares of its sides.
        flipped:       (N, 2) bool, which views were mirrored, left to right.

    Returns:
        (N h w, D) each: row i of one and of the other show the same place.
    """
    aligned = [
        _aligned(features, overlaps[:, number], flipped[:, number])
        for number, features in enumerate((first, second))
    ]
    return aligned[0], aligned[1]


def _aligned(features: torch.Tensor, overlap: torch.Tensor, flipped: torch.Tensor) -> torch.Tensor:
    count, height, width = features.shape[:3]
    left, top, right, bottom = overlap.unbind(dim=1)
    mirrored = torch.stack([1 - right, top, 1 - left, bottom], dim=1)
    shares = torch.where(flipped[:, None], mirrored, overlap)
    sides = torch.tensor([width, height, width, height], device=features.device)
    numbers = torch.arange(count, device=features.device, dtype=features.dtype)[:, None]
    boxes = torch.cat([numbers, (shares * sides).to(features.dtype)], dim=1)
    seen = roi_align(features.permute(0, 3, 1, 2), boxes, (height, width), aligned=True)
    seen = torch.where(flipped[:, None, None, None], seen.flip(3), seen)
    return seen.permute(0, 2, 3, 1).flatten(0, 2)
