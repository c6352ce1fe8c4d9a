"""PGSeg as what is trained: pictures and captions, groups and prototypes (Zhang et al., 2023)."""

import math
from typing import Any

import open_clip
import torch
from torch import nn
from torch.nn.functional import normalize

from learning.clip import LARGEST_SCALE
from learning.losses import contrastive_loss
from learning.processes import Processes
from learning.prototypes import move_prototypes, prototype_loss
from vision.grouping import centred_tokens, spherical_em
from vision.texts import encode_trimmed, hidden_tokens, project_text, trimmable_tower

IMAGE_WEIGHT, TEXT_WEIGHT = 0.1, 0.01
FIRST_SCALE = math.log(1 / 0.1)
PARTS = ("image-prototypes", "text-prototypes")
"""What can be left out."""


class PgsegLosses(nn.Module):
    """A CLIP with PGSeg's tower that answers the losses of a batch, over all processes.

    Args:
        clip:  of `vision.pgseg.build_pgseg`; its tower has prototypes, or no loss of them is made.
        texts: whether captions have prototypes.
    """

    _mean: torch.Tensor
    _std: torch.Tensor
    text_prototypes: torch.Tensor

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
        self._iterations, self._kappa = grouping.iterations, grouping.kappa
        count = images * len(grouping.groups) + texts
        self.scales = nn.Parameter(torch.full((count,), FIRST_SCALE)) if count else None
        if texts:
            start = torch.randn(grouping.groups[-1], clip.visual.output_dim)
            self.register_buffer("text_prototypes", normalize(start, dim=-1))
        self.register_buffer("_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, pictures: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """The losses, (P,), of (N, 3, h, w) uint8 pictures and their (N, l) int64 captions."""
        visual = self.clip.visual
        grouped = visual.grouped(self._normal(pictures))
        images = normalize(visual.picture_vectors(grouped).float(), dim=-1)
        hidden = hidden_tokens(self._tower[0], tokens)
        ends = tokens.argmax(dim=1)
        rows = torch.arange(len(tokens), device=tokens.device)
        sentences = project_text(self._tower[0], hidden[rows, ends])
        texts = normalize(sentences.float(), dim=-1)
        segments = (
            visual.segment_vectors(grouped).float() if "text_prototypes" in self.losses else None
        )
        with torch.autocast(pictures.device.type, enabled=False):
            losses = [self._contrast(images, texts)]
            scales = [] if self.scales is None else list(self.scales.exp())
            if "image_prototypes" in self.losses:
                each = [
                    prototype_loss(groups.float(), found, scale=scales.pop(0))
                    for groups, found in zip(grouped.tokens, grouped.prototypes, strict=True)
                ]
                losses.append(IMAGE_WEIGHT * torch.stack(each).sum())
                if self.training:
                    for stage, found in zip(visual.stages, grouped.prototypes, strict=True):
                        self._move(stage.prototypes, found)
            if segments is not None:
                words = project_text(self._tower[0], hidden.detach()).detach().float()
                found = self._of_captions(words, ends)
                losses.append(TEXT_WEIGHT * prototype_loss(segments, found, scale=scales.pop(0)))
                if self.training:
                    self._move(self.text_prototypes, found)
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
    def _of_captions(self, words: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        """Prototypes of captions, (N, l, D) -> (N, K, D), of words between start and end."""
        places = torch.arange(words.shape[1], device=words.device)
        said = ((places > 0) & (places < ends[:, None])).float()
        start = self.text_prototypes.expand(len(words), -1, -1)
        prototypes, _ = spherical_em(
            centred_tokens(words, said),
            start,
            iterations=self._iterations,
            kappa=self._kappa,
            weights=said,
        )
        return prototypes

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
