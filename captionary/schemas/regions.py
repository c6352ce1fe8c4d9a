"""Regions: candidate segments of one picture, as masks and as the dictionary stores them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captionary.schemas.arrays import Box, Mask, Rgb, Vectors


@dataclass(frozen=True, slots=True)
class Region:
    """A candidate segment of one picture.

    mask:  (H, W) bool, with at least one pixel; all masks of a picture have one size, its own
        unless it is very large (vision.extraction).
    layer: which of the proposer's layers it belongs to; the regions of one layer do not overlap.
    """

    mask: Mask
    layer: int = 0

    def __post_init__(self) -> None:
        if self.mask.ndim != 2 or self.mask.dtype != np.bool_:
            raise ValueError(
                f"Region.mask must be (H, W) bool, got {self.mask.shape} {self.mask.dtype}"
            )
        if not self.mask.any():
            raise ValueError("Region.mask must have at least one pixel")

    @property
    def box_xyxy(self) -> Box:
        """The bounding box, in pixels, half-open."""
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    @property
    def area(self) -> float:
        """Its share of the picture, in (0, 1]."""
        return float(self.mask.mean())


@dataclass(frozen=True, slots=True)
class RegionTable:
    """The regions of one picture as the dictionary stores them: row i is region i.

    vectors:      (R, D) float32, unit length: what texts are compared with.
    boxes_xyxy:   (R, 4) int32, pixels, half-open.
    areas:        (R,) float32, share of the picture, in (0, 1].
    look_vectors: (R, L) float32, unit length, of a look model; None: there is none.
    """

    vectors: Vectors
    boxes_xyxy: np.ndarray[tuple[int, int], np.dtype[np.int32]]
    areas: np.ndarray[tuple[int], np.dtype[np.float32]]
    look_vectors: Vectors | None = None

    def __post_init__(self) -> None:
        count = len(self.vectors)
        if self.vectors.ndim != 2 or self.boxes_xyxy.shape != (count, 4):
            raise ValueError(
                f"RegionTable needs (R, D) vectors and (R, 4) boxes, "
                f"got {self.vectors.shape} and {self.boxes_xyxy.shape}"
            )
        if self.areas.shape != (count,):
            raise ValueError(f"RegionTable needs ({count},) areas, got {self.areas.shape}")
        if self.looks.ndim != 2 or len(self.looks) != count:
            raise ValueError(f"RegionTable needs ({count}, L) look_vectors, got {self.looks.shape}")

    @property
    def looks(self) -> Vectors:
        """What regions are compared with each other by."""
        return self.vectors if self.look_vectors is None else self.look_vectors

    def __len__(self) -> int:
        return len(self.vectors)

    def rows(self, which: Sequence[int]) -> "RegionTable":
        """Some of its rows."""
        rows = np.asarray(which, dtype=np.int64)
        looks = None if self.look_vectors is None else self.look_vectors[rows]
        return RegionTable(self.vectors[rows], self.boxes_xyxy[rows], self.areas[rows], looks)

    def followed_by(self, other: "RegionTable") -> "RegionTable":
        """Its rows and those of another one, of the same models."""
        both = self.look_vectors is not None and other.look_vectors is not None
        return RegionTable(
            np.concatenate([self.vectors, other.vectors]),
            np.concatenate([self.boxes_xyxy, other.boxes_xyxy]),
            np.concatenate([self.areas, other.areas]),
            np.concatenate([self.looks, other.looks]) if both else None,
        )


@dataclass(frozen=True, slots=True)
class PointedTable:
    """Regions that were made of areas that someone pointed at; row i has the index `indices[i]`."""

    indices: tuple[int, ...]
    table: RegionTable

    def joined(self, other: "PointedTable") -> "PointedTable":
        """Its regions and those of another one that it lacks."""
        new = [row for row, index in enumerate(other.indices) if index not in self.indices]
        more = other.table.rows(new)
        indices = (*self.indices, *(other.indices[row] for row in new))
        return PointedTable(indices, self.table.followed_by(more))


@dataclass(frozen=True, slots=True)
class CutPicture:
    """A picture cut into regions and embedded; it can be labelled any number of times.

    pixels:  (h, w, 3) uint8, at the size at which it was cut and embedded.
    regions: with masks of that size.
    table:   row i is region i; its boxes are in pixels of the picture itself.
    size_hw: height and width of the picture, in pixels.
    """

    pixels: Rgb
    regions: tuple[Region, ...]
    table: RegionTable
    size_hw: tuple[int, int]
