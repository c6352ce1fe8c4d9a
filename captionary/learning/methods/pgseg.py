"""PGSeg as what is trained: pictures and captions, groups and prototypes (Zhang et al., 2023)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import open_clip
import torch
from torch import nn
from torch.nn.functional import normalize

from captionary.learning.data.batches import Batch
from captionary.learning.data.examples import Example
from captionary.learning.methods.clip import LARGEST_SCALE, ClipInputs, Contrast
from captionary.learning.methods.noun_loss import NounTokens, encode_nouns, noun_loss
from captionary.learning.methods.prototype_loss import move_prototypes, prototype_loss
from captionary.learning.processes import Processes
from captionary.vision.clip.texts import trimmed

IMAGE_WEIGHT = 0.1
FIRST_SCALE = math.log(1 / 0.1)


@dataclass(frozen=True)
class PgsegInputs:
    """A picture, one of its captions, and the nouns of that caption.

    pictures: how pictures and captions are prepared.
    """

    pictures: ClipInputs
    nouns: NounTokens

    def one(self, example: Example, random: np.random.Generator) -> Batch:
        """Prepare one example: what ClipInputs does, and what NounTokens does."""
        caption = example.captions[int(random.integers(len(example.captions)))]
        alone = replace(example, captions=(caption,))
        return *self.pictures.one(alone, random), *self.nouns.one(caption)

    def together(self, prepared: Sequence[Batch]) -> Batch:
        """Put them in one batch; sentences as long as the longest."""
        both = self.pictures.together([each[:2] for each in prepared])
        nouns, there = (
            torch.stack(parts) for parts in zip(*(e[2:] for e in prepared), strict=True)
        )
        return *both, trimmed(nouns) if self.pictures.trimmable else nouns, there


class PgsegLosses(Contrast):
    """A CLIP with PGSeg's tower that answers the losses of a batch, over all processes.

    Args:
        clip:  of `build_pgseg`; its tower has prototypes, or no loss of them is made.
        texts: whether captions have prototypes.
    """

    def __init__(
        self,
        clip: open_clip.CustomTextCLIP,
        processes: Processes,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        texts: bool = True,
    ) -> None:
        super().__init__(clip, processes, mean=mean, std=std)
        grouping = clip.visual.grouping
        images = grouping.prototypes
        self.losses = (
            "contrast",
            *(("image_prototypes",) if images else ()),
            *(("text_prototypes",) if texts else ()),
        )
        count = images * len(grouping.groups)
        self._text_weight = grouping.text_weight
        self.scales = nn.Parameter(torch.full((count,), FIRST_SCALE)) if count else None

    def forward(  # type: ignore[override]
        self,
        pictures: torch.Tensor,
        tokens: torch.Tensor,
        nouns: torch.Tensor,
        there: torch.Tensor,
    ) -> torch.Tensor:
        """The losses, (P,), of what `PgsegInputs` prepares."""
        visual = self.clip.visual
        grouped = visual.grouped(self.normal(pictures))
        images = normalize(visual.picture_vectors(grouped).float(), dim=-1)
        texts = self.encode_tokens(tokens)
        scales = [] if self.scales is None else list(self.scales.exp())
        with torch.autocast(pictures.device.type, enabled=False):
            losses = [self.contrast(images, texts)]
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
            segments = normalize(visual.segment_vectors(grouped).float(), dim=-1)
            vectors, which = encode_nouns(self.encode_tokens, nouns, there)
            with torch.autocast(pictures.device.type, enabled=False):
                loss = noun_loss(
                    segments,
                    vectors,
                    which,
                    there,
                    scale=self.clip.logit_scale.exp(),
                    present=grouped.present,
                )
            losses.append(self._text_weight * loss)
        return torch.stack(losses)

    def _move(self, kept: torch.Tensor, found: torch.Tensor) -> None:
        move_prototypes(kept, self.processes.gathered(found.mean(dim=0)[None]))

    def after_step(self, done: float) -> None:
        """Keep the scales from growing without end."""
        super().after_step(done)
        if self.scales is not None:
            with torch.no_grad():
                self.scales.clamp_(max=LARGEST_SCALE)
