"""Clustering of unit vectors: spherical EM, and a start for it.

The proposer `clusters` finds the centres of a picture's patches with it, PGSeg its group
prototypes; here both are called centres.
"""

import torch
from torch.nn.functional import normalize

MIN_LENGTH = 1e-12
"""A sum of vectors that is shorter has no direction."""

SAME_POINT = 1e-5
"""Vectors whose cosine is within this of 1 are one point: float32 rounds that far."""


def spherical_em(
    vectors: torch.Tensor,
    start: torch.Tensor,
    *,
    iterations: int,
    kappa: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cluster unit vectors by soft k-means on the sphere (EM of a von Mises-Fisher mixture).

    E step: Z = softmax over centres of kappa X M^T. M step: each centre becomes the unit vector of
    the sum of all vectors, weighted by Z; a centre without any weight stays where it is. This is
    how PGSeg updates its group prototypes (Zhang et al., 2023).

    Args:
        vectors:    X, (..., N, D), unit length.
        start:      M, (..., K, D), unit length, K >= 1.
        iterations: >= 0.
        kappa:      concentration, > 0: how sharply a vector is assigned to its nearest centre.

    Returns:
        Centres (..., K, D), unit length, and the assignment to them (..., N, K), rows sum to 1.
    """
    centres = start
    for _ in range(iterations):
        assignment = _assign(vectors, centres, kappa)
        total = assignment.transpose(-2, -1) @ vectors
        length = total.norm(dim=-1, keepdim=True)
        # Without the clamp the branch that is not taken would divide by zero and give NaN.
        centres = torch.where(length > MIN_LENGTH, total / length.clamp_min(MIN_LENGTH), centres)
    return centres, _assign(vectors, centres, kappa)


def _assign(vectors: torch.Tensor, centres: torch.Tensor, kappa: float) -> torch.Tensor:
    return (kappa * vectors @ centres.transpose(-2, -1)).softmax(dim=-1)


def centre_tokens(tokens: torch.Tensor) -> torch.Tensor:
    """Subtract the mean of a picture's tokens, at unit length, (..., N, D) -> (..., N, D).

    Uncentred, the tokens of one picture are so alike that each is assigned to all centres.
    """
    unit = normalize(tokens, dim=-1)
    return normalize(unit - unit.mean(dim=-2, keepdim=True), dim=-1)


def farthest_points(vectors: torch.Tensor, count: int) -> torch.Tensor:
    """Sample vectors that lie far apart (farthest-point sampling), (N, D) -> (K, D); N >= 1.

    The first is the one least similar to the mean; each next is the one whose similarity to the
    nearest chosen one is least. K is `count`, or less when all that is left equals a chosen one.
    """
    nearest = vectors @ normalize(vectors.mean(dim=0), dim=0)
    chosen: list[int] = []
    while len(chosen) < min(count, len(vectors)):
        farthest = int(nearest.argmin())
        if chosen and nearest[farthest] > 1 - SAME_POINT:
            break
        similarity = vectors @ vectors[farthest]
        # The mean only chose the first: from there on it is no point to stay away from.
        nearest = torch.maximum(nearest, similarity) if chosen else similarity
        chosen.append(farthest)
    return vectors[chosen]
