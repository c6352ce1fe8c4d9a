"""Regions that people point at: an area of a picture, and the noun that it is, or is not."""

from dataclasses import dataclass
from typing import TypeAlias

FIRST_POINTED = 1 << 32
"""Regions with an index from here on were made of areas that someone pointed at."""

POINTED_BITS = 48
"""Of the number that is added to FIRST_POINTED."""

WHOLE_PICTURE = -1
"""In place of a region's index: the noun is nowhere in the picture."""


@dataclass(frozen=True, slots=True)
class BoxArea:
    """A box, as COCO's `bbox`: pixels of the picture as it is shown, edges may be fractions."""

    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class PolygonArea:
    """One or several polygons, as COCO's `segmentation`: x, y, x, y, ... in pixels each."""

    polygons: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class RleArea:
    """A mask in COCO's run lengths, column by column, the first run of zeros.

    counts:  as a list, or in COCO's compressed text.
    size_hw: height and width of the mask.
    """

    counts: tuple[int, ...] | str
    size_hw: tuple[int, int]


@dataclass(frozen=True, slots=True)
class MaskArea:
    """The pixels of a mask file that have one of some values; none named: all but 0.

    address: path or fsspec address of a PNG of the picture's size.
    """

    address: str
    values: tuple[int, ...] = ()


Area: TypeAlias = BoxArea | PolygonArea | RleArea | MaskArea


@dataclass(frozen=True, slots=True)
class PointedArea:
    """An area of a picture that someone pointed at.

    noun:    what it is, in any spelling.
    refused: it is not that.
    """

    noun: str
    area: Area
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Pointing:
    """That a stored region of a picture is a noun, or is not, for certain.

    index:   of the region; WHOLE_PICTURE: the noun is nowhere in it (only where refused).
    """

    index: int
    noun: str
    refused: bool = False
