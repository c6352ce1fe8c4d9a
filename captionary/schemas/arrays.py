"""Type aliases of arrays; shape, axis order, dtype and range are part of each."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Rgb: TypeAlias = NDArray[np.uint8]
"""A picture, (H, W, 3) uint8, sRGB."""

Mask: TypeAlias = NDArray[np.bool_]
"""The pixels of a region or class, (H, W) bool."""

LabelMap: TypeAlias = NDArray[np.int32]
"""A class index per pixel, (H, W) int32."""

Vectors: TypeAlias = NDArray[np.float32]
"""Embeddings, (N, D) float32; every row has unit length unless the name says `raw_`."""

Vector: TypeAlias = NDArray[np.float32]
"""One embedding, (D,) float32, unit length unless the name says `raw_`."""

Scores: TypeAlias = NDArray[np.float32]
"""Scores of regions by classes, (N, C) float32."""

Box: TypeAlias = tuple[int, int, int, int]
"""x0, y0, x1, y1 in pixels, half-open: x1 and y1 are outside."""
