"""The stored regions that look most like a picture's: their words, and what was said of them.

Keys are looks, values are words: a region's neighbours among what was indexed lend it their CLIP
vectors (as in the second version of CorrCLIP, Zhang et al., 2025), and the captions of their
pictures vote. Neither needs an association of regions with nouns.

Neighbours are looked for among the pictures of the sample, in memory: the cost does not grow with
the dictionary, a scan by the store takes many times as long, and four times as many pictures gain
little (docs/results.md).
"""

from dataclasses import dataclass

import numpy as np

from captionary.schemas.arrays import Scores, Vectors
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import unit
from captionary.vocabulary.candidates import Candidates
from captionary.vocabulary.centring import CommonParts, centred

NEIGHBOURS = 50
"""How many regions are asked about each region."""

SHARPNESS = 10.0
"""A neighbour's captions count exp(SHARPNESS * (its cosine - that of the nearest))."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours of R regions.

    words:  (R, D) float32, unit length: the mean direction of their CLIP vectors, centred; where
        there are none the region's own.
    weight: (R, P) float32, how much the captions of each of P pictures count for a region; rows sum
        to 1, or to 0 where there are none.
    nouns:  of the captions of each of the P pictures.
    """

    words: Vectors
    weight: Scores
    nouns: tuple[frozenset[str], ...]


@dataclass(frozen=True, slots=True)
class NeighbourPool:
    """The regions among which neighbours are looked for.

    regions:  the candidates of P pictures.
    pictures: the ids of these.
    nouns:    of the captions of each of these, and of what was pointed at.
    in_captions: the nouns of all their captions.
    common:   what was subtracted from the vectors.
    """

    regions: Candidates
    pictures: tuple[str, ...]
    nouns: tuple[frozenset[str], ...]
    in_captions: frozenset[str]
    common: CommonParts

    def find(self, table: RegionTable, *, without: str | None = None) -> Neighbours:
        """The NEIGHBOURS regions that look most like each of R regions.

        without: id of a picture that is not asked, whose regions these are; None: all are asked.
        """
        weight = np.zeros((len(table), len(self.nouns)), np.float32)
        left = slice(0, 0)
        if without is not None and without in self.pictures:
            left = self.regions.rows_of(self.pictures.index(without))
        count = min(NEIGHBOURS, len(self.regions.index) - (left.stop - left.start))
        if not count:
            return Neighbours(centred(table.vectors, self.common.vector), weight, self.nouns)
        similarity = centred(table.looks, self.common.look) @ self.regions.looks.T
        similarity[:, left] = -np.inf
        # Of equally near ones at the edge any may be taken; sorting all would take longer.
        nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(similarity, nearest, axis=1)
        share = np.exp(SHARPNESS * (near - near.max(axis=1, keepdims=True)))
        share /= share.sum(axis=1, keepdims=True)
        np.add.at(weight, (np.arange(len(table))[:, None], self.regions.picture[nearest]), share)
        words = unit(self.regions.vectors[nearest].mean(axis=1))
        return Neighbours(words, weight, self.nouns)
