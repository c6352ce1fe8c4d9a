"""PGSeg's regularisation: group tokens are drawn to the prototypes of their own picture.

After Zhang et al. (2023). Groups and group prototypes (the centres of a picture's tokens) are
matched one to one; matches that are no better than others are left out; the rest are contrasted in
both directions.
"""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import log_softmax, normalize

MIN_RELATIVE_SIMILARITY = 0.1
"""A match is left out where the prototype is no more similar to its group than this, from 0 (its
least similar group) to 1 (its most similar one)."""

MOMENTUM = 0.9
LARGE = 1e3
"""More than any two vectors differ by, and finite."""
EPSILON = 1e-12


def match_one_to_one(similarity: torch.Tensor) -> torch.Tensor:
    """Match each prototype to a group of its own, such that they are most similar in sum.

    Args:
        similarity: (N, G, P), each group with each prototype, P <= G; a prototype that does not
            count has -inf throughout, and takes a group that no other needs.

    Returns:
        (N, P) int64, the group of each prototype, none twice in a row.
    """
    # scipy refuses what is not finite; that the loss is not is for the trainer to report.
    rows = similarity.detach().float().nan_to_num(0).clamp(-LARGE, LARGE).cpu().numpy()
    # scipy returns the order of the first axis: that of prototypes here.
    chosen = [linear_sum_assignment(each.T, maximize=True)[1] for each in rows]
    return torch.from_numpy(np.stack(chosen)).to(similarity.device)


def good_matches(
    similarity: torch.Tensor, groups: torch.Tensor, *, least: float = MIN_RELATIVE_SIMILARITY
) -> torch.Tensor:
    """Which matches are better than others, (N, P) bool.

    Args:
        similarity: (N, G, P), each group with each prototype.
        groups:     (N, P), the group of each prototype.
    """
    low = similarity.amin(dim=1)
    span = (similarity.amax(dim=1) - low).clamp_min(EPSILON)
    own = similarity.gather(1, groups[:, None])[:, 0]
    return (own - low) / span > least


def pairwise_cosines(groups: torch.Tensor, prototypes: torch.Tensor) -> torch.Tensor:
    """Cosines of each group with each prototype, (N, G, D) and (N, P, D) to (N, G, P)."""
    return normalize(groups, dim=-1) @ normalize(prototypes, dim=-1).transpose(1, 2)


def prototype_loss(
    groups: torch.Tensor, prototypes: torch.Tensor, *, scale: torch.Tensor
) -> torch.Tensor:
    """Contrastive loss between the groups of a picture and its prototypes: a scalar.

    Args:
        groups:     (N, G, D) of any length.
        prototypes: (N, G, D) of any length; no gradient goes into them.
        scale:      what cosines are multiplied by, a scalar.
    """
    cosine = pairwise_cosines(groups, prototypes.detach())
    group = match_one_to_one(cosine)
    good = good_matches(cosine.detach(), group)
    # Rows are put into the order of their prototypes: right answers then stand on the diagonal.
    matched = scale * cosine.gather(1, group[..., None].expand_as(cosine))
    losses = [-torch.diagonal(log_softmax(matched, dim=dim), dim1=1, dim2=2) for dim in (1, 2)]
    return ((losses[0] + losses[1]) * good).sum() / good.sum().clamp_min(1)


@torch.no_grad()
def update_group_prototypes(stored: torch.Tensor, batch: torch.Tensor) -> None:
    """Move the group prototypes of a stage, (G, D), a little towards the mean of a batch's.

    batch: (N, G, D), those of each picture.
    """
    stored.copy_(normalize(MOMENTUM * stored + (1 - MOMENTUM) * batch.mean(dim=0), dim=-1))
