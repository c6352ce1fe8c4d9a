"""Centring: regions without what all regions of a dictionary have in common.

All embeddings of one encoder lie in a narrow cone; its axis tells nothing of a region and drowns
what does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import unit

CENTRING = 0.8
"""How much of the dictionary's mean region is subtracted. All of it costs accuracy, and so does
none (docs/results.md)."""

FEW_PICTURES = 10
"""A mean over this many pictures is trusted by half."""


@dataclass(frozen=True, slots=True)
class CommonParts:
    """What the regions of a dictionary have in common, to be subtracted by `centred`.

    vector:      (D,) of CLIP's vectors.
    look_vector: (L,) of the look vectors; None without a look model.
    """

    vector: Vector
    look_vector: Vector | None = None

    @property
    def look(self) -> Vector:
        """Of what regions are compared with each other by."""
        return self.vector if self.look_vector is None else self.look_vector


def common_parts(tables: Sequence[RegionTable], *, dim: int, look_dim: int) -> CommonParts:
    """What the regions of a sample of pictures have in common; `look_dim` 0: no look model."""
    none = np.zeros((0, dim), np.float32)
    vectors = np.concatenate([none, *(table.vectors for table in tables)])
    common = common_part(vectors, pictures=len(tables))
    if not look_dim:
        return CommonParts(common)
    none = np.zeros((0, look_dim), np.float32)
    looks = np.concatenate([none, *(table.looks for table in tables)])
    return CommonParts(common, common_part(looks, pictures=len(tables)))


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
