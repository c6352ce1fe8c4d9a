"""A picture's regions with their vectors: the one path that indexing and segmenting share.

Prototypes cancel the domain shift of masked crops only if the regions of indexed and of segmented
pictures are made in exactly the same way, so both services go through here, and the fingerprint
says which way it was.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, field

import numpy as np

from captionary.schemas.arrays import Box, Mask
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.pointing import Area, BoxArea
from captionary.schemas.regions import CutPicture, PointedTable, Region, RegionTable
from captionary.vision.embedding.embedders import RegionEmbedder
from captionary.vision.pictures.areas import area_mask
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pointing import pointed_index, pointed_region
from captionary.vision.proposers.proposer import RegionProposer
from captionary.vision.recent_tables import RecentTables, table_key

CODE_VERSION = 2
"""Raise it when a change of this package's code changes any region or vector."""

LONGEST = 1024
"""Longer side in pixels, at most, of pictures that are cut and encoded: a mask takes a byte a
pixel, and encoders see less."""


@dataclass(frozen=True, slots=True)
class RegionExtractor:
    """Cuts pictures into regions and embeds them.

    embedder: by CLIP, whose vectors compare with words.
    looks:    by vision models, whose vectors tell what looks alike; None: CLIP's do that, too.
    """

    proposer: RegionProposer
    embedder: RegionEmbedder
    looks: RegionEmbedder | None = None
    _recent: RecentTables = field(
        default_factory=RecentTables, init=False, repr=False, compare=False
    )

    @property
    def fingerprint(self) -> str:
        """Names everything that regions and vectors depend on."""
        looks = "" if self.looks is None else f"+{self.looks.fingerprint}"
        return f"{self.proposer.fingerprint}+{self.embedder.fingerprint}{looks}+v{CODE_VERSION}"

    @property
    def dim(self) -> int:
        """Length of CLIP's vectors."""
        return self.embedder.dim

    @property
    def look_dim(self) -> int:
        """Length of the vectors of looks; 0 without."""
        return 0 if self.looks is None else self.looks.dim

    def extract(self, picture: LoadedPicture) -> CutPicture:
        """Cut and embed one picture; there is at least one region.

        Raises:
            UnreadablePicture: the proposer needs something of this picture that is missing.
        """
        shown = picture.at_most(LONGEST)
        regions = self.proposer.propose(shown)
        # Boxes in pixels of the file, where users meet them; masks stay at the smaller size.
        boxes = [scaled(region.box_xyxy, shown.size_hw, picture.size_hw) for region in regions]
        key = table_key(shown.pixels, regions, boxes)
        if (table := self._recent.get(key)) is None:
            table = self._embedded(shown, regions, boxes)
            self._recent.put(key, table)
        return CutPicture(shown.pixels, tuple(regions), table, picture.size_hw)

    def _embedded(
        self, shown: LoadedPicture, regions: Sequence[Region], boxes: Sequence[Box]
    ) -> RegionTable:
        if not regions:
            looks = None if self.looks is None else np.zeros((0, self.looks.dim), np.float32)
            vectors, boxes_xyxy = np.zeros((0, self.dim), np.float32), np.zeros((0, 4), np.int32)
            return RegionTable(vectors, boxes_xyxy, np.zeros(0, np.float32), looks)
        return RegionTable(
            vectors=self.embedder.embed(shown, regions),
            boxes_xyxy=np.array(boxes, dtype=np.int32),
            areas=np.array([region.area for region in regions], dtype=np.float32),
            look_vectors=None if self.looks is None else self.looks.embed(shown, regions),
        )

    def embed_areas(
        self,
        picture: LoadedPicture,
        areas: Sequence[Area],
        *,
        regions: Sequence[Region] | None = None,
        known: Container[int] = (),
    ) -> tuple[tuple[int | str, ...], PointedTable]:
        """Embed areas that someone pointed at as regions of a picture.

        Args:
            regions: as `extract` cut it; None: it is cut here, where that is needed.
            known:   indices of regions that need not be embedded again.

        Returns:
            The index of each area's region, or the reason why there is none; and those of the
            regions that are not known.
        """
        shown = picture.at_most(LONGEST)
        indices: list[int | str] = []
        new: dict[int, tuple[Area, Mask]] = {}
        for area in areas:
            try:
                mask = area_mask(
                    area,
                    size_hw=picture.file_hw,
                    to_hw=shown.size_hw,
                    orientation=picture.orientation,
                )
            except (WrongInput, UnreadablePicture) as error:
                indices.append(str(error))
                continue
            indices.append(index := pointed_index(area, mask))
            if index not in known:
                new[index] = area, mask
        if regions is None:
            boxed = any(isinstance(area, BoxArea) for area, _ in new.values())
            regions = self.proposer.propose(shown) if boxed else ()
        meant = [pointed_region(area, mask, regions) for area, mask in new.values()]
        boxes = [scaled(region.box_xyxy, shown.size_hw, picture.size_hw) for region in meant]
        return tuple(indices), PointedTable(tuple(new), self._embedded(shown, meant, boxes))

    def embed_box(self, picture: LoadedPicture, box_xyxy: Box | None) -> RegionTable:
        """Embed a box of a picture as its one region, as regions are when they are indexed.

        Args:
            box_xyxy: in the picture's own pixels; None: the whole picture.

        Raises:
            WrongInput: the box is empty, or reaches out of the picture.
        """
        height, width = picture.size_hw
        box_xyxy = box_xyxy or (0, 0, width, height)
        left, top, right, bottom = box_xyxy
        if not (0 <= left < right <= width and 0 <= top < bottom <= height):
            raise WrongInput(
                f"the box {left},{top},{right},{bottom} is empty or not within the picture, "
                f"which is {width} pixels wide and {height} high"
            )
        shown = picture.at_most(LONGEST)
        left, top, right, bottom = scaled(box_xyxy, picture.size_hw, shown.size_hw)
        mask = np.zeros(shown.size_hw, dtype=np.bool_)
        mask[top:bottom, left:right] = True
        return self._embedded(shown, [Region(mask)], [box_xyxy])


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
