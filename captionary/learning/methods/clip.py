"""What CLIP is shown, and its contrastive loss (Radford et al., 2021)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from open_clip.tokenizer import SimpleTokenizer
from PIL import Image

from captionary.learning.data.batches import Batch
from captionary.learning.data.examples import Example
from captionary.learning.methods.contrastive import contrastive_loss
from captionary.learning.models.architectures import MEAN, STD
from captionary.learning.processes import Processes
from captionary.schemas.arrays import Rgb
from captionary.schemas.regions import Region
from captionary.vision.clip.texts import encode_trimmed, trimmable_tower, trimmed
from captionary.vision.embedding.embedders import masked_crop
from captionary.vision.pictures.resizing import squash_bytes

LARGEST_SCALE = math.log(100)
NOISE_HW = (4, 4)
LEAST_SIDE, LEAST_COVERED = 0.5, 0.4
"""Of random regions: shortest side of their box, and smallest share of it that they cover."""


@dataclass(frozen=True)
class ClipInputs:
    """A picture, squashed to the input size, and one of its captions as tokens.

    least:     the smallest share of a picture's area that is cut out, anywhere and at the
        picture's own aspect, to be learned from; 1: the whole picture always.
    masked:    share of the examples that are shown as the indexer shows regions: as masked crops,
        here of regions drawn at random. fill: what is painted outside of these, RGB in [0, 1].
    trimmable: whether the text tower does not read behind a caption's end.
    """

    size_hw: tuple[int, int]
    tokenizer: SimpleTokenizer
    least: float = 1.0
    masked: float = 0.0
    fill: tuple[float, ...] = MEAN
    trimmable: bool = True

    def one(self, example: Example, random: np.random.Generator) -> Batch:
        """Prepare one example: (3, h, w) uint8 and (L,) int64."""
        captions = example.captions
        tokens = self.tokenizer([captions[int(random.integers(len(captions)))]])[0]
        pixels = cut_out(example.picture, random, least=self.least)
        if random.random() < self.masked:
            region = random_region((pixels.shape[0], pixels.shape[1]), random)
            pixels = masked_crop(pixels, region, fill=self.fill)
        return squash_bytes(pixels, size_hw=self.size_hw), tokens

    def together(self, prepared: Sequence[Batch]) -> Batch:
        """Put them in one batch: (N, 3, h, w) and (N, l), as long as the longest caption."""
        pictures, tokens = (torch.stack(parts) for parts in zip(*prepared, strict=True))
        return pictures, trimmed(tokens) if self.trimmable else tokens


def cut_out(picture: Rgb, random: np.random.Generator, *, least: float) -> Rgb:
    """A part of a picture, (H, W, 3), of at least the share `least` of its area."""
    if least >= 1:
        return picture
    side = math.sqrt(random.uniform(least, 1))
    height, width = (max(1, round(side * length)) for length in picture.shape[:2])
    top = int(random.integers(picture.shape[0] - height + 1))
    left = int(random.integers(picture.shape[1] - width + 1))
    return picture[top : top + height, left : left + width]


def random_region(size_hw: tuple[int, int], random: np.random.Generator) -> Region:
    """A region as ragged as those that superpixels make, (H, W), never empty.

    Smooth noise above a threshold, inside of a box whose sides are LEAST_SIDE of the picture's or
    more.
    """
    sides = [max(1, round(side * random.uniform(LEAST_SIDE, 1))) for side in size_hw]
    top, left = (
        int(random.integers(side - own + 1)) for side, own in zip(size_hw, sides, strict=True)
    )
    grid = Image.fromarray(random.standard_normal(NOISE_HW).astype(np.float32))
    noise = np.asarray(grid.resize((sides[1], sides[0]), Image.Resampling.BICUBIC))
    least = np.quantile(noise, 1 - random.uniform(LEAST_COVERED, 1))
    mask = np.zeros(size_hw, dtype=np.bool_)
    mask[top : top + sides[0], left : left + sides[1]] = noise >= least
    return Region(mask)


class Contrast(torch.nn.Module):
    """A CLIP that answers the contrastive loss of a batch, over all processes."""

    losses: tuple[str, ...] = ("contrast",)
    clip: Any
    _mean: torch.Tensor
    _std: torch.Tensor

    def __init__(
        self,
        clip: torch.nn.Module,
        processes: Processes,
        *,
        mean: tuple[float, ...] = MEAN,
        std: tuple[float, ...] = STD,
    ) -> None:
        super().__init__()
        self.clip = clip
        self.processes = processes
        self._tower = [trimmable_tower(clip)]  # in a list, so that it is no second child
        self.register_buffer("_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pictures: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The loss, (1,), of (N, 3, h, w) uint8 pictures and their (N, l) int64 captions."""
        return self.contrast(self.encode_pictures(pictures), self.encode_tokens(tokens))[None]

    def contrast(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """The contrastive loss, a scalar, of vectors (N, D), among those of all processes."""
        with torch.autocast(images.device.type, enabled=False):
            return contrastive_loss(
                images,
                texts,
                scale=self.clip.logit_scale.exp(),
                all_images=self.processes.gathered(images),
                all_texts=self.processes.gathered(texts),
                first=self.processes.rank * len(images),
            )

    def after_step(self, _done: float) -> None:
        """Keep the logit scale from growing without end."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=LARGEST_SCALE)

    def encode_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode (N, 3, h, w) uint8 to (N, D) float32, unit length."""
        images = self.clip.encode_image(self.normal(pictures))
        return torch.nn.functional.normalize(images.float(), dim=-1)

    def normal(self, pictures: torch.Tensor) -> torch.Tensor:
        """Pictures as the tower takes them, (N, 3, h, w) uint8 to float."""
        return (pictures.float() / 255 - self._mean) / self._std

    def encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode (N, l) int64 to (N, D) float32, unit length."""
        tower = self._tower[0]
        raw = self.clip.encode_text(tokens) if tower is None else encode_trimmed(tower, tokens)
        return torch.nn.functional.normalize(raw.float(), dim=-1)
