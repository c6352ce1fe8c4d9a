"""Grouping unit vectors into prototypes: the one primitive behind clusters and group prototypes."""

import torch


def spherical_em(
    vectors: torch.Tensor,
    start: torch.Tensor,
    *,
    iterations: int,
    kappa: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft k-means on the unit sphere (PGSeg's prototypes; methods: Zhang et al., 2023).

    E: Z = softmax over prototypes of kappa X M^T. M: each prototype becomes the unit vector of the
    sum of all vectors, weighted by their share in it; one in which nothing has a share stays.

    Args:
        vectors:    X, (..., N, D), unit length.
        start:      M, (..., K, D), unit length, K >= 1.
        iterations: >= 0.
        kappa:      concentration, > 0: how sharply a vector belongs to its nearest prototype.

    Returns:
        Prototypes (..., K, D), unit length, and the assignment to them (..., N, K), rows sum to 1.
    """
    prototypes = start
    for _ in range(iterations):
        shares = _shares(vectors, prototypes, kappa)
        total = shares.transpose(-2, -1) @ vectors
        length = total.norm(dim=-1, keepdim=True)
        prototypes = torch.where(length > TINY, total / length.clamp_min(TINY), prototypes)
    return prototypes, _shares(vectors, prototypes, kappa)


def centred_tokens(tokens: torch.Tensor) -> torch.Tensor:
    """Unit vectors without what all of them share, (..., N, D): what is left tells them apart.

    Uncentred, the tokens of one picture are so alike that every prototype gets a share of each.
    """
    unit = torch.nn.functional.normalize(tokens, dim=-1)
    return torch.nn.functional.normalize(unit - unit.mean(dim=-2, keepdim=True), dim=-1)


def _shares(vectors: torch.Tensor, prototypes: torch.Tensor, kappa: float) -> torch.Tensor:
    return (kappa * vectors @ prototypes.transpose(-2, -1)).softmax(dim=-1)


TINY = 1e-12


def farthest_points(vectors: torch.Tensor, count: int) -> torch.Tensor:
    """Vectors that lie far apart, (N, D) -> (K, D), K at most `count`; N >= 1.

    The first is the one least like the mean; each next is the least like its most similar before.
    It ends early when all that is left equals one of them.
    """
    nearest = vectors @ torch.nn.functional.normalize(vectors.mean(dim=0), dim=0)
    chosen: list[int] = []
    while len(chosen) < min(count, len(vectors)):
        farthest = int(nearest.argmin())
        if chosen and nearest[farthest] > 1 - EQUAL:
            break
        similarity = vectors @ vectors[farthest]
        nearest = torch.maximum(nearest, similarity) if chosen else similarity
        chosen.append(farthest)
    return vectors[chosen]


EQUAL = 1e-5
