"""The proposers `whole` and `masks`: the whole picture, or a label map that is there already."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from captionary.files.file_names import LookAlikes
from captionary.schemas.errors import WrongInput
from captionary.schemas.labels import IGNORE
from captionary.schemas.regions import Region
from captionary.vision.pictures.label_maps import read_label_map
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import resize_labels


@dataclass(frozen=True, slots=True)
class WholePicture:
    """Proposes the whole picture as its only region: a baseline."""

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        return "whole"

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Return one region that covers the picture."""
        return [Region(np.ones(picture.size_hw, dtype=np.bool_))]


@dataclass(frozen=True, slots=True)
class LabelMaps:
    """Proposes the regions of label maps: an indexed PNG for each picture, named by its stem.

    Each value is a region, IGNORE none; a map that ignores everything gives the whole picture.
    The folder is no part of the fingerprint: other pictures have their maps elsewhere.

    Args:
        folder: where the maps are.

    Raises:
        WrongInput: the folder does not exist.
    """

    folder: Path
    _alike: LookAlikes = field(default_factory=LookAlikes, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.folder.is_dir():
            raise WrongInput(f"the folder of masks {self.folder} does not exist; check the path")

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on, apart from the maps."""
        return "masks"

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Return the regions of the picture's label map, in the order of their values.

        Raises:
            UnreadablePicture: it has no map, or one that is damaged, coloured or of another size.
        """
        # In the size of the file, in which the map was drawn, and only then made smaller.
        labels = read_label_map(
            self._alike.find(self.folder / f"{picture.name}.png"),
            size_hw=picture.file_hw,
            orientation=picture.orientation,
        )
        labels = resize_labels(labels, picture.size_hw)
        masks = [labels == value for value in np.unique(labels) if value != IGNORE]
        return [Region(mask) for mask in masks] or WholePicture().propose(picture)
