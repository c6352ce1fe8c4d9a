"""The option `--looks`: which vision model tells what looks alike, and at what sizes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from captionary.schemas.arrays import Vectors
from captionary.schemas.errors import WrongInput
from captionary.schemas.regions import Region
from captionary.schemas.vectors import half, unit
from captionary.vision.clip.catalogue import DEFAULT_LOOKS
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps
from captionary.vision.clip.files import LOCAL_DIR
from captionary.vision.embedding.embedders import Blend, PooledFeatures, RegionEmbedder
from captionary.vision.looks.look_model import LookModel
from captionary.vision.pictures.loading import LoadedPicture

NONE = "none"
PART = re.compile(r"(?P<name>.+?)(?:@(?P<block>\d+))?(?::(?P<sides>\d+(?:,\d+)*))?")
GRAMMAR = "MODEL[@BLOCK][:SIDE[,SIDE]], or several with +"

PATCHES = 24
"""Patches on the shorter side of a picture that a transformer sees; its cost grows faster."""

SMALLEST_SIDE, LARGEST_SIDE = 32, 2048


@dataclass(frozen=True, slots=True)
class LookPart:
    """One look model as it is named.

    name:  as `load_vision_model`.
    block: as `LookModel`.
    sides: shorter sides in pixels of the picture as it is encoded; none: what suits the model.
    """

    name: str
    block: int | None = None
    sides: tuple[int, ...] = ()

    def feature_maps(self, *, device: str, precision: str) -> list[FeatureMaps]:
        """Load the model; its maps, by side.

        Raises:
            WrongInput: as `LookModel`.
        """
        model = LookModel(self.name, block=self.block, device=device, precision=precision)
        # Convolutional towers see large things at once, and small ones at twice their size: one
        # size alone was far worse on small pictures (docs/results.md).
        usual = (
            [PATCHES * model.patch]
            if model.has_attention
            else [model.input_side, 2 * model.input_side]
        )
        return [FeatureMaps(model, side) for side in self.sides or usual]

    @property
    def stored_name(self) -> str:
        """The name for a store to remember: a folder by its full path."""
        name = self.name
        if name.startswith(LOCAL_DIR):
            name = f"{LOCAL_DIR}{Path(name.removeprefix(LOCAL_DIR)).resolve()}"
        block = "" if self.block is None else f"@{self.block}"
        sides = ":" + ",".join(map(str, self.sides)) if self.sides else ""
        return f"{name}{block}{sides}"


@dataclass(frozen=True, slots=True)
class Looks:
    """Embeds regions by one or several look models, each over the whole picture.

    Vectors of several models are put side by side; a cosine is then the mean of theirs. They are
    rounded to half precision, in which stores keep them.

    maps: of each model, by side; the sum of unit vectors where there are several sides.
    """

    maps: tuple[tuple[FeatureMaps, ...], ...]

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        return "+".join(part.fingerprint for part in self._embedders())

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return sum(part.dim for part in self._embedders())

    @property
    def finest(self) -> FeatureMaps:
        """The maps that a proposer may cut by."""
        return self.maps[0][-1]

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        """Embed R regions to (R, L) float32 of half precision, unit length."""
        each = [part.embed(picture, regions) for part in self._embedders()]
        return half(unit(np.concatenate(each, axis=1)))

    def _embedders(self) -> list[RegionEmbedder]:
        return [
            PooledFeatures(sizes[0])
            if len(sizes) == 1
            else Blend(sizes[0].encoder, tuple(map(PooledFeatures, sizes)))
            for sizes in self.maps
        ]


@dataclass(frozen=True, slots=True)
class LooksPlan:
    """Which look models; none: regions are compared by CLIP's own vectors."""

    parts: tuple[LookPart, ...] = ()

    def __str__(self) -> str:
        return "+".join(part.stored_name for part in self.parts) or NONE

    def build(self, *, device: str, precision: str) -> Looks | None:
        """Load the models.

        Raises:
            WrongInput: as `LookModel`.
        """
        if not self.parts:
            return None
        return Looks(
            tuple(
                tuple(part.feature_maps(device=device, precision=precision)) for part in self.parts
            )
        )


def default_looks(encoder: ClipEncoder) -> LooksPlan:
    """The look models of an encoder where nobody names any: its folder's, or the usual one.

    A CLIP from a folder has none unless its folder names one: it may be there because there is no
    network.

    Raises:
        WrongInput: what its folder names is no look model.
    """
    if encoder.default_looks is not None:
        return parse_looks(encoder.default_looks)
    return LooksPlan() if encoder.from_folder else parse_looks(DEFAULT_LOOKS)


def parse_looks(text: str) -> LooksPlan:
    """Parse names of look models: see GRAMMAR, or `none`.

    Raises:
        WrongInput: it is none of these.
    """
    return LooksPlan() if text == NONE else LooksPlan(tuple(map(_parse_part, text.split("+"))))


def _parse_part(text: str) -> LookPart:
    match = PART.fullmatch(text)
    if match is None or match["name"] == NONE:
        raise WrongInput(f"{text!r} names no look model; give {GRAMMAR}, or none")
    sides = tuple(int(side) for side in (match["sides"] or "").split(",") if side)
    if any(not SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
        raise WrongInput(
            f"--looks {text} shows pictures to the model with {max(sides)} pixels on the shorter "
            f"side; give {SMALLEST_SIDE} to {LARGEST_SIDE}"
        )
    return LookPart(match["name"], None if match["block"] is None else int(match["block"]), sides)
