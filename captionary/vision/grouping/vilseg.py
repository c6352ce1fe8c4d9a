"""ViL-Seg's clustering head: patches to clusters that are the same in all pictures."""

from dataclasses import dataclass

import torch
from open_clip.transformer import VisionTransformer
from torch import nn

from captionary.vision.clip.vit import patch_tokens


@dataclass(frozen=True, slots=True)
class Clustering:
    """What ViL-Seg adds to a CLIP whose vector of a picture is the mean of its patches'.

    clusters:    of the clustering head.
    outputs:     of the head of self-distillation, which is needed in training only.
    hidden:      units of that head's layers, and four times those of its bottleneck.
    local_views: small views of a picture in training; local_side: of these in pixels.
    noun_weight: of the loss by which nouns find segments, in training; the paper has none.
    """

    clusters: int = 25
    outputs: int = 65_536
    hidden: int = 2048
    local_views: int = 6
    local_side: int = 96
    noun_weight: float = 0.0


class ClusterHead(nn.Module):
    """Patch features to logits of clusters, (..., width) -> (..., clusters)."""

    def __init__(self, width: int, clusters: int) -> None:
        super().__init__()
        self.count = clusters
        self.layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, clusters))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits of clusters."""
        logits: torch.Tensor = self.layers(features)
        return logits


def patch_features(visual: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    """What the tower knows of each patch before it projects, (N, 3, H, W) -> (N, h, w, width)."""
    rows, columns = (side // visual.patch_size[0] for side in pixels.shape[2:])
    hidden = patch_tokens(visual, pixels)
    for block in visual.transformer.resblocks:
        hidden = block(hidden)
    normed: torch.Tensor = visual.ln_post(hidden[:, 1:])
    return normed.view(len(pixels), rows, columns, -1)
