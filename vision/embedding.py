"""What `--embed` names: how regions become vectors, and at what size pictures are looked at."""

import re
from dataclasses import dataclass

from schemas.errors import WrongInput
from vision.dense import DenseMaps
from vision.embedders import Blend, MaskedCrops, PooledFeatures, RegionEmbedder, RegionTokens
from vision.encoder import ClipEncoder
from vision.last_block import LAST_BLOCKS

DEFAULT = "crop:0.5x+dense+dense:2x"
"""The best on photographs within three times the time of the fastest (docs/results.md)."""

DEFAULT_BLOCK = "naclip"
PART = re.compile(r"(crop|tokens|dense)(?::([a-z]+))?(?::(\d+|\d*\.?\d+x)(?:/(\d+))?)?")
GRAMMAR = "crop[:SIDE], tokens[:SIDE], dense[:LAST_BLOCK][:SIDE[/WINDOW]]"


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at regions, not yet of any encoder.

    way:        crop, tokens or dense.
    last_block: how the last block is altered, for `dense`.
    side:       of crops, or the shorter one of the picture, as the encoder is shown it: in pixels
        ("448"), or as a multiple of its usual input ("2x").
    window:     side of the windows of `dense` in pixels; None: one pass for the whole picture.
    """

    way: str
    last_block: str = DEFAULT_BLOCK
    side: str = "1x"
    window: int | None = None

    def pixels(self, encoder: ClipEncoder) -> int:
        """The side in pixels, in whole patches."""
        times = self.side.endswith("x")
        side = float(self.side.removesuffix("x")) * (encoder.input_size_hw[0] if times else 1)
        return max(1, round(side / encoder.patch)) * encoder.patch

    def maps(self, encoder: ClipEncoder) -> DenseMaps:
        """Its feature maps, if it is `dense`."""
        return DenseMaps(encoder, self.pixels(encoder), self.window, self.last_block)


SEEN_BY_CLUSTERS = View("dense", "clearclip", "2x")
"""The feature maps that pictures are cut by where regions are not embedded by any."""


@dataclass(frozen=True, slots=True)
class Embedding:
    """One or several views of regions, which add up to one vector."""

    views: tuple[View, ...]

    def maps(self, encoder: ClipEncoder) -> DenseMaps:
        """The feature maps that a proposer may cut by: the last that it needs itself."""
        dense = [view for view in self.views if view.way == "dense"]
        return (dense[-1] if dense else SEEN_BY_CLUSTERS).maps(encoder)

    def embedder(self, maps: DenseMaps) -> RegionEmbedder:
        """The embedder of the maps' encoder, which uses these maps where they are its own.

        Raises:
            WrongInput: the encoder cannot embed that way.
        """
        parts = tuple(_part(view, maps) for view in self.views)
        return parts[0] if len(parts) == 1 else Blend(maps.encoder, parts)


def _part(view: View, maps: DenseMaps) -> RegionEmbedder:
    encoder = maps.encoder
    encoder.need(view.way)
    side = view.pixels(encoder)
    if view.way == "tokens":
        return RegionTokens(encoder, side)
    if view.way == "dense":
        own = view.maps(encoder)
        return PooledFeatures(maps if own == maps else own)
    if side == encoder.input_size_hw[0]:
        return MaskedCrops(encoder)
    if not encoder.any_size:
        raise WrongInput(f"the encoder {encoder.name} takes crops of one size only; use crop")
    return MaskedCrops(encoder, side)


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
    return View(
        way, last_block or DEFAULT_BLOCK, side or "1x", None if window is None else int(window)
    )
