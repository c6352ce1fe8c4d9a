"""Retrieval and classification metrics: recall at k between pictures and texts, and accuracy."""

import torch


def recall(scores: torch.Tensor, text_of: torch.Tensor, *, at: int) -> tuple[float, float]:
    """Recall at k in both directions, (picture -> text, text -> picture), in [0, 1].

    Several pictures may have the same text: then any of them is right.

    Args:
        scores:  (I, T) float, each picture with each text, all texts different.
        text_of: (I,) int64, which text a picture has; every text has a picture.
        at:      how many of the best count.
    """
    # Ranks are counted, not sorted: what scores higher than the right one stands before it.
    own = scores.gather(1, text_of[:, None])
    better_texts = (scores > own).sum(dim=1)
    # Of the pictures that have a text, the one that scores highest counts.
    lowest = torch.full_like(scores[0], -torch.inf)
    best_own = lowest.scatter_reduce(0, text_of, own[:, 0], reduce="amax")
    better_pictures = (scores > best_own).sum(dim=0)
    return _share(better_texts < at), _share(better_pictures < at)


def accuracy(scores: torch.Tensor, targets: torch.Tensor) -> float:
    """How often the best class is the right one: (I, C) scores, (I,) int64 targets -> [0, 1]."""
    return _share(scores.argmax(dim=1) == targets)


def _share(right: torch.Tensor) -> float:
    return float(right.double().mean())
