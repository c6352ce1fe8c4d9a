"""Convolutional image towers: a vector for every place of the last feature map."""

import math
from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from torch import nn

RESNET_STRIDE = 32
TOLERANCE = 1e-2


@torch.no_grad()
def dense_stride(visual: nn.Module, example: torch.Tensor) -> int | None:
    """How many pixels a place of a tower's last map stands for; None: places cannot be read alone.

    They can where the vector of a picture is read off the mean of the last map, or where attention
    pools it, with values that can be projected alone. Whether a timm tower takes the mean is tried.

    Args:
        example: an input for it, (1, 3, H, W).
    """
    if isinstance(visual, ModifiedResNet):
        return RESNET_STRIDE
    if not isinstance(visual, TimmModel):
        return None
    places = visual.trunk.forward_features(example)
    if places.ndim != 4 or places.shape[1] != visual.trunk.num_features:
        return None
    whole = visual(example)
    mean = _head(visual, places.mean(dim=(2, 3), keepdim=True))
    if float((whole - mean).norm() / whole.norm()) >= TOLERANCE:
        return None
    # Strides are powers of two; padding may make a map a little larger than the picture.
    return int(2 ** round(math.log2(example.shape[2] / places.shape[2])))


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
