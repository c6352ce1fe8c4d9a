"""Training PGSeg: pictures and captions, groups and prototypes (Zhang et al., 2023)."""

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
from captionary.learning.methods.clip import MAX_LOG_SCALE, ClipLosses, ClipPreprocessor
from captionary.learning.methods.noun_loss import NounTokenizer, encode_nouns, noun_loss
from captionary.learning.methods.prototype_loss import prototype_loss, update_group_prototypes
from captionary.learning.processes import Processes
from captionary.vision.clip.texts import trim_padding
from captionary.vision.grouping.pgseg import PgsegOutput

IMAGE_WEIGHT = 0.1
INITIAL_LOG_SCALE = math.log(1 / 0.1)


@dataclass(frozen=True)
class PgsegPreprocessor:
    """Prepares a picture, one of its captions, and the nouns of that caption."""

    pictures: ClipPreprocessor
    nouns: NounTokenizer

    def prepare(self, example: Example, random: np.random.Generator) -> Batch:
        """Prepare one example: what ClipPreprocessor makes, and what NounTokenizer makes."""
        caption = example.captions[int(random.integers(len(example.captions)))]
        alone = replace(example, captions=(caption,))
        return *self.pictures.prepare(alone, random), *self.nouns.tokenize(caption)

    def collate(self, prepared: Sequence[Batch]) -> Batch:
        """Put them in one batch; sentences as long as the longest."""
        both = self.pictures.collate([each[:2] for each in prepared])
        nouns, is_noun = (
            torch.stack(parts) for parts in zip(*(e[2:] for e in prepared), strict=True)
        )
        return *both, trim_padding(nouns) if self.pictures.trimmable else nouns, is_noun


class PgsegLosses(ClipLosses):
    """A CLIP with PGSeg's tower and the losses of a batch, over all processes.

    Args:
        clip:  of `build_pgseg`; its tower has group prototypes, or there is no loss of them.
        texts: whether the nouns of captions are learned from (text prototypes).
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
        self.loss_names = (
            "contrast",
            *(("image_prototypes",) if images else ()),
            *(("text_prototypes",) if texts else ()),
        )
        count = images * len(grouping.groups)
        self._text_weight: float = grouping.text_weight
        initial = torch.full((count,), INITIAL_LOG_SCALE)
        self.scales = nn.Parameter(initial) if count else None

    def forward(  # type: ignore[override]
        self,
        pictures: torch.Tensor,
        tokens: torch.Tensor,
        nouns: torch.Tensor,
        is_noun: torch.Tensor,
    ) -> torch.Tensor:
        """The losses, (P,), of what `PgsegPreprocessor` prepares."""
        visual = self.clip.visual
        grouped = visual.group_patches(self.normalize_pixels(pictures))
        images = normalize(visual.picture_vectors(grouped).float(), dim=-1)
        losses = [self.contrastive(images, self.encode_tokens(tokens))]
        if "image_prototypes" in self.loss_names:
            losses.append(self._image_prototypes(grouped))
        if "text_prototypes" in self.loss_names:
            losses.append(self._text_prototypes(grouped, nouns, is_noun))
        return torch.stack(losses)

    def _image_prototypes(self, grouped: PgsegOutput) -> torch.Tensor:
        """Loss between groups and group prototypes of all stages; in training these move."""
        assert self.scales is not None
        stages = zip(grouped.group_tokens, grouped.group_prototypes, self.scales.exp(), strict=True)
        with torch.autocast(self.scales.device.type, enabled=False):
            losses = [
                prototype_loss(groups.float(), prototypes, scale=scale)
                for groups, prototypes, scale in stages
            ]
            if self.training:
                self._move_prototypes(grouped.group_prototypes)
        return IMAGE_WEIGHT * torch.stack(losses).sum()

    def _move_prototypes(self, group_prototypes: Sequence[torch.Tensor]) -> None:
        """Move the stored group prototypes of each stage towards those of a batch."""
        for stage, batch in zip(self.clip.visual.stages, group_prototypes, strict=True):
            # The mean of each process is sent, not each picture's: they have equal shares.
            means = self.processes.all_gather(batch.mean(dim=0)[None])
            # `prototypes` and not `group_prototypes`: weights' files have this name.
            update_group_prototypes(stage.prototypes, means)

    def _text_prototypes(
        self, grouped: PgsegOutput, nouns: torch.Tensor, is_noun: torch.Tensor
    ) -> torch.Tensor:
        """Loss between the segments of the last stage and the nouns of captions."""
        segments = normalize(self.clip.visual.segment_vectors(grouped).float(), dim=-1)
        vectors, vector_of = encode_nouns(self.encode_tokens, nouns, is_noun)
        with torch.autocast(segments.device.type, enabled=False):
            loss = noun_loss(
                segments,
                vectors,
                vector_of,
                is_noun,
                scale=self.clip.logit_scale.exp(),
                present=grouped.present,
            )
        return self._text_weight * loss

    def after_step(self, done: float) -> None:
        """Keep the scales from growing without end."""
        super().after_step(done)
        if self.scales is not None:
            with torch.no_grad():
                self.scales.clamp_(max=MAX_LOG_SCALE)
