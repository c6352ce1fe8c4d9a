"""Convolutional image towers: a vector for each cell of the last feature map."""

import math
from typing import Any

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from torch import nn

RESNET_STRIDE = 32
"""Pixels per cell of the last map of open_clip's ResNets."""

TOLERANCE = 1e-2
"""Relative difference, at most, between a tower's output and its head on the mean of the map."""


@torch.no_grad()
def dense_stride(visual: nn.Module, example: torch.Tensor) -> int | None:
    """Return the pixels per side of a cell of a tower's last map; None: it has no dense map.

    It has one where the vector of a picture is computed from the mean of the last map, or where
    attention pools the map, whose values can be projected one by one. Whether a timm tower takes
    the mean is tried on the example.

    Args:
        example: a picture of its input size, (1, 3, H, W).
    """
    if isinstance(visual, ModifiedResNet):
        return RESNET_STRIDE
    if not isinstance(visual, TimmModel):
        return None
    cells = visual.trunk.forward_features(example)
    # Transformers of timm return tokens, and some towers have channels last.
    if cells.ndim != 4 or cells.shape[1] != visual.trunk.num_features:
        return None
    whole = visual(example)
    mean = _apply_head(visual, cells.mean(dim=(2, 3), keepdim=True))
    if float((whole - mean).norm() / whole.norm()) >= TOLERANCE:
        return None
    # Strides are powers of two; padding may make a map a little larger than the picture.
    return int(2 ** round(math.log2(example.shape[2] / cells.shape[2])))


def pools_by_attention(visual: nn.Module) -> bool:
    """Whether a tower pools by attention, whose positions are for maps of one size."""
    return isinstance(visual, ModifiedResNet)


def dense_map(visual: Any, pixels: torch.Tensor) -> torch.Tensor:
    """Encode each cell of the last map, (N, 3, H, W) -> (N, h, w, D), not normalised.

    Each cell goes through the tower's head as if it were the whole map; where attention pools,
    through the projections of values and output (MaskCLIP; Zhou et al., 2022).
    """
    if isinstance(visual, ModifiedResNet):
        cells = visual.layer4(visual.layer3(visual.layer2(visual.layer1(visual.stem(pixels)))))
        vectors: torch.Tensor = visual.attnpool.c_proj(
            visual.attnpool.v_proj(cells.permute(0, 2, 3, 1))
        )
        return vectors
    cells = visual.trunk.forward_features(pixels).permute(0, 2, 3, 1)
    count, height, width, channels = cells.shape
    # A batch of maps of one cell: pooling has nothing to average then.
    each = _apply_head(visual, cells.reshape(-1, channels, 1, 1))
    return each.reshape(count, height, width, -1)


def _apply_head(visual: Any, maps: torch.Tensor) -> torch.Tensor:
    """Apply a timm tower's pooling and head to its last map, (N, C, h, w) -> (N, D)."""
    vectors: torch.Tensor = visual.head(visual.trunk.forward_head(maps))
    return vectors
