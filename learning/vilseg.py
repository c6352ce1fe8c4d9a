"""ViL-Seg as what is trained: views, captions and clusters together (Liu et al., 2022)."""

from copy import deepcopy
from typing import Any

import open_clip
import torch
from torch import nn
from torch.nn.functional import normalize, one_hot

from learning.clip import LARGEST_SCALE
from learning.distillation import DistillationHead, distillation_loss, follow, move_centre
from learning.losses import contrastive_loss
from learning.mutual_information import corresponding, information_loss, joint_probabilities
from learning.nouns import encode_nouns, noun_loss
from learning.processes import Processes
from vision.texts import encode_trimmed, trimmable_tower
from vision.vilseg import ClusterHead, Clustering, patch_features

PARTS = ("vision-contrast", "clusters", "nouns")
"""What can be left out."""


class Student(nn.Module):
    """What the teacher has, too: the image tower, and the head that self-distillation needs."""

    def __init__(self, visual: nn.Module, head: DistillationHead) -> None:
        super().__init__()
        self.visual, self.head = visual, head

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """Logits of views, (N, 3, h, w) -> (N, K)."""
        logits: torch.Tensor = self.head(patch_features(self.visual, views).mean(dim=(1, 2)))
        return logits


def segment_weights(clusters: torch.Tensor) -> torch.Tensor:
    """How much each patch counts where segments count alike, rows sum to 1.

    Args:
        clusters: (N, L) int64, the cluster of each patch; patches of one cluster are a segment.

    Returns:
        (N, L) float32: one over the segment's patches and the picture's segments.
    """
    same = clusters[:, :, None] == clusters[:, None]
    share = 1 / same.sum(dim=2)
    return share / share.sum(dim=1, keepdim=True)


class VilsegLosses(nn.Module):
    """A CLIP that answers ViL-Seg's losses of a batch, over all processes.

    Args:
        clip:     of open_clip; its vector of a picture is the mean of its patches' (pool_type avg).
        vision:   whether views are contrasted.
        clusters: whether the clustering head learns.
        nouns:    whether nouns look for segments.
    """

    _mean: torch.Tensor
    _std: torch.Tensor
    centre: torch.Tensor

    def __init__(
        self,
        clip: open_clip.CLIP,
        clustering: Clustering,
        processes: Processes,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        vision: bool = True,
        clusters: bool = True,
        nouns: bool = True,
    ) -> None:
        super().__init__()
        self.clip, self._processes = clip, processes
        self._tower: list[Any] = [trimmable_tower(clip)]  # in a list, so that it is no second child
        width = clip.visual.ln_post.normalized_shape[0]
        self.losses = (
            "contrast",
            *(("vision_contrast",) if vision else ()),
            *(("clusters",) if clusters else ()),
            *(("nouns",) if nouns else ()),
        )
        self._noun_weight = clustering.noun_weight
        self.clusters = ClusterHead(width, clustering.clusters)
        self.clusters.requires_grad_(clusters)
        if vision:
            head = DistillationHead(width, hidden=clustering.hidden, outputs=clustering.outputs)
            self.head = head
            self.teacher = deepcopy(Student(clip.visual, head)).requires_grad_(False)
            self.register_buffer("centre", torch.zeros(clustering.outputs))
        self.register_buffer("_mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("_std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(
        self,
        views: torch.Tensor,
        local_views: torch.Tensor,
        overlaps: torch.Tensor,
        flipped: torch.Tensor,
        tokens: torch.Tensor,
        nouns: torch.Tensor,
        there: torch.Tensor,
    ) -> torch.Tensor:
        """The losses, (P,), of what `learning.views` prepares, each with N in front."""
        count = len(views)
        seen = self._normal(views.transpose(0, 1).flatten(0, 1))
        features = patch_features(self.clip.visual, seen)
        pooled = features.mean(dim=(1, 2))
        images = normalize((self._picture(features) @ self.clip.visual.proj).float(), dim=-1)
        texts = self.encode_tokens(tokens)
        with torch.autocast(views.device.type, enabled=False):
            losses = [
                (self._contrast(images[:count], texts) + self._contrast(images[count:], texts)) / 2
            ]
        if "vision_contrast" in self.losses:
            losses.append(self._vision_contrast(seen, pooled, local_views))
        if "clusters" in self.losses:
            losses.append(self._information(features, overlaps, flipped))
        if "nouns" in self.losses:
            losses.append(self._nouns(features, nouns, there))
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

    def _picture(self, features: torch.Tensor) -> torch.Tensor:
        """The mean segment of pictures, (N, h, w, D) -> (N, D), as segments are asked later.

        In the mean patch, small things drown in what is around them.
        """
        patches = features.flatten(1, 2)
        if "clusters" not in self.losses:
            return patches.mean(dim=1)
        with torch.no_grad():
            weights = segment_weights(self.clusters(patches).argmax(dim=-1))
        return (weights[..., None].to(patches.dtype) * patches).sum(dim=1)

    def _vision_contrast(
        self, seen: torch.Tensor, pooled: torch.Tensor, local_views: torch.Tensor
    ) -> torch.Tensor:
        count = local_views.shape[0]
        with torch.no_grad():
            teacher = self.teacher(seen).float()
        logits = [self.head(pooled)]
        if local_views.shape[1]:
            small = self._normal(local_views.transpose(0, 1).flatten(0, 1))
            logits.append(self.head(patch_features(self.clip.visual, small).mean(dim=(1, 2))))
        student = torch.cat(logits).float()
        with torch.autocast(seen.device.type, enabled=False):
            loss = distillation_loss(
                teacher.view(-1, count, teacher.shape[-1]),
                student.view(-1, count, student.shape[-1]),
                self.centre,
            )
        if self.training:
            move_centre(self.centre, self._processes.gathered(teacher.mean(dim=0)[None]))
        return loss

    def _information(
        self, features: torch.Tensor, overlaps: torch.Tensor, flipped: torch.Tensor
    ) -> torch.Tensor:
        """The head learns what the tower sees; the tower does not learn from the head."""
        first, second = features.detach().float().chunk(2)
        pairs = corresponding(first, second, overlaps, flipped)
        shares = [self.clusters(each).float().softmax(dim=-1) for each in pairs]
        with torch.autocast(features.device.type, enabled=False):
            joint = joint_probabilities(shares[0], shares[1])
            everywhere = self._processes.gathered(joint.flatten()[None]).mean(dim=0)
            return information_loss(everywhere.view_as(joint))

    def _nouns(
        self, features: torch.Tensor, nouns: torch.Tensor, there: torch.Tensor
    ) -> torch.Tensor:
        """The nouns of a caption find segments in both views."""
        patches = features.flatten(1, 2)
        with torch.no_grad():
            clusters = self.clusters(patches).argmax(dim=-1)
            own = one_hot(clusters, self.clusters.count).to(patches.dtype)
            there, sizes = there.repeat(2, 1), own.sum(dim=1)
        means = torch.einsum("nlc,nld->ncd", own, patches) / sizes.clamp_min(1)[..., None]
        segments = normalize((means @ self.clip.visual.proj).float(), dim=-1)
        vectors, which = encode_nouns(self.encode_tokens, nouns.repeat(2, 1, 1), there)
        with torch.autocast(features.device.type, enabled=False):
            loss = noun_loss(
                segments,
                vectors,
                which,
                there,
                scale=self.clip.logit_scale.exp(),
                present=sizes > 0,
            )
        return self._noun_weight * loss

    def after_step(self, done: float) -> None:
        """Let the teacher follow, and keep the logit scale from growing without end."""
        with torch.no_grad():
            self.clip.logit_scale.clamp_(max=LARGEST_SCALE)
        if "vision_contrast" in self.losses:
            follow(self.teacher.visual, self.clip.visual, done=done)
            follow(self.teacher.head, self.head, done=done)

    def encode_pictures(self, pictures: torch.Tensor) -> torch.Tensor:
        """Encode (N, 3, h, w) uint8 to (N, D) float32, unit length."""
        return normalize(self.clip.encode_image(self._normal(pictures)).float(), dim=-1)

    def encode_tokens(self, tokens: torch.Tensor) -> torch.Tensor:
        """Encode (N, l) int64 to (N, D) float32, unit length."""
        return normalize(encode_trimmed(self._tower[0], tokens).float(), dim=-1)

    def _normal(self, pictures: torch.Tensor) -> torch.Tensor:
        return (pictures.float() / 255 - self._mean) / self._std
