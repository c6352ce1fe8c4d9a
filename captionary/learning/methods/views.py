"""Views of pictures that one network is to see alike: large and small crops, recoloured."""

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
from captionary.learning.methods.noun_loss import NounTokens
from captionary.schemas.arrays import Rgb
from captionary.vision.clip.texts import trimmed
from captionary.vision.pictures.resizing import squash_bytes

GLOBAL_AREA, LOCAL_AREA = (0.4, 1.0), (0.05, 0.4)
"""Share of a picture's area that a view shows (Caron et al., 2021)."""

ASPECT = (3 / 4, 4 / 3)
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.2, 0.05
RECOLOURED, FLIPPED, BLURRED = 0.8, 0.5, 0.3

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom, in pixels or as shares of a side."""


@dataclass(frozen=True)
class ViewInputs:
    """Two global views of a picture, some local ones, where the global ones overlap, a caption.

    size_hw:    of the global views.
    local_side: of the local ones, in pixels; local_views: how many.
    trimmable:  whether the text tower does not read behind a caption's end.
    """

    size_hw: tuple[int, int]
    local_side: int
    local_views: int
    tokenizer: SimpleTokenizer
    nouns: NounTokens
    trimmable: bool = True

    def one(self, example: Example, random: np.random.Generator) -> Batch:
        """Prepare one example.

        Returns:
            Global views (2, 3, h, w) uint8; local views (V, 3, l, l) uint8; the overlap of the
            global ones in each of them, (2, 4) float32, shares of their sides before they were
            flipped; whether they were, (2,) bool; the caption, (L,) int64; its nouns.
        """
        caption = example.captions[int(random.integers(len(example.captions)))]
        tokens = self.tokenizer([caption])[0]
        height, width = example.picture.shape[:2]
        boxes = [random_box((height, width), random, area=GLOBAL_AREA) for _ in range(2)]
        flips = random.random(2) < FLIPPED
        views = [
            view(example.picture, box, random, size_hw=self.size_hw, flip=bool(flip))
            for box, flip in zip(boxes, flips, strict=True)
        ]
        small = [
            view(
                example.picture,
                random_box((height, width), random, area=LOCAL_AREA),
                random,
                size_hw=(self.local_side, self.local_side),
                flip=random.random() < FLIPPED,
            )
            for _ in range(self.local_views)
        ]
        shared = torch.tensor([overlap(boxes[0], boxes[1]), overlap(boxes[1], boxes[0])])
        local = torch.stack(small) if small else torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
        flipped = torch.from_numpy(flips)
        return torch.stack(views), local, shared, flipped, tokens, *self.nouns.one(caption)

    def together(self, prepared: Sequence[Batch]) -> Batch:
        """Put them in one batch; captions as long as the longest."""
        *views, tokens, nouns, there = (torch.stack(parts) for parts in zip(*prepared, strict=True))
        if self.trimmable:
            tokens, nouns = trimmed(tokens), trimmed(nouns)
        return *views, tokens, nouns, there


def random_box(
    size_hw: tuple[int, int], random: np.random.Generator, *, area: tuple[float, float]
) -> Box:
    """A box in a picture with a share of its area, in whole pixels.

    Its aspect is the picture's own times any of ASPECT: a view of the largest areas shows something
    of each other one, whatever the picture's aspect.
    """
    height, width = size_hw
    share = random.uniform(*area)
    aspect = math.exp(random.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
    own_width = min(width, max(1, round(width * math.sqrt(share * aspect))))
    own_height = min(height, max(1, round(height * math.sqrt(share / aspect))))
    left = int(random.integers(width - own_width + 1))
    top = int(random.integers(height - own_height + 1))
    return left, top, left + own_width, top + own_height


def overlap(box: Box, other: Box) -> Box:
    """What a box shares with another, as shares of its own sides, in [0, 1]; empty: no area."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    edges = (
        (max(left, other[0]) - left) / width,
        (max(top, other[1]) - top) / height,
        (min(right, other[2]) - left) / width,
        (min(bottom, other[3]) - top) / height,
    )
    return edges[0], edges[1], max(edges[0], edges[2]), max(edges[1], edges[3])


def view(
    picture: Rgb,
    box: Box,
    random: np.random.Generator,
    *,
    size_hw: tuple[int, int],
    flip: bool,
) -> torch.Tensor:
    """A part of a picture (H, W, 3) in other colours, (3, h, w) uint8."""
    left, top, right, bottom = (int(edge) for edge in box)
    part = squash_bytes(picture[top:bottom, left:right], size_hw=size_hw)
    if flip:
        part = part.flip(2)
    if random.random() < RECOLOURED:
        part = functional.adjust_brightness(part, 1 + BRIGHTNESS * random.uniform(-1, 1))
        part = functional.adjust_contrast(part, 1 + CONTRAST * random.uniform(-1, 1))
        part = functional.adjust_saturation(part, 1 + SATURATION * random.uniform(-1, 1))
        part = functional.adjust_hue(part, HUE * random.uniform(-1, 1))
    if random.random() < BLURRED:
        part = functional.gaussian_blur(part, [3, 3], [random.uniform(0.1, 1.0)] * 2)
    return part.contiguous()
