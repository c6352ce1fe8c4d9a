"""PGSeg's regularisation: group tokens are to stand where a picture's own prototypes stand.

After Zhang et al. (2023). Groups and prototypes are matched one to one; matches that are no better
than others are left out; the rest are to find each other, in both directions.
"""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import log_softmax, normalize

LEAST_ALIKE = 0.1
"""A match is left out where the prototype likes its group no better than this, from 0 (the group
that it likes least) to 1 (the one that it likes best)."""

MOMENTUM = 0.9


def matches(similarity: torch.Tensor) -> torch.Tensor:
    """The prototype of each group, one to one, such that they are most alike in all.

    Args:
        similarity: (N, G, G), each group (rows) with each prototype.

    Returns:
        (N, G) int64: a permutation for each picture.
    """
    rows = similarity.detach().float().cpu().numpy()
    chosen = [linear_sum_assignment(each, maximize=True)[1] for each in rows]
    return torch.from_numpy(np.stack(chosen)).to(similarity.device)


def kept_matches(similarity: torch.Tensor, *, least: float = LEAST_ALIKE) -> torch.Tensor:
    """Which matches are good enough, (N, G) bool.

    Args:
        similarity: (N, G, G), each group (rows) with each prototype (columns), matched: the
            diagonal is a match's own. Each column is scaled to [0, 1] to be compared.
    """
    low = similarity.amin(dim=1)
    span = (similarity.amax(dim=1) - low).clamp_min(TINY)
    own = torch.diagonal(similarity, dim1=1, dim2=2)
    return (own - low) / span > least


TINY = 1e-12


def prototype_loss(
    groups: torch.Tensor, prototypes: torch.Tensor, *, scale: torch.Tensor
) -> torch.Tensor:
    """How badly groups and prototypes find one another: a scalar.

    Args:
        groups:     (N, G, D) of any length.
        prototypes: (N, G, D) of any length; no gradient goes into them.
        scale:      what cosines are multiplied by, a scalar.
    """
    cosine = normalize(groups, dim=-1) @ normalize(prototypes.detach(), dim=-1).transpose(1, 2)
    order = matches(cosine)
    matched = cosine.gather(2, order[:, None].expand_as(cosine))
    kept = kept_matches(matched.detach())
    losses = [
        -torch.diagonal(log_softmax(scale * matched, dim=dim), dim1=1, dim2=2) for dim in (2, 1)
    ]
    return (sum(losses, torch.zeros_like(losses[0])) * kept).sum() / kept.sum().clamp_min(1)


@torch.no_grad()
def move_prototypes(kept: torch.Tensor, found: torch.Tensor) -> None:
    """Move prototypes that are kept, (G, D), a little to the mean of those found, (N, G, D)."""
    kept.copy_(normalize(MOMENTUM * kept + (1 - MOMENTUM) * found.mean(dim=0), dim=-1))
