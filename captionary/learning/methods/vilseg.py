"""Training ViL-Seg: views, captions and clusters together (Liu et al., 2022)."""

from copy import deepcopy

import open_clip
import torch
from torch import nn
from torch.nn.functional import normalize, one_hot

from captionary.learning.methods.clip import ClipLosses
from captionary.learning.methods.distillation import (
    DistillationHead,
    distillation_loss,
    update_centre,
    update_teacher,
)
from captionary.learning.methods.mutual_information import (
    align_views,
    information_loss,
    joint_probabilities,
)
from captionary.learning.methods.noun_loss import encode_nouns, noun_loss
from captionary.learning.processes import Processes
from captionary.vision.grouping.cluster_head import ClusterHead, VilsegConfig, patch_features


class Student(nn.Module):
    """What self-distillation trains: the image tower and a projection head; so is the teacher."""

    def __init__(self, visual: nn.Module, head: DistillationHead) -> None:
        super().__init__()
        self.visual, self.head = visual, head

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        """Logits of views, (N, 3, h, w) -> (N, K)."""
        logits: torch.Tensor = self.head(patch_features(self.visual, views).mean(dim=(1, 2)))
        return logits


class VilsegLosses(ClipLosses):
    """A CLIP with ViL-Seg's losses of a batch, over all processes.

    Args:
        clip:     of open_clip; its vector of a picture is the mean of its patches' (pool_type avg).
        head:     the clusters to go on from; None: random ones.
        vision:   whether views are contrasted (self-distillation).
        clusters: whether there is a clustering head, which learns.
        nouns:    whether nouns are contrasted with segments, which are clusters.
    """

    centre: torch.Tensor

    def __init__(
        self,
        clip: open_clip.CLIP,
        clustering: VilsegConfig,
        processes: Processes,
        *,
        head: ClusterHead | None = None,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        vision: bool = True,
        clusters: bool = True,
        nouns: bool = True,
    ) -> None:
        super().__init__(clip, processes, mean=mean, std=std)
        width = clip.visual.ln_post.normalized_shape[0]
        self.loss_names = (
            "contrast",
            *(("vision_contrast",) if vision else ()),
            *(("clusters",) if clusters else ()),
            *(("nouns",) if nouns and clusters else ()),
        )
        self._noun_weight = clustering.noun_weight
        self.clusters = (head or ClusterHead(width, clustering.clusters)) if clusters else None
        if self.clusters is not None:
            self.clusters.requires_grad_(True)
        if vision:
            self._add_teacher(width, clustering)

    def _add_teacher(self, width: int, clustering: VilsegConfig) -> None:
        """Make the head of self-distillation, and a teacher that starts as its student is."""
        outputs = clustering.outputs
        self.head = DistillationHead(width, hidden=clustering.hidden, outputs=outputs)
        self.teacher = deepcopy(Student(self.clip.visual, self.head)).requires_grad_(False)
        self.register_buffer("centre", torch.zeros(outputs))

    def forward(  # type: ignore[override]
        self,
        views: torch.Tensor,
        local_views: torch.Tensor,
        overlaps: torch.Tensor,
        flipped: torch.Tensor,
        tokens: torch.Tensor,
        nouns: torch.Tensor,
        is_noun: torch.Tensor,
    ) -> torch.Tensor:
        """The losses, (P,), of what `augmented_views` prepares, each with N in front."""
        count = len(views)
        # The first views of all pictures, then the second ones.
        pixels = self.normalize_pixels(views.transpose(0, 1).flatten(0, 1))
        features = patch_features(self.clip.visual, pixels)
        pooled = features.mean(dim=(1, 2))
        # In the mean of all patches small things drown; in that of the segments, which are what
        # classes are later scored by, they do not.
        means, sizes = self._segments(features)
        picture = means.sum(dim=1) / (sizes > 0).sum(dim=1, keepdim=True)
        images = normalize((picture @ self.clip.visual.proj).float(), dim=-1)
        texts = self.encode_tokens(tokens)
        first, second = images[:count], images[count:]
        losses = [(self.contrastive(first, texts) + self.contrastive(second, texts)) / 2]
        if "vision_contrast" in self.loss_names:
            losses.append(self._vision_contrast(pixels, pooled, local_views))
        if self.clusters is not None:
            losses.append(self._information(self.clusters, features, overlaps, flipped))
        if "nouns" in self.loss_names:
            losses.append(self._nouns(means, sizes, nouns, is_noun))
        return torch.stack(losses)

    def _segments(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Segments of pictures, (N, h, w, D), which are the head's clusters.

        Returns:
            The mean patch of each cluster, (N, C, D), and how many patches it has, (N, C). Without
            head all of a picture is one segment.
        """
        patches = features.flatten(1, 2)
        with torch.no_grad():
            if self.clusters is None:
                own = torch.ones_like(patches[..., :1])
            else:
                clusters = self.clusters(patches).argmax(dim=-1)
                own = one_hot(clusters, self.clusters.count).to(patches.dtype)
            sizes = own.sum(dim=1)
        return own.transpose(1, 2) @ patches / sizes.clamp_min(1)[..., None], sizes

    def _vision_contrast(
        self, pixels: torch.Tensor, pooled: torch.Tensor, local_views: torch.Tensor
    ) -> torch.Tensor:
        """Self-distillation: the student sees all views, its teacher the global ones."""
        count = local_views.shape[0]
        with torch.no_grad():
            teacher = self.teacher(pixels).float()
        logits = [self.head(pooled)]
        if local_views.shape[1]:
            small = self.normalize_pixels(local_views.transpose(0, 1).flatten(0, 1))
            logits.append(self.head(patch_features(self.clip.visual, small).mean(dim=(1, 2))))
        student = torch.cat(logits).float()
        with torch.autocast(pixels.device.type, enabled=False):
            loss = distillation_loss(
                teacher.view(-1, count, teacher.shape[-1]),
                student.view(-1, count, student.shape[-1]),
                self.centre,
            )
        if self.training:
            update_centre(self.centre, self.processes.all_gather(teacher.mean(dim=0)[None]))
        return loss

    def _information(
        self,
        head: ClusterHead,
        features: torch.Tensor,
        overlaps: torch.Tensor,
        flipped: torch.Tensor,
    ) -> torch.Tensor:
        """The clustering loss of the head; no gradient of it goes into the tower."""
        first, second = features.detach().float().chunk(2)
        pairs = align_views(first, second, overlaps, flipped)
        shares = [head(each).float().softmax(dim=-1) for each in pairs]
        with torch.autocast(features.device.type, enabled=False):
            joint = joint_probabilities(shares[0], shares[1])
            # Of all processes: that clusters are equally large holds for a whole batch only.
            everywhere = self.processes.all_gather(joint.flatten()[None]).mean(dim=0)
            return information_loss(everywhere.view_as(joint))

    def _nouns(
        self, means: torch.Tensor, sizes: torch.Tensor, nouns: torch.Tensor, is_noun: torch.Tensor
    ) -> torch.Tensor:
        """Loss between the segments of both views and the nouns of captions."""
        segments = normalize((means @ self.clip.visual.proj).float(), dim=-1)
        vectors, vector_of = encode_nouns(self.encode_tokens, nouns, is_noun)
        with torch.autocast(means.device.type, enabled=False):
            loss = noun_loss(
                segments,
                vectors,
                vector_of.repeat(2, 1),
                is_noun.repeat(2, 1),
                scale=self.clip.logit_scale.exp(),
                present=sizes > 0,
            )
        return self._noun_weight * loss

    def after_step(self, done: float) -> None:
        """Move the teacher, and keep the logit scale from growing without end."""
        super().after_step(done)
        if "vision_contrast" in self.loss_names:
            update_teacher(self.teacher.visual, self.clip.visual, done=done)
            update_teacher(self.teacher.head, self.head, done=done)
