"""Convolutional image towers: a vector for every place of the last feature map."""

from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from torch import nn

STRIDE = 32
"""Pixels that a place of the last map stands for, in all towers of open_clip."""

TOLERANCE = 1e-2


@torch.no_grad()
def has_dense_map(visual: nn.Module, example: torch.Tensor) -> bool:
    """Whether a tower's places can be read one by one.

    So it is where the vector of a picture is read off the mean of the last map, or where attention
    pools it, with values that can be projected alone. Whether a timm tower takes the mean is tried.

    Args:
        example: an input for it, (1, 3, H, W).
    """
    if isinstance(visual, ModifiedResNet):
        return True
    if not isinstance(visual, TimmModel):
        return False
    places = visual.trunk.forward_features(example)
    if places.ndim != 4 or places.shape[1] != visual.trunk.num_features:
        return False
    whole = visual(example)
    mean = _head(visual, places.mean(dim=(2, 3), keepdim=True))
    return float((whole - mean).norm() / whole.norm()) < TOLERANCE


def pools_by_attention(visual: nn.Module) -> bool:
    """Whether a tower's pooling is made for maps of one size."""
    return isinstance(visual, ModifiedResNet)


def dense_map(visual: Any, pixels: torch.Tensor) -> torch.Tensor:
    """A vector for every place of the last map, (N, 3, H, W) -> (N, h, w, D), not normalised.

    Each place goes through the tower's head as if the map were it alone; where attention pools,
    through the projections of values and output (MaskCLIP; Zhou et al., 2022).
    """
    if isinstance(visual, ModifiedResNet):
        places = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(pixels)))))
        vectors: torch.Tensor = visual.attnpool.c_proj(
            visual.attnpool.v_proj(places.permute(0, 2, 3, 1))
        )
        return vectors
    places = visual.trunk.forward_features(pixels).permute(0, 2, 3, 1)
    count, height, width, channels = places.shape
    each = _head(visual, places.reshape(-1, channels, 1, 1))
    return each.reshape(count, height, width, -1)


def _head(visual: Any, maps: torch.Tensor) -> torch.Tensor:
    """What a timm tower makes of its last map, (N, C, h, w) -> (N, D)."""
    vectors: torch.Tensor = visual.head(visual.trunk.forward_head(maps))
    return vectors
