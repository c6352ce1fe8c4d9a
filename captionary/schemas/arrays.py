"""Names for the arrays that travel between rooms. Axis order and range are part of the name."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Rgb: TypeAlias = NDArray[np.uint8]
"""A picture, (H, W, 3) uint8, sRGB."""

Mask: TypeAlias = NDArray[np.bool_]
"""Which pixels belong, (H, W) bool."""

LabelMap: TypeAlias = NDArray[np.int32]
"""A number per pixel, (H, W) int32."""

Vectors: TypeAlias = NDArray[np.float32]
"""Embeddings, (N, D) float32; every row has unit length unless the name says `raw_`."""

Vector: TypeAlias = NDArray[np.float32]
"""One embedding, (D,) float32, unit length unless the name says `raw_`."""

Scores: TypeAlias = NDArray[np.float32]
"""Region by class, (N, C) float32."""

Box: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, half-open: x1 and y1 are outside."""
