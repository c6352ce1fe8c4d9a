"""What `--embed` names: how regions become vectors, and at what size pictures are looked at."""

import re
from dataclasses import dataclass

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import DenseMaps
from captionary.vision.clip.last_block import LAST_BLOCKS
from captionary.vision.embedding.embedders import (
    Blend,
    MaskedCrops,
    PooledFeatures,
    RegionEmbedder,
    RegionTokens,
)

DEFAULT = "crop:0.5x+dense+dense:2x"
"""The best on photographs within three times the time of the fastest (docs/results.md)."""

DEFAULT_BLOCK = "naclip"
PART = re.compile(r"(crop|tokens|dense)(?::([a-z]+))?(?::(\d+|\d*\.?\d+x)(?:/(\d+))?)?")
GRAMMAR = "crop[:SIDE], tokens[:SIDE], dense[:LAST_BLOCK][:SIDE[/WINDOW]]"


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at regions, not yet of any encoder.

    way:        crop, tokens or dense.
    last_block: how the last block is altered, for `dense`; None: as usual.
    side:       of crops, or the shorter one of the picture, as the encoder is shown it: in pixels
        ("448"), or as a multiple of its usual input ("2x").
    window:     side of the windows of `dense` in pixels; None: one pass for the whole picture.
    """

    way: str
    last_block: str | None = None
    side: str = "1x"
    window: int | None = None

    def pixels(self, encoder: ClipEncoder) -> int:
        """The side in pixels, in whole patches.

        Raises:
            WrongInput: it is more than LARGEST_SIDE.
        """
        times = self.side.endswith("x")
        side = float(self.side.removesuffix("x")) * (encoder.input_size_hw[0] if times else 1)
        if side > LARGEST_SIDE:
            raise WrongInput(
                f"--embed shows pictures to the encoder with {side:.0f} pixels a side; "
                f"give at most {LARGEST_SIDE}"
            )
        return _whole_patches(side, encoder)

    def maps(self, encoder: ClipEncoder) -> DenseMaps:
        """Its feature maps, if it is `dense`.

        Raises:
            WrongInput: it alters a block that the encoder does not have.
        """
        if self.last_block is not None and not encoder.attends:
            raise WrongInput(
                f"the encoder {encoder.name} has no attention for {self.last_block!r} to alter; "
                "leave that out of --embed"
            )
        window = None if self.window is None else _whole_patches(self.window, encoder)
        last_block = self.last_block or (DEFAULT_BLOCK if encoder.attends else "plain")
        return DenseMaps(encoder, self.pixels(encoder), window, last_block)


def _whole_patches(side: float, encoder: ClipEncoder) -> int:
    return max(1, round(side / encoder.patch)) * encoder.patch


LARGEST_SIDE = 4096


@dataclass(frozen=True, slots=True)
class Embedding:
    """One or several views of regions, which add up to one vector."""

    views: tuple[View, ...]

    def maps(self, encoder: ClipEncoder) -> DenseMaps:
        """The feature maps that a proposer may cut by: the last that it needs itself.

        Where it needs none, those that cut pictograms best with `mini` (docs/results.md).
        """
        dense = [view for view in self.views if view.way == "dense"]
        other = View("dense", "clearclip" if encoder.attends else None, "2x")
        return (dense[-1] if dense else other).maps(encoder)

    def embedder(self, maps: DenseMaps) -> RegionEmbedder:
        """The embedder of the maps' encoder, which uses these maps where they are its own.

        Raises:
            WrongInput: the encoder cannot embed that way.
        """
        parts = tuple(_part(view, maps) for view in self.views)
        return parts[0] if len(parts) == 1 else Blend(maps.encoder, parts)


def _part(view: View, maps: DenseMaps) -> RegionEmbedder:
    encoder = maps.encoder
    if view.way not in encoder.ways:
        raise WrongInput(
            f"the encoder {encoder.name} cannot embed regions by {view.way!r}: its image tower is "
            f"not built for it; use --embed {' or '.join(encoder.ways)}"
        )
    if view == View("crop"):
        return MaskedCrops(encoder)
    side = view.pixels(encoder)
    if view.way == "tokens":
        return RegionTokens(encoder, side)
    if view.way == "dense":
        own = view.maps(encoder)
        return PooledFeatures(maps if own == maps else own)
    if not encoder.any_size:
        raise WrongInput(
            f"the encoder {encoder.name} takes crops of one size only; "
            f"use crop instead of crop:{view.side} in --embed"
        )
    return MaskedCrops(encoder, side)


def usual_embedding(encoder: ClipEncoder) -> str:
    """How to embed with an encoder where nobody says: what its folder names, or what it can.

    Raises:
        WrongInput: what its folder names is no way to embed.
    """
    if encoder.embed is None:
        sized = DEFAULT if encoder.any_size else "crop+dense+dense:2x"
        return sized if "dense" in encoder.ways else "crop"
    try:
        choose_embedding(encoder.embed)
    except WrongInput as error:
        raise WrongInput(f"in the configuration of {encoder.name}: {error}") from error
    return encoder.embed


def choose_embedding(text: str) -> Embedding:
    """Read ways to embed, one or several joined by +: see GRAMMAR.

    Raises:
        WrongInput: it is none of these.
    """
    views = tuple(_view(part, text) for part in text.split("+"))
    if len(views) > 1 and all(view.way == "crop" for view in views):
        raise WrongInput(f"{text!r} would not see small regions; add tokens or dense")
    return Embedding(views)


def _view(part: str, text: str) -> View:
    match = PART.fullmatch(part)
    if match is None or (match[1] != "dense" and (match[2] or match[4])):
        raise WrongInput(
            f"unknown way to embed {text!r}; choose {GRAMMAR}, or several with +, "
            "as in dense:naclip:336/224 or crop+dense:2x"
        )
    way, last_block, side, window = match.groups()
    if last_block is not None and last_block not in LAST_BLOCKS:
        names = ", ".join(LAST_BLOCKS)
        raise WrongInput(f"unknown last block {last_block!r} in {text!r}; choose one of {names}")
    return View(way, last_block, side or "1x", None if window is None else int(window))
