"""Regions that a model has learned to see: PGSeg's groups, ViL-Seg's clusters."""

import hashlib
from dataclasses import dataclass

import numpy as np

from captionary.schemas.regions import Region
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import frame_size
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import resized, squash
from captionary.vision.proposers.borders import BORDERS, pieces_of, snapped
from captionary.vision.proposers.layers import regions_of
from captionary.vision.proposers.superpixels import WORKING_SIDE

TIMES = 2
"""How large a picture is shown: times the model's input, as PGSeg is asked."""

SMALLEST = 0.005


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a model that has learned to group patches, in one pass.

    Superpixels give them sharp borders, and connected parts become regions. Layer 0 is the whole
    picture, then there is a layer for each grouping of the model, from fine to coarse.
    """

    encoder: ClipEncoder

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        text = repr((TIMES, SMALLEST, BORDERS, self.encoder.fingerprint))
        return f"groups-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture: the whole, then the regions of each layer."""
        side = TIMES * min(self.encoder.input_size_hw)
        frame = frame_size(picture.size_hw, side=side, multiple=self.encoder.patch)
        maps = self.encoder.group_maps(squash(picture.pixels, size_hw=frame))
        pieces = pieces_of(resized(picture.pixels, longest=WORKING_SIDE))
        layers = [np.zeros(pieces.shape, np.int32), *(snapped(shares, pieces) for shares in maps)]
        return regions_of(layers, picture.size_hw, smallest=SMALLEST)
