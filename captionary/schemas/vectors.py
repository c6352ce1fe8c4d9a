"""Unit vectors: all embeddings are scaled to unit length, so that a dot product is a cosine."""

import numpy as np

from captionary.schemas.arrays import Vectors


def unit(raw_vectors: Vectors) -> Vectors:
    """Scale rows to unit length, (N, D) -> (N, D); a row of zeros stays zero."""
    length = np.linalg.norm(raw_vectors, axis=-1, keepdims=True)
    scaled: Vectors = (raw_vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled


def half(vectors: Vectors) -> Vectors:
    """Rounded to half precision (float16), still float32; rows keep unit length to 1e-3."""
    rounded: Vectors = vectors.astype(np.float16).astype(np.float32)
    return rounded
