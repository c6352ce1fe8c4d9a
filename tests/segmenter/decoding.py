"""Decoders of what the segmenter writes, independent of its encoders."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from captionary.schemas.arrays import LabelMap, Mask


def decode_mask(rle: Mapping[str, Any]) -> Mask:
    """The mask, (H, W) bool, of a run-length encoding as JSON data."""
    decoded = coco_mask.decode({"size": rle["size"], "counts": rle["counts"].encode()})
    return np.asarray(decoded, dtype=bool)


def read_class_map(png: bytes) -> LabelMap:
    """The class indices of an indexed PNG, (H, W) int32."""
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture).astype(np.int32)
