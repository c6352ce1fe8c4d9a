"""ViL-Seg's cluster head: it assigns patches to clusters that are the same in all pictures."""

from dataclasses import dataclass

import torch
from open_clip.transformer import VisionTransformer
from torch import nn

from captionary.vision.clip.vit import embed_patches


# The fields are keys in models' configuration files and part of fingerprints: they cannot change.
@dataclass(frozen=True, slots=True)
class VilsegConfig:
    """What ViL-Seg adds to a CLIP whose vector of a picture is the mean of its patches' vectors.

    clusters:    of the cluster head.
    outputs:     of the head of self-distillation, which only training needs.
    hidden:      units of that head's layers, and four times those of its bottleneck.
    local_views: small crops of a picture in training; local_side: their side in pixels.
    noun_weight: of the loss between nouns and segments, in training; the paper has none.
    """

    clusters: int = 25
    outputs: int = 65_536
    hidden: int = 2048
    local_views: int = 6
    local_side: int = 96
    noun_weight: float = 0.0


class ClusterHead(nn.Module):
    """Maps patch features to logits of clusters, (..., width) -> (..., clusters)."""

    def __init__(self, width: int, clusters: int) -> None:
        super().__init__()
        self.count = clusters
        self.layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, clusters))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the logits of clusters."""
        logits: torch.Tensor = self.layers(features)
        return logits


def patch_features(visual: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    """Encode each patch up to the projection, (N, 3, H, W) -> (N, h, w, width)."""
    rows, columns = (side // visual.patch_size[0] for side in pixels.shape[2:])
    hidden = embed_patches(visual, pixels)
    for block in visual.transformer.resblocks:
        hidden = block(hidden)
    # Without the class token in front: ViL-Seg reads patches only.
    normed: torch.Tensor = visual.ln_post(hidden[:, 1:])
    return normed.view(len(pixels), rows, columns, -1)
