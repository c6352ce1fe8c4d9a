"""Pictures to tensors of a given size."""

import numpy as np
import torch

from schemas.arrays import Rgb


def squash(pixels: Rgb, *, size_hw: tuple[int, int]) -> torch.Tensor:
    """Resize a picture, (h, w, 3) uint8, to (3, H, W) float in [0, 1], whatever its aspect."""
    return squash_bytes(pixels, size_hw=size_hw).float() / 255


def squash_bytes(pixels: Rgb, *, size_hw: tuple[int, int]) -> torch.Tensor:
    """Resize a picture, (h, w, 3) uint8, to (3, H, W) uint8, whatever its aspect.

    Bicubic with antialiasing, on bytes: several times faster than on floats, and the same as
    Pillow's up to rounding.
    """
    own = np.require(pixels, requirements=["C", "W"])  # torch takes no others; a copy where it must
    planes = torch.from_numpy(own).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(planes, size_hw, mode="bicubic", antialias=True)
    return resized[0].contiguous()
