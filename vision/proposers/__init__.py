"""Region proposers: a picture to candidate segments, the same ones every time."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeAlias

from schemas.errors import WrongInput
from schemas.regions import Region
from vision.dense import DenseMaps
from vision.pictures import LoadedPicture
from vision.proposers.clusters import Clusters
from vision.proposers.given import LabelMaps, Whole
from vision.proposers.sam import Sam
from vision.proposers.superpixels import Superpixels
from vision.sam_files import find_sam

PROPOSER_NAMES = ("superpixels", "clusters", "masks:FOLDER", "sam:FOLDER|MODEL", "whole")


class RegionProposer(Protocol):
    """Cuts a picture into candidate regions: at least one, and always the same."""

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        ...

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture."""
        ...


ProposerOf: TypeAlias = Callable[[DenseMaps], RegionProposer]
"""Makes a proposer, given the feature maps that it may cut by."""


def choose_proposer(text: str) -> ProposerOf:
    """Find the proposer that `--proposer` names; what is wrong is told before an encoder is loaded.

    Raises:
        WrongInput: there is no such proposer, or its folder or model is missing.
        MissingExtra: it needs a package that is not installed.
    """
    name, _, place = text.partition(":")
    if name == "masks" and place:
        given = LabelMaps(Path(place))
        return lambda _maps: given
    if name == "sam" and place:
        files = find_sam(place)
        return lambda maps: Sam(files, device=maps.encoder.device)
    if text == "superpixels":
        return lambda _maps: Superpixels()
    if text == "clusters":
        return Clusters
    if text == "whole":
        return lambda _maps: Whole()
    raise WrongInput(f"unknown proposer {text!r}; choose one of {', '.join(PROPOSER_NAMES)}")
