"""The option `--proposer`: how pictures are cut into regions. A new proposer is added here."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps
from captionary.vision.proposers.clusters import Clusters
from captionary.vision.proposers.combined import Combined
from captionary.vision.proposers.groups import (
    GROUPING_METHODS,
    GROUPING_MODELS,
    GroupModel,
    Groups,
    find_group_model,
)
from captionary.vision.proposers.label_maps import LabelMaps, WholePicture
from captionary.vision.proposers.proposer import RegionProposer
from captionary.vision.proposers.sam import Sam
from captionary.vision.proposers.sam_files import SamFiles, find_sam
from captionary.vision.proposers.superpixels import Superpixels

DEFAULT = "superpixels+clusters"
PLAIN = ("superpixels", "clusters", "whole")
PROPOSER_NAMES = (
    *PLAIN,
    *GROUPING_MODELS,
    *(f"{method}:FOLDER" for method in GROUPING_METHODS),
    "masks:FOLDER",
    "sam:FOLDER|MODEL",
)

# A + may also stand in a folder's name: it separates only where a proposer's name follows.
_PLAIN_NAMES = "|".join((*PLAIN, *GROUPING_MODELS))
_NAMES_WITH_FILES = "|".join(("masks", "sam", *GROUPING_METHODS))
SEPARATOR = re.compile(rf"\+(?=(?:{_PLAIN_NAMES})(?:\+|$)|(?:{_NAMES_WITH_FILES}):)")

LoadEncoder: TypeAlias = Callable[[str], ClipEncoder]
"""Loads an encoder by name, on the device and in the precision of the others."""


@dataclass(frozen=True, slots=True)
class ProposerPart:
    """One proposer as it is named, with the files that its name refers to.

    text:  as it was written.
    files: label maps, a SAM or a model with groups; None for proposers without files.
    """

    text: str
    files: LabelMaps | SamFiles | GroupModel | None = None

    @property
    def stored_name(self) -> str:
        """The name for a store to remember: a folder by its full path."""
        return absolute_name(self.text)

    def build(
        self, encoder: ClipEncoder, maps: FeatureMaps, load_encoder: LoadEncoder
    ) -> RegionProposer:
        """Build the proposer.

        Args:
            encoder:      the plan's.
            maps:         feature maps that it may cut by: the encoder's, or of looks.
            load_encoder: for groups of another model than the encoder.

        Raises:
            WrongInput: the encoder has no feature maps to cut by, or a model cannot be loaded.
        """
        match self.files:
            case LabelMaps():
                return self.files
            case SamFiles():
                return Sam(self.files, device=encoder.device)
            case GroupModel(name=name):
                # The encoder's own groups: proposer and embedder share its forward pass.
                own = encoder.default_proposer == name
                return Groups(encoder if own else load_encoder(self.text))
        match self.text:
            case "superpixels":
                return Superpixels()
            case "whole":
                return WholePicture()
            case "clusters" if maps.encoder is not encoder or "dense" in encoder.tower.ways:
                return Clusters(maps)
            case "clusters":
                raise WrongInput(
                    f"the encoder {encoder.name} has no feature maps to find clusters in; "
                    "use --proposer superpixels"
                )
        raise NotImplementedError(f"nothing is built for the proposer {self.text!r}")


@dataclass(frozen=True, slots=True)
class ProposerPlan:
    """One or several proposers, which propose together."""

    parts: tuple[ProposerPart, ...]

    def __str__(self) -> str:
        return "+".join(part.stored_name for part in self.parts)

    def build(
        self, encoder: ClipEncoder, maps: FeatureMaps, load_encoder: LoadEncoder
    ) -> RegionProposer:
        """Build the proposer; arguments and errors as `ProposerPart.build`."""
        built = tuple(part.build(encoder, maps, load_encoder) for part in self.parts)
        return built[0] if len(built) == 1 else Combined(built)


def parse_proposer(text: str) -> ProposerPlan:
    """Parse the names of proposers, joined by +, and find their files.

    Raises:
        WrongInput: there is no such proposer, or its folder or model is missing.
        MissingExtra: it needs a package that is not installed.
    """
    return ProposerPlan(tuple(_parse_part(part) for part in re.split(SEPARATOR, text)))


def _parse_part(text: str) -> ProposerPart:
    name, _, place = text.partition(":")
    if text in PLAIN:
        return ProposerPart(text)
    if text in GROUPING_MODELS or (name in GROUPING_METHODS and place):
        return ProposerPart(text, find_group_model(text))
    if name == "masks" and place:
        return ProposerPart(text, LabelMaps(Path(place)))
    if name == "sam" and place:
        return ProposerPart(text, find_sam(place))
    raise WrongInput(
        f"unknown proposer {text!r}; choose one of {', '.join(PROPOSER_NAMES)}, or several with +"
    )


def default_proposer(encoder: ClipEncoder) -> ProposerPlan:
    """The proposer of an encoder where nobody names one: its own groups, if it has learned any."""
    if encoder.default_proposer is not None:
        return parse_proposer(encoder.default_proposer)
    return parse_proposer(DEFAULT if "dense" in encoder.tower.ways else "superpixels")


def absolute_name(name: str) -> str:
    """A name like `masks:FOLDER` with the folder's full path; other names as they are."""
    kind, colon, folder = name.partition(":")
    return f"{kind}:{Path(folder).resolve()}" if colon and Path(folder).is_dir() else name
