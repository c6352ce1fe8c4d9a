"""The proposer of learned groups: PGSeg's groups of patches, ViL-Seg's clusters."""

import hashlib
from dataclasses import dataclass

import numpy as np

from captionary.schemas.regions import Region
from captionary.vision.clip.catalogue import GROUPING_MODELS
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import frame_size
from captionary.vision.clip.files import find_clip
from captionary.vision.grouping.config import GROUPING_METHODS
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import resize_picture, squash
from captionary.vision.proposers.borders import (
    BORDER_SETTINGS,
    cut_superpixels,
    snap_to_superpixels,
)
from captionary.vision.proposers.layers import build_regions
from captionary.vision.proposers.superpixels import WORKING_SIDE

INPUT_SCALE = 2
"""Shorter side at which pictures are encoded, in the model's input sizes: PGSeg's evaluation."""

MIN_REGION = 0.005
"""Smallest region, as a share of the picture."""

# Names of such models and methods are passed on, for the parser of `--proposer`.
__all__ = ["GROUPING_METHODS", "GROUPING_MODELS", "GroupModel", "Groups", "find_group_model"]


@dataclass(frozen=True, slots=True)
class GroupModel:
    """A model whose learned groups are proposed.

    name: its encoder's `default_proposer`.
    """

    name: str | None


def find_group_model(name: str) -> GroupModel:
    """Find a model that has learned to group: `pgseg:FOLDER`, `vilseg:FOLDER` or a bundled one.

    Raises:
        WrongInput: its folder is missing, or is no such model.
    """
    return GroupModel(find_clip(name).default_proposer)


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
        text = repr((INPUT_SCALE, MIN_REGION, BORDER_SETTINGS, self.encoder.fingerprint))
        return f"groups-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture: the whole, then the regions of each layer."""
        side = INPUT_SCALE * min(self.encoder.input_size_hw)
        frame = frame_size(picture.size_hw, side=side, multiple=self.encoder.tower.patch)
        maps = self.encoder.group_maps(squash(picture.pixels, size_hw=frame))
        superpixels = cut_superpixels(resize_picture(picture.pixels, longest=WORKING_SIDE))
        layers = [np.zeros(superpixels.shape, np.int32)]
        layers += [snap_to_superpixels(assignment, superpixels) for assignment in maps]
        return build_regions(layers, picture.size_hw, smallest=MIN_REGION)
