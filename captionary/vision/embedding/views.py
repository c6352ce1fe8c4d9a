"""The option `--embed`: how regions become vectors, and at what size pictures are encoded."""

import re
from dataclasses import dataclass, field

from captionary.schemas.errors import WrongInput
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps
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

DEFAULT_ONE_SIZE = "crop+dense+dense:2x"
"""The same where an encoder takes crops of one size only."""

DEFAULT_BLOCK = "naclip"
LARGEST_SIDE = 4096

PART = re.compile(r"(crop|tokens|dense)(?::([a-z]+))?(?::(\d+|\d*\.?\d+x)(?:/(\d+))?)?")
GRAMMAR = "crop[:SIDE], tokens[:SIDE], dense[:LAST_BLOCK][:SIDE[/WINDOW]]"


@dataclass(frozen=True, slots=True)
class View:
    """One way to embed regions, not yet of any encoder.

    way:        crop, tokens or dense.
    last_block: how the last block is altered, for `dense`; None: as usual.
    side:       of crops, or the shorter one of the picture, as it is encoded: in pixels ("448"), or
        as a multiple of the encoder's input size ("2x").
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

    def feature_maps(self, encoder: ClipEncoder) -> FeatureMaps:
        """The feature maps of a `dense` view.

        Raises:
            WrongInput: it alters a block that the encoder does not have.
        """
        attention = encoder.tower.has_attention
        if self.last_block is not None and not attention:
            raise WrongInput(
                f"the encoder {encoder.name} has no attention for {self.last_block!r} to alter; "
                "leave that out of --embed"
            )
        window = None if self.window is None else _whole_patches(self.window, encoder)
        last_block = self.last_block or (DEFAULT_BLOCK if attention else "plain")
        return FeatureMaps(encoder, self.pixels(encoder), window, last_block)

    def embedder(self, encoder: ClipEncoder, maps: FeatureMaps) -> RegionEmbedder:
        """The embedder of this view, which shares `maps` where they are its own.

        Raises:
            WrongInput: the encoder cannot embed that way.
        """
        tower = encoder.tower
        if self.way not in tower.ways:
            raise WrongInput(
                f"the encoder {encoder.name} cannot embed regions by {self.way!r}: its image tower "
                f"is not built for it; use --embed {' or '.join(tower.ways)}"
            )
        # Of the input size even where the tower's patches do not divide it.
        if self == View("crop"):
            return MaskedCrops(encoder)
        side = self.pixels(encoder)
        if self.way == "tokens":
            return RegionTokens(encoder, side)
        if self.way == "dense":
            own = self.feature_maps(encoder)
            return PooledFeatures(maps if own == maps else own)
        if not tower.any_size:
            raise WrongInput(
                f"the encoder {encoder.name} takes crops of one size only; "
                f"use crop instead of crop:{self.side} in --embed"
            )
        return MaskedCrops(encoder, side)


def _whole_patches(side: float, encoder: ClipEncoder) -> int:
    patch = encoder.tower.patch
    return max(1, round(side / patch)) * patch


@dataclass(frozen=True, slots=True)
class Embedding:
    """One or several views of regions, which add up to one vector.

    text: as it was written, and as a store remembers it.
    """

    views: tuple[View, ...]
    text: str = field(default="", compare=False)

    @property
    def is_dense(self) -> bool:
        """Whether it averages feature maps of the encoder."""
        return any(view.way == "dense" for view in self.views)

    def feature_maps(self, encoder: ClipEncoder) -> FeatureMaps:
        """The feature maps that a proposer may cut by: the last that it needs itself.

        Where it needs none, those that cut pictograms best with `mini` (docs/results.md).
        """
        dense = [view for view in self.views if view.way == "dense"]
        other = View("dense", "clearclip" if encoder.tower.has_attention else None, "2x")
        return (dense[-1] if dense else other).feature_maps(encoder)

    def embedder(self, encoder: ClipEncoder, maps: FeatureMaps) -> RegionEmbedder:
        """The embedder of an encoder, which uses these maps where they are its own.

        Raises:
            WrongInput: the encoder cannot embed that way.
        """
        # Views with the proposer's maps share its forward pass over a picture.
        parts = tuple(view.embedder(encoder, maps) for view in self.views)
        return parts[0] if len(parts) == 1 else Blend(encoder, parts)


def default_embedding(encoder: ClipEncoder) -> Embedding:
    """The embedding of an encoder where nobody names one: its folder's, or what its tower can do.

    Raises:
        WrongInput: what its folder names is no way to embed.
    """
    tower = encoder.tower
    if encoder.default_embedding is None:
        sized = DEFAULT if tower.any_size else DEFAULT_ONE_SIZE
        return parse_embedding(sized if "dense" in tower.ways else "crop")
    try:
        return parse_embedding(encoder.default_embedding)
    except WrongInput as error:
        raise WrongInput(f"in the configuration of {encoder.name}: {error}") from error


def parse_embedding(text: str) -> Embedding:
    """Parse ways to embed, one or several joined by +: see GRAMMAR.

    Raises:
        WrongInput: it is none of these.
    """
    views = tuple(_parse_view(part, text) for part in text.split("+"))
    if len(views) > 1 and all(view.way == "crop" for view in views):
        raise WrongInput(f"{text!r} would not see small regions; add tokens or dense")
    return Embedding(views, text)


def _parse_view(part: str, text: str) -> View:
    match = PART.fullmatch(part)
    # Only `dense` has a last block and windows.
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
