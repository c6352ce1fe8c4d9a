"""Protocols of image and text encoders, whatever they are built of."""

from collections.abc import Sequence
from typing import Protocol

import torch

from captionary.schemas.arrays import Vectors


class ImageEncoder(Protocol):
    """Turns pictures of one size into unit vectors of one space."""

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        ...

    @property
    def input_size_hw(self) -> tuple[int, int]:
        """Height and width of the pictures that it takes, in pixels."""
        ...

    @property
    def mean(self) -> tuple[float, float, float]:
        """Mean colour of its training pictures, RGB in [0, 1]: it carries no signal."""
        ...

    @property
    def batch_size(self) -> int:
        """Pictures per forward pass; fewer are padded, so multiples of it waste nothing."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        ...

    def encode_images(self, batch: torch.Tensor) -> Vectors:
        """Encode (N, 3, h, w) float in [0, 1], of the input size unless it takes any, to (N, D)."""
        ...


class TextEncoder(Protocol):
    """Turns names of things into unit vectors of the pictures' space."""

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        ...

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        """Encode N names to (N, D), put in the named templates; None: in its usual ones."""
        ...


class MapEncoder(Protocol):
    """Turns the patches of a picture of any size into vectors: a CLIP, or a model of looks."""

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        ...

    @property
    def patch(self) -> int:
        """Pixels of a side of a patch; sides of pictures are multiples of it."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names everything that its vectors depend on."""
        ...

    def encode_map(self, pixels: torch.Tensor, *, last_block: str) -> torch.Tensor:
        """Encode (3, H, W) float in [0, 1] to (H / patch, W / patch, D) float32 on the CPU.

        last_block: how the last block of CLIP is altered; what is none, or has none, ignores it.
        """
        ...
