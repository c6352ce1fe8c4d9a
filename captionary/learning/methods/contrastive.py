"""The contrastive loss of CLIP (InfoNCE in both directions), a pure function of embeddings."""

import torch
from torch.nn.functional import cross_entropy


def contrastive_loss(
    images: torch.Tensor,
    texts: torch.Tensor,
    *,
    scale: torch.Tensor,
    all_images: torch.Tensor | None = None,
    all_texts: torch.Tensor | None = None,
    offset: int = 0,
) -> torch.Tensor:
    """Mean cross-entropy of finding the text of a picture and back (Radford et al., 2021).

    Args:
        images, texts:         (N, D), unit length; row i of one belongs to row i of the other.
        scale:                 what cosines are multiplied by, a scalar.
        all_images, all_texts: (M, D), those to choose among, of all processes; None: the same.
        offset:                the row among them that row 0 is.

    Returns:
        A scalar.
    """
    targets = torch.arange(offset, offset + len(images), device=images.device)
    to_texts = scale * images @ (texts if all_texts is None else all_texts).T
    to_images = scale * texts @ (images if all_images is None else all_images).T
    return (cross_entropy(to_texts, targets) + cross_entropy(to_images, targets)) / 2
