"""Centring: regions without what all regions of a dictionary have in common.

All embeddings of one encoder lie in a narrow cone; its axis tells nothing of a region and drowns
what does.
"""

import numpy as np

from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.vectors import unit

CENTRING = 0.8
"""How much of the dictionary's mean region is subtracted. All of it costs accuracy, and so does
none (docs/results.md)."""

FEW_PICTURES = 10
"""A mean over this many pictures is trusted by half."""


def common_part(vectors: Vectors, *, pictures: int) -> Vector:
    """What regions have in common, (N, D) -> (D,): to be subtracted by `centred`.

    A mean of few pictures says more of them than of the encoder, and counts less.

    Args:
        vectors:  the regions of a sample of pictures, unit length.
        pictures: how many pictures they are of.
    """
    if not len(vectors):
        return np.zeros(vectors.shape[1], dtype=np.float32)
    trust = CENTRING * pictures / (pictures + FEW_PICTURES)
    # In float64: sums of many thousands of float32 rows lose digits.
    common: Vector = (trust * vectors.mean(axis=0, dtype=np.float64)).astype(np.float32)
    return common


def centred(vectors: Vectors, common: Vector) -> Vectors:
    """Subtract the common part and scale to unit length again, (N, D) -> (N, D)."""
    return unit(vectors - common)
