"""A picture's regions with their vectors: the one path that indexing and segmenting share.

Prototypes cancel the domain shift of masked crops only if the regions of indexed and of segmented
pictures are made in exactly the same way, so both services go through here, and the fingerprint
says which way it was.
"""

from dataclasses import dataclass

import numpy as np

from captionary.schemas.arrays import Box, Vector
from captionary.schemas.errors import WrongInput
from captionary.schemas.regions import CutPicture, Region, RegionTable
from captionary.vision.embedding.embedders import RegionEmbedder
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.proposer import RegionProposer

CODE_VERSION = 2
"""Raise it when a change of this package's code changes any region or vector."""

LONGEST = 1024
"""Longer side in pixels, at most, of pictures that are cut and encoded: a mask takes a byte a
pixel, and encoders see less."""


@dataclass(frozen=True, slots=True)
class RegionExtractor:
    """Cuts pictures into regions and embeds them."""

    proposer: RegionProposer
    embedder: RegionEmbedder

    @property
    def fingerprint(self) -> str:
        """Names everything that regions and vectors depend on."""
        return f"{self.proposer.fingerprint}+{self.embedder.fingerprint}+v{CODE_VERSION}"

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return self.embedder.dim

    def extract(self, picture: LoadedPicture) -> CutPicture:
        """Cut and embed one picture; there is at least one region.

        Raises:
            UnreadablePicture: the proposer needs something of this picture that is missing.
        """
        shown = picture.at_most(LONGEST)
        regions = self.proposer.propose(shown)
        # Boxes in pixels of the file, where users meet them; masks stay at the smaller size.
        boxes = [scaled(region.box_xyxy, shown.size_hw, picture.size_hw) for region in regions]
        table = RegionTable(
            vectors=self.embedder.embed(shown, regions),
            boxes_xyxy=np.array(boxes, dtype=np.int32),
            areas=np.array([region.area for region in regions], dtype=np.float32),
        )
        return CutPicture(shown.pixels, tuple(regions), table, picture.size_hw)

    def embed_box(self, picture: LoadedPicture, box_xyxy: Box | None) -> Vector:
        """Embed a box of a picture as one region, as regions are when they are indexed, (D,).

        Args:
            box_xyxy: in the picture's own pixels; None: the whole picture.

        Raises:
            WrongInput: the box is empty, or reaches out of the picture.
        """
        height, width = picture.size_hw
        left, top, right, bottom = box_xyxy or (0, 0, width, height)
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise WrongInput(
                f"the box {left},{top},{right},{bottom} is empty or not within the picture, "
                f"which is {width} pixels wide and {height} high"
            )
        shown = picture.at_most(LONGEST)
        left, top, right, bottom = scaled(
            (left, top, right, bottom), picture.size_hw, shown.size_hw
        )
        mask = np.zeros(shown.size_hw, dtype=np.bool_)
        mask[top:bottom, left:right] = True
        vector: Vector = self.embedder.embed(shown, [Region(mask)])[0]
        return vector


def scaled(box_xyxy: Box, from_hw: tuple[int, int], to_hw: tuple[int, int]) -> Box:
    """A box in pixels of another size of the picture, widened to whole pixels."""
    left, top, right, bottom = box_xyxy
    (height, width), (new_height, new_width) = from_hw, to_hw
    return (
        left * new_width // width,
        top * new_height // height,
        # Minus twice makes // round up: in whole numbers, for floats would miss an edge at times.
        -(-right * new_width // width),
        -(-bottom * new_height // height),
    )
