"""What `--embed` names: how regions become vectors, and at what size pictures are looked at."""

import re
from dataclasses import dataclass

from schemas.errors import WrongInput
from vision.dense import DenseMaps
from vision.embedders import MaskedCrops, PooledFeatures, RegionEmbedder, RegionTokens
from vision.encoder import ClipEncoder
from vision.last_block import LAST_BLOCKS

DEFAULT_BLOCK = "naclip"
PATTERN = re.compile(r"(crop|tokens|dense)(?::([a-z]+))?(?::(\d+)(?:/(\d+))?)?")


@dataclass(frozen=True, slots=True)
class Embedding:
    """A way to embed regions, not yet of any encoder.

    way:        crop, tokens or dense.
    last_block: how the last block is altered, for `dense` and for what cuts by feature maps.
    side:       shorter side of the picture as the encoder is shown it; None: its input's own.
    window:     side of the windows of `dense`; None: one pass for the whole picture.
    """

    way: str
    last_block: str = DEFAULT_BLOCK
    side: int | None = None
    window: int | None = None

    def maps(self, encoder: ClipEncoder) -> DenseMaps:
        """The feature maps that go with it."""
        return DenseMaps(encoder, self._side(encoder), self.window, self.last_block)

    def embedder(self, maps: DenseMaps) -> RegionEmbedder:
        """The embedder of the maps' encoder.

        Raises:
            WrongInput: the encoder cannot embed that way.
        """
        encoder = maps.encoder
        encoder.need(self.way)
        if self.way == "crop":
            return MaskedCrops(encoder)
        if self.way == "tokens":
            return RegionTokens(encoder, self._side(encoder))
        return PooledFeatures(maps)

    def _side(self, encoder: ClipEncoder) -> int:
        return self.side or encoder.input_size_hw[0]


def choose_embedding(text: str) -> Embedding:
    """Read `crop`, `tokens[:SIDE]` or `dense[:LAST_BLOCK][:SIDE[/WINDOW]]`.

    Raises:
        WrongInput: it is none of these.
    """
    match = PATTERN.fullmatch(text)
    if match is None:
        raise WrongInput(
            f"unknown way to embed {text!r}; choose crop, tokens[:SIDE] or "
            "dense[:LAST_BLOCK][:SIDE[/WINDOW]], such as dense:naclip:336/224"
        )
    way, last_block, side, window = match.groups()
    if last_block is not None and last_block not in LAST_BLOCKS:
        names = ", ".join(LAST_BLOCKS)
        raise WrongInput(f"unknown last block {last_block!r} in {text!r}; choose one of {names}")
    return Embedding(
        way,
        last_block or DEFAULT_BLOCK,
        None if side is None else int(side),
        None if window is None else int(window),
    )
