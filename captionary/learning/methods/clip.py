"""Training CLIP: its preprocessing and its contrastive loss (Radford et al., 2021)."""

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
from captionary.vision.clip.texts import encode_trimmed, trim_padding, trimmable_tower
from captionary.vision.embedding.embedders import masked_crop
from captionary.vision.pictures.resizing import squash_bytes

MAX_LOG_SCALE = math.log(100)
NOISE_HW = (4, 4)
"""Grid of the noise that random regions are made of: coarse, or they would be in crumbs."""
MIN_SIDE, MIN_COVERAGE = 0.5, 0.4
"""Of random regions: least share of a side of the picture that their box has, and of the box that
they cover."""


@dataclass(frozen=True)
class ClipPreprocessor:
    """A picture, squashed to the input size, and one of its captions as tokens.

    min_area:  the smallest share of a picture's area that is cropped, anywhere and at the picture's
        own aspect, to be learned from; 1: the whole picture always.
    masked:    share of the examples that are shown as the indexer shows regions: as masked crops,
        here of regions drawn at random. fill: what is painted outside of these, RGB in [0, 1].
    trimmable: whether the text tower does not read behind a caption's end.
    """

    size_hw: tuple[int, int]
    tokenizer: SimpleTokenizer
    min_area: float = 1.0
    masked: float = 0.0
    fill: tuple[float, ...] = MEAN
    trimmable: bool = True

    def prepare(self, example: Example, random: np.random.Generator) -> Batch:
        """Prepare one example: (3, h, w) uint8 and (L,) int64."""
        captions = example.captions
        tokens = self.tokenizer([captions[int(random.integers(len(captions)))]])[0]
        pixels = random_crop(example.picture, random, min_area=self.min_area)
        if random.random() < self.masked:
            region = random_region((pixels.shape[0], pixels.shape[1]), random)
            pixels = masked_crop(pixels, region, fill=self.fill)
        return squash_bytes(pixels, size_hw=self.size_hw), tokens

    def collate(self, prepared: Sequence[Batch]) -> Batch:
        """Put them in one batch: (N, 3, h, w) and (N, l), as long as the longest caption."""
        pictures, tokens = (torch.stack(parts) for parts in zip(*prepared, strict=True))
        return pictures, trim_padding(tokens) if self.trimmable else tokens


def random_crop(picture: Rgb, random: np.random.Generator, *, min_area: float) -> Rgb:
    """Crop a picture, (H, W, 3), to at least the share `min_area` of its area."""
    if min_area >= 1:
        return picture
    side = math.sqrt(random.uniform(min_area, 1))
    height, width = (max(1, round(side * length)) for length in picture.shape[:2])
    top = int(random.integers(picture.shape[0] - height + 1))
    left = int(random.integers(picture.shape[1] - width + 1))
    return picture[top : top + height, left : left + width]


def random_region(size_hw: tuple[int, int], random: np.random.Generator) -> Region:
    """Draw a region as ragged as those that superpixels make, (H, W), never empty.

    Smooth noise above a threshold, inside of a box whose sides are MIN_SIDE of the picture's or
    more.
    """
    sides = [max(1, round(side * random.uniform(MIN_SIDE, 1))) for side in size_hw]
    top, left = (
        int(random.integers(side - own + 1)) for side, own in zip(size_hw, sides, strict=True)
    )
    # Coarse noise, smoothly enlarged: its level lines are ragged on the scale of superpixels.
    grid = Image.fromarray(random.standard_normal(NOISE_HW).astype(np.float32))
    noise = np.asarray(grid.resize((sides[1], sides[0]), Image.Resampling.BICUBIC))
    threshold = np.quantile(noise, 1 - random.uniform(MIN_COVERAGE, 1))
    mask = np.zeros(size_hw, dtype=np.bool_)
    mask[top : top + sides[0], left : left + sides[1]] = noise >= threshold
    return Region(mask)


class ClipLosses(torch.nn.Module):
    """A CLIP with the contrastive loss of a batch, over all processes."""

    loss_names: tuple[str, ...] = ("contrast",)
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
        # In a list, or the tower would be registered twice, and stand twice in the weights.
        self._text_tower = [trimmable_tower(clip)]
        self.register_buffer("_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pictures: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The loss, (1,), of (N, 3, h, w) uint8 pictures and their (N, l) int64 captions."""
        return self.contrastive(self.encode_pictures(pictures), self.encode_tokens(tokens))[None]

    def contrastive(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        """The contrastive loss, a scalar, of vectors (N, D), among those of all processes."""
        # In float32: differences of close cosines times the scale are lost in bfloat16.
        with torch.autocast(images.device.type, enabled=False):
            return contrastive_loss(
                images,
                texts,
                scale=self.clip.logit_scale.exp(),
                all_images=self.processes.all_gather(images),
                all_texts=self.processes.all_gather(texts),
                offset=self.processes.rank * len(images),
            )

    def after_step(self, _done: float) -> None:
        """Keep the logit scale from growing without end, as CLIP does."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=MAX_LOG_SCALE)

    def encode_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode (N, 3, h, w) uint8 to (N, D) float32, unit length."""
        images = self.clip.encode_image(self.normalize_pixels(pictures))
        return torch.nn.functional.normalize(images.float(), dim=-1)

    def normalize_pixels(self, pictures: torch.Tensor) -> torch.Tensor:
        """Normalise pictures as the tower takes them, (N, 3, h, w) uint8 to float."""
        return (pictures.float() / 255 - self._mean) / self._std

    def encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode (N, l) int64 to (N, D) float32, unit length."""
        tower = self._text_tower[0]
        raw = self.clip.encode_text(tokens) if tower is None else encode_trimmed(tower, tokens)
        return torch.nn.functional.normalize(raw.float(), dim=-1)
