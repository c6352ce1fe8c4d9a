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
    """The group of each prototype, one to one, such that they are most alike in all.

    Args:
        similarity: (N, G, P), each group with each prototype, P <= G; a prototype that does not
            count has -inf throughout, and takes a group that no other needs.

    Returns:
        (N, P) int64, none twice in a row.
    """
    # scipy refuses what is no number; that the loss is none is for the trainer to tell.
    rows = similarity.detach().float().nan_to_num(0).clamp(-FAR, FAR).cpu().numpy()
    # scipy answers in the order of the first axis: that of prototypes here.
    chosen = [linear_sum_assignment(each.T, maximize=True)[1] for each in rows]
    return torch.from_numpy(np.stack(chosen)).to(similarity.device)


FAR = 1e3
"""Further than any two vectors are apart."""


def kept_matches(
    similarity: torch.Tensor, groups: torch.Tensor, *, least: float = LEAST_ALIKE
) -> torch.Tensor:
    """Which matches are good enough, (N, P) bool.

    Args:
        similarity: (N, G, P), each group with each prototype.
        groups:     (N, P), the group of each prototype.
    """
    low = similarity.amin(dim=1)
    span = (similarity.amax(dim=1) - low).clamp_min(TINY)
    own = similarity.gather(1, groups[:, None])[:, 0]
    return (own - low) / span > least


TINY = 1e-12


def cosines(groups: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """How alike each group is with each prototype, (N, G, D) and (N, P, D) to (N, G, P)."""
    return normalize(groups, dim=-1) @ normalize(prototypes, dim=-1).transpose(1, 2)


def prototype_loss(
    groups: torch.Tensor, prototypes: torch.Tensor, *, scale: torch.Tensor
) -> torch.Tensor:
    """How badly groups and prototypes find one another: a scalar.

    Args:
        groups:     (N, G, D) of any length.
        prototypes: (N, G, D) of any length; no gradient goes into them.
        scale:      what cosines are multiplied by, a scalar.
    """
    cosine = cosines(groups, prototypes.detach())
    group = matches(cosine)
    kept = kept_matches(cosine.detach(), group)
    matched = scale * cosine.gather(1, group[..., None].expand_as(cosine))
    losses = [-torch.diagonal(log_softmax(matched, dim=dim), dim1=1, dim2=2) for dim in (1, 2)]
    return ((losses[0] + losses[1]) * kept).sum() / kept.sum().clamp_min(1)


@torch.no_grad()
def move_prototypes(kept: torch.Tensor, found: torch.Tensor) -> None:
    """Move prototypes that are kept, (G, D), a little to the mean of those found, (N, G, D)."""
    kept.copy_(normalize(MOMENTUM * kept + (1 - MOMENTUM) * found.mean(dim=0), dim=-1))
