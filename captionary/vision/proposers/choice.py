"""Region proposers: a picture to candidate segments, the same ones every time."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.catalogue import LEARNED
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import DenseMaps
from captionary.vision.clip.files import find_clip
from captionary.vision.grouping.config import METHODS
from captionary.vision.proposers.clusters import Clusters
from captionary.vision.proposers.combined import Together
from captionary.vision.proposers.groups import Groups
from captionary.vision.proposers.label_maps import LabelMaps, Whole
from captionary.vision.proposers.proposer import RegionProposer
from captionary.vision.proposers.sam import Sam
from captionary.vision.proposers.sam_files import find_sam
from captionary.vision.proposers.superpixels import Superpixels

DEFAULT = "superpixels+clusters"
PROPOSER_NAMES = (
    "superpixels",
    "clusters",
    *LEARNED,
    *(f"{method}:FOLDER" for method in METHODS),
    "masks:FOLDER",
    "sam:FOLDER|MODEL",
    "whole",
)

SEPARATOR = re.compile(
    rf"\+(?=(?:{'|'.join(('superpixels', 'clusters', 'whole', *LEARNED))})(?:\+|$)"
    rf"|(?:{'|'.join(('masks', 'sam', *METHODS))}):)"
)

ProposerOf: TypeAlias = Callable[[DenseMaps], RegionProposer]
"""Makes a proposer, given the feature maps that it may cut by."""


def choose_proposer(text: str) -> ProposerOf:
    """Find the proposer that `--proposer` names; several, joined by +, propose together.

    What is wrong is told before an encoder is loaded for them.

    Raises:
        WrongInput: there is no such proposer, or its folder or model is missing.
        MissingExtra: it needs a package that is not installed.
    """
    parts = apart(text)
    if len(parts) > 1:
        several = [choose_proposer(part) for part in parts]
        return lambda maps: Together(tuple(proposer_of(maps) for proposer_of in several))
    name, _, place = text.partition(":")
    if name == "masks" and place:
        given = LabelMaps(Path(place))
        return lambda _maps: given
    if name == "sam" and place:
        files = find_sam(place)
        return lambda maps: Sam(files, device=maps.encoder.device)
    if text in LEARNED or (name in METHODS and place):
        groups = find_clip(text).groups
        return lambda maps: _groups(text, groups, maps.encoder)
    if text == "superpixels":
        return lambda _maps: Superpixels()
    if text == "clusters":
        return _clusters
    if text == "whole":
        return lambda _maps: Whole()
    raise WrongInput(
        f"unknown proposer {text!r}; choose one of {', '.join(PROPOSER_NAMES)}, or several with +"
    )


def _clusters(maps: DenseMaps) -> RegionProposer:
    if "dense" not in maps.encoder.ways:
        raise WrongInput(
            f"the encoder {maps.encoder.name} has no feature maps to find clusters in; "
            "use --proposer superpixels"
        )
    return Clusters(maps)


def _groups(name: str, groups: str | None, encoder: ClipEncoder) -> RegionProposer:
    """Those of a model, which may be the encoder itself: then it has the same groups."""
    if encoder.groups != groups:
        precision = encoder.precision
        encoder = ClipEncoder(name, device=encoder.device.type, precision=precision)
    return Groups(encoder)


def usual_proposer(encoder: ClipEncoder) -> str:
    """How to cut pictures for an encoder where nobody says: as it has learned to, if it has."""
    if encoder.groups is not None:
        return encoder.groups
    return DEFAULT if "dense" in encoder.ways else "superpixels"


def apart(text: str) -> list[str]:
    """Split names that are joined by +, which may also be part of a folder's name."""
    return re.split(SEPARATOR, text)
