"""Candidates: the regions that nouns may take and that are asked as neighbours, centred."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Vectors
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.centring import CommonParts, centred

Ints = NDArray[np.int64]

SMALLEST = 0.02
"""Share of the picture below which a region is no candidate: small ones embed badly."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidate regions of some pictures, picture after picture.

    vectors:    (n, D) float32, centred, unit length: what words are compared with.
    looks:      (n, L) likewise: what regions are compared with; `vectors` without a look model.
    index:      (n,) number of the region within its picture.
    boxes_xyxy: (n, 4) pixels, half-open.
    picture:    (n,) which of the pictures it belongs to: 0, 1, ...; rising.
    """

    vectors: Vectors
    looks: Vectors
    index: Ints
    boxes_xyxy: Ints
    picture: Ints

    @property
    def has_looks(self) -> bool:
        """Whether there is a look model, with a space of its own."""
        return self.looks is not self.vectors

    def rows_of(self, picture: int) -> slice:
        """The rows of one of the pictures."""
        start, stop = np.searchsorted(self.picture, [picture, picture + 1])
        return slice(int(start), int(stop))

    def first(self, pictures: int) -> "Candidates":
        """Those of the first so many pictures."""
        stop = int(np.searchsorted(self.picture, pictures))
        return self.of_rows(slice(stop))

    def of_rows(self, rows: slice | NDArray[np.bool_]) -> "Candidates":
        """Some of them, by row."""
        vectors = self.vectors[rows]
        return Candidates(
            vectors=vectors,
            looks=self.looks[rows] if self.has_looks else vectors,
            index=self.index[rows],
            boxes_xyxy=self.boxes_xyxy[rows],
            picture=self.picture[rows],
        )


def large_enough(table: RegionTable) -> Ints:
    """The regions of some size, by number; all where a picture has none."""
    index = np.flatnonzero(table.areas >= SMALLEST)
    return index if len(index) else np.arange(len(table))


def candidates_of(table: RegionTable, common: CommonParts) -> Candidates:
    """The candidates of one picture: its regions of some size, or all where it has none."""
    return candidates_at(table, large_enough(table), common)


def candidates_at(table: RegionTable, index: Ints, common: CommonParts) -> Candidates:
    """Some regions of one picture as candidates."""
    vectors = centred(table.vectors[index], common.vector)
    alike = table.look_vectors
    return Candidates(
        vectors=vectors,
        looks=vectors if alike is None else centred(alike[index], common.look),
        index=index,
        boxes_xyxy=table.boxes_xyxy[index].astype(np.int64),
        picture=np.zeros(len(index), dtype=np.int64),
    )


def joined(parts: Sequence[Candidates], common: CommonParts) -> Candidates:
    """The candidates of pictures, numbered in the order in which they are given."""
    number = [np.full(len(part.index), n, dtype=np.int64) for n, part in enumerate(parts)]
    vectors = _stacked([part.vectors for part in parts], len(common.vector))
    same = common.look_vector is None
    return Candidates(
        vectors=vectors,
        looks=vectors if same else _stacked([part.looks for part in parts], len(common.look)),
        index=np.concatenate([np.zeros(0, np.int64), *(part.index for part in parts)]),
        boxes_xyxy=np.concatenate(
            [np.zeros((0, 4), np.int64), *(part.boxes_xyxy for part in parts)]
        ),
        picture=np.concatenate([np.zeros(0, np.int64), *number]),
    )


def _stacked(parts: Sequence[Vectors], dim: int) -> Vectors:
    return np.concatenate([np.zeros((0, dim), np.float32), *parts])
