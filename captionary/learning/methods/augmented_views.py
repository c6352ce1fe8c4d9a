"""Augmented views of pictures for ViL-Seg: large and small crops, flipped and recoloured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from open_clip.tokenizer import SimpleTokenizer
from torchvision.transforms import functional

from captionary.learning.data.batches import Batch
from captionary.learning.data.examples import Example
from captionary.learning.methods.noun_loss import NounTokenizer
from captionary.schemas.arrays import Rgb
from captionary.vision.clip.texts import trim_padding
from captionary.vision.pictures.resizing import squash_bytes

GLOBAL_AREA, LOCAL_AREA = (0.4, 1.0), (0.05, 0.4)
"""Share of a picture's area that a view shows (Caron et al., 2021)."""

ASPECT = (3 / 4, 4 / 3)
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.2, 0.05
RECOLOURED, FLIPPED, BLURRED = 0.8, 0.5, 0.3
"""How often a view is, in [0, 1]."""

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels or as shares of a side."""


@dataclass(frozen=True)
class ViewPreprocessor:
    """Prepares two global views of a picture, some local ones, a caption and its nouns.

    size_hw:    of the global views.
    local_side: of the local ones, in pixels; local_views: how many.
    trimmable:  whether the text tower does not read behind a caption's end.
    """

    size_hw: tuple[int, int]
    local_side: int
    local_views: int
    tokenizer: SimpleTokenizer
    nouns: NounTokenizer
    trimmable: bool = True

    def prepare(self, example: Example, random: np.random.Generator) -> Batch:
        """Prepare one example.

        Returns:
            Global views (2, 3, h, w) uint8; local views (V, 3, l, l) uint8; the overlap of the
            global ones in each of them, (2, 4) float32, shares of their sides before they were
            flipped; whether they were, (2,) bool; the caption, (L,) int64; its nouns.
        """
        caption = example.captions[int(random.integers(len(example.captions)))]
        tokens = self.tokenizer([caption])[0]
        size_hw = (example.picture.shape[0], example.picture.shape[1])
        boxes = [random_box(size_hw, random, area=GLOBAL_AREA) for _ in range(2)]
        flips = random.random(2) < FLIPPED
        views = [
            render_view(example.picture, box, random, size_hw=self.size_hw, flip=bool(flip))
            for box, flip in zip(boxes, flips, strict=True)
        ]
        local_views = self._local_views(example.picture, random)
        overlaps = [overlap_within(boxes[0], boxes[1]), overlap_within(boxes[1], boxes[0])]
        return (
            torch.stack(views),
            local_views,
            torch.tensor(overlaps),
            torch.from_numpy(flips),
            tokens,
            *self.nouns.tokenize(caption),
        )

    def _local_views(self, picture: Rgb, random: np.random.Generator) -> torch.Tensor:
        """Local views of a picture, (V, 3, l, l) uint8."""
        size_hw = (picture.shape[0], picture.shape[1])
        views = [
            render_view(
                picture,
                random_box(size_hw, random, area=LOCAL_AREA),
                random,
                size_hw=(self.local_side, self.local_side),
                flip=random.random() < FLIPPED,
            )
            for _ in range(self.local_views)
        ]
        return torch.stack(views) if views else torch.zeros(0, 3, 1, 1, dtype=torch.uint8)

    def collate(self, prepared: Sequence[Batch]) -> Batch:
        """Put them in one batch; captions as long as the longest."""
        parts = (torch.stack(parts) for parts in zip(*prepared, strict=True))
        *views, tokens, nouns, is_noun = parts
        if self.trimmable:
            tokens, nouns = trim_padding(tokens), trim_padding(nouns)
        return *views, tokens, nouns, is_noun


def random_box(
    size_hw: tuple[int, int], random: np.random.Generator, *, area: tuple[float, float]
) -> Box:
    """Draw a box in a picture with a share of its area, in whole pixels.

    Its aspect is the picture's own times any of ASPECT: a view of the largest areas shows something
    of each other one, whatever the picture's aspect.
    """
    height, width = size_hw
    share = random.uniform(*area)
    aspect = math.exp(random.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
    # Rounded to whole pixels, so that a view is cut without resampling at its borders.
    own_width = min(width, max(1, round(width * math.sqrt(share * aspect))))
    own_height = min(height, max(1, round(height * math.sqrt(share / aspect))))
    left = int(random.integers(width - own_width + 1))
    top = int(random.integers(height - own_height + 1))
    return left, top, left + own_width, top + own_height


def overlap_within(box: Box, other: Box) -> Box:
    """The part of a box that another covers, as shares of its sides, in [0, 1]; may be empty."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    edges = (
        (max(left, other[0]) - left) / width,
        (max(top, other[1]) - top) / height,
        (min(right, other[2]) - left) / width,
        (min(bottom, other[3]) - top) / height,
    )
    return edges[0], edges[1], max(edges[0], edges[2]), max(edges[1], edges[3])


def render_view(
    picture: Rgb,
    box: Box,
    random: np.random.Generator,
    *,
    size_hw: tuple[int, int],
    flip: bool,
) -> torch.Tensor:
    """Crop, resize, flip, recolour and blur a picture, (H, W, 3), at random: (3, h, w) uint8."""
    left, top, right, bottom = (int(edge) for edge in box)
    view = squash_bytes(picture[top:bottom, left:right], size_hw=size_hw)
    if flip:
        view = view.flip(2)
    if random.random() < RECOLOURED:
        view = functional.adjust_brightness(view, 1 + BRIGHTNESS * random.uniform(-1, 1))
        view = functional.adjust_contrast(view, 1 + CONTRAST * random.uniform(-1, 1))
        view = functional.adjust_saturation(view, 1 + SATURATION * random.uniform(-1, 1))
        view = functional.adjust_hue(view, HUE * random.uniform(-1, 1))
    if random.random() < BLURRED:
        view = functional.gaussian_blur(view, [3, 3], [random.uniform(0.1, 1.0)] * 2)
    return view.contiguous()
