"""Feature maps: a vector for every patch of a picture, of any size."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from captionary.schemas.arrays import Rgb
from captionary.vision.clip.protocols import MapEncoder
from captionary.vision.last_input import LastInput
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import squash

FeatureMap = NDArray[np.float32]
"""(h, w, D) float32, not normalised."""

MOST_STRETCHED = 4
"""Longer side of a frame over its shorter, at most: bounds memory for panoramas and strips."""


def frame_size(size_hw: tuple[int, int], *, side: int, multiple: int) -> tuple[int, int]:
    """The size at which a picture is encoded: shorter side `side`, same aspect.

    Both sides are rounded to whole patches; a picture that is longer still than MOST_STRETCHED is
    squeezed to that.
    """
    shorter = min(size_hw)
    sides = [min(length / shorter, MOST_STRETCHED) * side for length in size_hw]
    height, width = (max(1, round(length / multiple)) * multiple for length in sides)
    return height, width


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """Feature maps of pictures, in one pass or in overlapping windows.

    The map of the last picture is kept, one for each thread: a proposer and an embedder that need
    the same one share a pass.

    Args:
        side:       shorter side in pixels at which the picture is encoded.
        window:     side of the windows in pixels, which overlap by half; None: one pass for all.
        last_block: how the last block is altered (vision.clip.last_block); ignored by towers
            without attention.
    """

    encoder: MapEncoder
    side: int
    window: int | None = None
    last_block: str = "naclip"
    _cached: LastInput[LoadedPicture, FeatureMap] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # The dataclass is frozen so that maps are equal where their settings are.
        object.__setattr__(self, "_cached", LastInput(self._encode_picture))

    @property
    def fingerprint(self) -> str:
        """Names everything that its maps depend on."""
        windows = "" if self.window is None else f"-{self.window}"
        return f"{self.last_block}-{self.side}{windows}-{self.encoder.fingerprint}"

    def __call__(self, picture: LoadedPicture) -> FeatureMap:
        """Return the feature map of a picture."""
        return self._cached(picture)

    def _encode_picture(self, picture: LoadedPicture) -> FeatureMap:
        return self._encode_pixels(picture.pixels)

    def _encode_pixels(self, pixels: Rgb) -> FeatureMap:
        patch = self.encoder.patch
        height, width = frame_size(
            (pixels.shape[0], pixels.shape[1]), side=self.side, multiple=patch
        )
        frame = squash(pixels, size_hw=(height, width))
        if self.window is None:
            return self._forward(frame).numpy()
        tops, lefts = (window_starts(length, self.window, patch) for length in (height, width))
        # Windows overlap, the last ones more: sums are divided by how often a patch was encoded.
        total = torch.zeros(height // patch, width // patch, self.encoder.dim)
        passes = torch.zeros(height // patch, width // patch, 1)
        for top in tops:
            for left in lefts:
                part = self._forward(frame[:, top : top + self.window, left : left + self.window])
                rows = slice(top // patch, top // patch + part.shape[0])
                columns = slice(left // patch, left // patch + part.shape[1])
                total[rows, columns] += part
                passes[rows, columns] += 1
        return (total / passes).numpy()

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.encoder.encode_map(pixels, last_block=self.last_block)


def window_starts(length: int, window: int, patch: int) -> list[int]:
    """Where windows begin on a side, in pixels: they overlap by half, and the last ends with it."""
    stride = max(patch, window // 2 // patch * patch)
    last = max(0, length - window)
    return [*range(0, last, stride), last]
