"""PGSeg as what is trained: pictures and captions, groups and prototypes (Zhang et al., 2023)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import open_clip
import torch
from torch import nn
from torch.nn.functional import normalize

from learning.batches import Batch
from learning.clip import LARGEST_SCALE, ClipInputs
from learning.examples import Example
from learning.losses import contrastive_loss
from learning.processes import Processes
from learning.prototypes import move_prototypes, prototype_loss
from vision.texts import (
    choose_templates,
    encode_trimmed,
    sentence_lengths,
    trimmable_tower,
)

IMAGE_WEIGHT, TEXT_WEIGHT = 0.1, 0.01
FIRST_SCALE = math.log(1 / 0.1)
PARTS = ("image-prototypes", "text-prototypes")
"""What can be left out."""


@dataclass(frozen=True)
class PgsegInputs:
    """A picture, one of its captions, and the nouns of that caption.

    pictures: how pictures and captions are prepared.
    nouns:    the nouns of a caption; what is more than `most` is left out.
    """

    pictures: ClipInputs
    nouns: Callable[[str], Sequence[str]]
    most: int

    def one(self, example: Example, random: np.random.Generator) -> Batch:
        """Prepare one example.

        Returns:
            What ClipInputs does; nouns in a sentence each, (most, L) int64, and which rows of
            these are nouns, (most,) bool.
        """
        caption = example.captions[int(random.integers(len(example.captions)))]
        pixels, tokens = self.pictures.one(replace(example, captions=(caption,)), random)
        names = list(self.nouns(caption))[: self.most]
        nouns = torch.zeros(self.most, len(tokens), dtype=tokens.dtype)
        if names:
            nouns[: len(names)] = self.pictures.tokenizer([SENTENCE(name) for name in names])
        return pixels, tokens, nouns, torch.arange(self.most) < len(names)

    def together(self, prepared: Sequence[Batch]) -> Batch:
        """Put them in one batch; sentences as long as the longest."""
        pictures, tokens, nouns, there = zip(*prepared, strict=True)
        both = self.pictures.together(list(zip(pictures, tokens, strict=True)))
        each = torch.stack(nouns)
        length = int(sentence_lengths(each.flatten(0, 1)).max())
        return *both, each[..., :length].contiguous(), torch.stack(there)


(SENTENCE,) = choose_templates("plain")


class PgsegLosses(nn.Module):
    """A CLIP with PGSeg's tower that answers the losses of a batch, over all processes.

    Args:
        clip:  of `vision.pgseg.build_pgseg`; its tower has prototypes, or no loss of them is made.
        texts: whether captions have prototypes.
    """

    _mean: torch.Tensor
    _std: torch.Tensor

    def __init__(
        self,
        clip: open_clip.CustomTextCLIP,
        processes: Processes,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        texts: bool = True,
    ) -> None:
        super().__init__()
        self.clip, self._processes = clip, processes
        self._tower: list[Any] = [trimmable_tower(clip)]  # in a list, so that it is no second child
        grouping = clip.visual.grouping
        images = grouping.prototypes
        self.losses = (
            "contrast",
            *(("image_prototypes",) if images else ()),
            *(("text_prototypes",) if texts else ()),
        )
        count = images * len(grouping.groups) + texts
        self.scales = nn.Parameter(torch.full((count,), FIRST_SCALE)) if count else None
        self.register_buffer("_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(
        self,
        pictures: torch.Tensor,
        tokens: torch.Tensor,
        nouns: torch.Tensor,
        there: torch.Tensor,
    ) -> torch.Tensor:
        """The losses, (P,), of what `PgsegInputs` prepares."""
        visual = self.clip.visual
        grouped = visual.grouped(self._normal(pictures))
        images = normalize(visual.picture_vectors(grouped).float(), dim=-1)
        texts = self.encode_tokens(tokens)
        scales = [] if self.scales is None else list(self.scales.exp())
        with torch.autocast(pictures.device.type, enabled=False):
            losses = [self._contrast(images, texts)]
            if "image_prototypes" in self.losses:
                each = [
                    prototype_loss(groups.float(), found, scale=scales.pop(0))
                    for groups, found in zip(grouped.tokens, grouped.prototypes, strict=True)
                ]
                losses.append(IMAGE_WEIGHT * torch.stack(each).sum())
                if self.training:
                    for stage, found in zip(visual.stages, grouped.prototypes, strict=True):
                        self._move(stage.prototypes, found)
        if "text_prototypes" in self.losses:
            segments, named = visual.segment_vectors(grouped), self._of_nouns(nouns, there)
            with torch.autocast(pictures.device.type, enabled=False):
                loss = prototype_loss(segments.float(), named, scale=scales.pop(0), counts=there)
            losses.append(TEXT_WEIGHT * loss)
        return torch.stack(losses)

    def _contrast(self, images: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(
            images,
            texts,
            scale=self.clip.logit_scale.exp(),
            all_images=self._processes.gathered(images),
            all_texts=self._processes.gathered(texts),
            first=self._processes.rank * len(images),
        )

    @torch.no_grad()
    def _of_nouns(self, nouns: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Vectors of the nouns that are there, (N, M, l) tokens -> (N, M, D), each encoded once."""
        vectors = torch.zeros(*there.shape, self.clip.visual.output_dim, device=nouns.device)
        if there.any():
            different, which = torch.unique(nouns[there], dim=0, return_inverse=True)
            vectors[there] = self.encode_tokens(different)[which]
        return vectors

    def _move(self, kept: torch.Tensor, found: torch.Tensor) -> None:
        move_prototypes(kept, self._processes.gathered(found.mean(dim=0)[None]))

    def after_step(self, _done: float) -> None:
        """Keep the scales from growing without end."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=LARGEST_SCALE)
            if self.scales is not None:
                self.scales.clamp_(max=LARGEST_SCALE)

    def encode_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode (N, 3, h, w) uint8 to (N, D) float32, unit length."""
        return normalize(self.clip.visual(self._normal(pictures)).float(), dim=-1)

    def encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode (N, l) int64 to (N, D) float32, unit length."""
        return normalize(encode_trimmed(self._tower[0], tokens).float(), dim=-1)

    def _normal(self, pictures: torch.Tensor) -> torch.Tensor:
        return (pictures.float() / 255 - self._mean) / self._std
