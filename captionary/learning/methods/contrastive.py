"""What is made small in training: pure functions of embeddings."""

import torch
from torch.nn.functional import cross_entropy


def contrastive_loss(
    images: torch.Tensor,
    texts: torch.Tensor,
    *,
    scale: torch.Tensor,
    all_images: torch.Tensor | None = None,
    all_texts: torch.Tensor | None = None,
    first: int = 0,
) -> torch.Tensor:
    """How badly pictures and texts find one another (Radford et al., 2021): a scalar.

    Args:
        images, texts:         (N, D), unit length; row i of one belongs to row i of the other.
        scale:                 what cosines are multiplied by, a scalar.
        all_images, all_texts: (M, D), those to choose among, of all processes; None: the same.
        first:                 where among them row 0 stands.
    """
    targets = torch.arange(first, first + len(images), device=images.device)
    to_texts = scale * images @ (texts if all_texts is None else all_texts).T
    to_images = scale * texts @ (images if all_images is None else all_images).T
    return (cross_entropy(to_texts, targets) + cross_entropy(to_images, targets)) / 2
