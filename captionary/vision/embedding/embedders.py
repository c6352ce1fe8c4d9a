"""Region embedders: one vector for each region of a picture."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from captionary.schemas.arrays import Rgb, Vectors
from captionary.schemas.regions import Region
from captionary.schemas.vectors import unit
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.feature_maps import FeatureMaps, frame_size
from captionary.vision.clip.protocols import ImageEncoder, MapEncoder
from captionary.vision.embedding.coverage import coverage
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import squash


class RegionEmbedder(Protocol):
    """Turns the regions of a picture into unit vectors."""

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        ...

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        ...

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        """Embed R regions to (R, D), in order."""
        ...


@dataclass(frozen=True, slots=True)
class MaskedCrops:
    """Masked, mean-filled crops through the whole encoder (Barsellotti et al., 2023).

    The bounding box of the mask is cut out, pixels outside of the mask get the encoder's mean
    colour, and the crop is squashed to a square.

    Args:
        side: of the square in pixels; None: the encoder's input size.
    """

    encoder: ImageEncoder
    side: int | None = None

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        side = "" if self.side is None else f"-{self.side}"
        return f"crop{side}-{self.encoder.fingerprint}"

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.encoder.dim

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        """Embed R regions to (R, D) float32, unit length; memory does not grow with R."""
        parts = [self.encoder.encode_images(batch) for batch in self._batches(picture, regions)]
        return np.concatenate(parts) if parts else np.empty((0, self.dim), dtype=np.float32)

    def _batches(self, picture: LoadedPicture, regions: Sequence[Region]) -> Iterator[torch.Tensor]:
        size = self.encoder.batch_size
        size_hw = self.encoder.input_size_hw if self.side is None else (self.side, self.side)
        # Crops are made batch by batch: all at once would take 600 kB a region.
        for start in range(0, len(regions), size):
            crops = [
                squash(masked_crop(picture.pixels, region, fill=self.encoder.mean), size_hw=size_hw)
                for region in regions[start : start + size]
            ]
            yield torch.stack(crops)


def masked_crop(pixels: Rgb, region: Region, *, fill: tuple[float, ...]) -> Rgb:
    """Cut out a region's box, (h, w, 3) uint8, with `fill` (RGB in [0, 1]) outside of its mask."""
    left, top, right, bottom = region.box_xyxy
    inside = region.mask[top:bottom, left:right, None]
    colour = np.rint(np.array(fill) * 255).astype(np.uint8)
    # The mean colour becomes zeros after normalisation, which is no edge and no object.
    return np.where(inside, pixels[top:bottom, left:right], colour)


@dataclass(frozen=True, slots=True)
class RegionTokens:
    """One pass for the picture, with a class token for each region (`vit.region_tokens`).

    Args:
        side: shorter side in pixels at which the picture is encoded.
    """

    encoder: ClipEncoder
    side: int

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        # The 0 is the block in which regions part from the picture: stores were written with it.
        return f"tokens-{self.side}-0-{self.encoder.fingerprint}"

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.encoder.dim

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        """Embed R regions to (R, D) float32, unit length."""
        patch = self.encoder.tower.patch
        height, width = frame_size(picture.size_hw, side=self.side, multiple=patch)
        shares = torch.from_numpy(coverage(regions, (height // patch, width // patch)))
        frame = squash(picture.pixels, size_hw=(height, width))
        vectors = self.encoder.encode_regions(frame, shares)
        return unit(vectors.numpy())


@dataclass(frozen=True, slots=True)
class PooledFeatures:
    """One pass for the picture, whose feature map is averaged in each region."""

    maps: FeatureMaps

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        return f"dense-{self.maps.fingerprint}"

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.maps.encoder.dim

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        """Embed R regions to (R, D) float32, unit length."""
        features = self.maps(picture)
        shares = coverage(regions, (features.shape[0], features.shape[1]))
        return unit(shares @ features.reshape(-1, self.dim))


@dataclass(frozen=True, slots=True)
class Blend:
    """Several views of a region by one model as one vector: the sum of their unit vectors.

    A crop shows a region in detail, a feature map in its surroundings, and they err differently.
    Small regions are not cropped: they cost as much as large ones, and a scrap of colour cut out of
    its surroundings looks like anything (docs/results.md).

    Args:
        parts: at least one; of these, crops are made of large regions only where others see all.
    """

    encoder: MapEncoder
    parts: tuple[RegionEmbedder, ...]

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        # A digest, for the fingerprints of all parts would each repeat the encoder's.
        facts = repr(([part.fingerprint for part in self.parts], LARGE))
        digest = hashlib.sha256(facts.encode()).hexdigest()[:8]
        return f"blend-{digest}-{self.encoder.fingerprint}"

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self.encoder.dim

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        """Embed R regions to (R, D) float32, unit length."""
        total = np.zeros((len(regions), self.dim), dtype=np.float32)
        large = [row for row, region in enumerate(regions) if region.area >= LARGE]
        # Summed at unit length: each view weighs the same, whatever the scale of its features.
        for part in self.parts:
            if isinstance(part, MaskedCrops):
                total[large] += part.embed(picture, [regions[row] for row in large])
            else:
                total += part.embed(picture, regions)
        return unit(total)


LARGE = 0.05
"""Smallest region that is cropped in a blend, as a share of the picture."""
