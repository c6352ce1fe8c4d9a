"""What people pointed at, for one noun: regions that are it for certain, and that are not it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captionary.indexer.candidate_regions import CandidateReader
from captionary.schemas.dictionary import Picture, TaggedRegion
from captionary.schemas.pointing import WHOLE_PICTURE
from captionary.vocabulary.candidates import Candidates

SAME = 0.7
"""Overlap of boxes (intersection over union) from which a candidate is the region refused."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Told:
    """Regions of which someone said the same of a noun; row i of `regions` is of `pictures[i]`."""

    pictures: Sequence[Picture]
    regions: Candidates

    def tagged(self, noun: str) -> list[TaggedRegion]:
        """The regions as if the noun had chosen them, each with a caption that names it, if any."""
        return [
            TaggedRegion(noun, picture.id, int(index), 1.0, _caption_of(picture, noun))
            for picture, index in zip(self.pictures, self.regions.index, strict=True)
        ]


def read_told(
    noun: str, pictures: Iterable[Picture], reader: CandidateReader, *, refused: bool
) -> Told:
    """The regions of pictures that are a noun, or are not, as someone said."""
    named = [
        (picture, item.index)
        for picture in pictures
        for item in picture.pointings
        if (item.noun, item.refused) == (noun, refused) and item.index != WHOLE_PICTURE
    ]
    regions = reader.read_regions([(picture.id, index) for picture, index in named])
    return Told([picture for picture, _ in named], regions)


def is_pointed_at(picture: Picture, noun: str) -> bool:
    """Whether someone said where a noun is in a picture, so that nothing is to be guessed."""
    return any(item.noun == noun and not item.refused for item in picture.pointings)


def allowed(own: Candidates, picture: Picture, refused: Told) -> NDArray[np.bool_]:
    """Which candidates of a picture the noun may still choose, (n,): none refused, or nearly so."""
    free = np.ones(len(own.index), np.bool_)
    for row, told in enumerate(refused.pictures):
        if told.id == picture.id:
            same = overlap(own.boxes_xyxy, refused.regions.boxes_xyxy[row]) >= SAME
            free &= ~(same | (own.index == refused.regions.index[row]))
    return free


def overlap(boxes_xyxy: Ints, box_xyxy: Ints) -> NDArray[np.float64]:
    """Intersection over union of boxes with one, (n, 4) and (4,) -> (n,)."""
    low = np.maximum(boxes_xyxy[:, :2], box_xyxy[:2])
    high = np.minimum(boxes_xyxy[:, 2:], box_xyxy[2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    own = np.prod(box_xyxy[2:] - box_xyxy[:2])
    ratio: NDArray[np.float64] = shared / np.maximum(areas + own - shared, 1)
    return ratio


def _caption_of(picture: Picture, noun: str) -> int:
    """Number of the first caption that names a noun; -1 where none does."""
    return next((n for n, nouns in enumerate(picture.nouns) if noun in nouns), -1)
