"""The proposer `superpixels`: graph-based superpixels at several scales."""

import hashlib
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import felzenszwalb

from captionary.schemas.arrays import LabelMap, Rgb
from captionary.schemas.regions import Region
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import resize_picture, scaled_size
from captionary.vision.proposers.layers import SAME_REGION_IOU, build_regions

WORKING_SIDE = 224
"""Longest side in pixels of the picture that is cut."""

SMOOTHING = 0.8
"""Standard deviation of the blur before, in pixels; scikit-image's default."""


@dataclass(frozen=True, slots=True)
class Scale:
    """One layer of superpixels.

    scale:    Felzenszwalb's k: the larger, the larger the regions.
    min_size: smallest region, as a share of the picture.
    """

    scale: float
    min_size: float


DEFAULT_SCALES = (Scale(100, 0.005), Scale(300, 0.01), Scale(1000, 0.01))


@dataclass(frozen=True, slots=True)
class Superpixels:
    """Graph-based superpixels (Felzenszwalb and Huttenlocher, 2004) at several scales.

    They are found on the picture resized to a fixed longest side, so that the parameters mean the
    same for all sizes. Layer 0 is the whole picture, layer i the i-th scale; a region that an
    earlier layer has already (IoU above SAME_REGION_IOU) is left out.
    """

    scales: tuple[Scale, ...] = DEFAULT_SCALES
    smoothing: float = SMOOTHING
    working_side: int = WORKING_SIDE

    @property
    def fingerprint(self) -> str:
        """Names everything that its regions depend on."""
        # As floats: 100 and 100.0 are one setting, but not one text.
        facts = [(float(layer.scale), float(layer.min_size)) for layer in self.scales]
        text = repr((facts, float(self.smoothing), self.working_side, SAME_REGION_IOU))
        return f"superpixels-{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def label_maps(self, pixels: Rgb) -> list[LabelMap]:
        """Cut at every scale, on the resized picture: (h, w) int32 each, numbered from 0."""
        small = resize_picture(pixels, longest=self.working_side)
        return [
            felzenszwalb(
                small,
                scale=layer.scale,
                sigma=self.smoothing,
                min_size=max(1, int(layer.min_size * small.shape[0] * small.shape[1])),
            ).astype(np.int32)
            for layer in self.scales
        ]

    def propose(self, picture: LoadedPicture) -> list[Region]:
        """Cut one picture: the whole, then the regions of each scale."""
        whole = np.zeros(scaled_size(picture.size_hw, self.working_side), dtype=np.int32)
        return build_regions([whole, *self.label_maps(picture.pixels)], picture.size_hw)
