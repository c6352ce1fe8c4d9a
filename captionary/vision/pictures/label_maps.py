"""Label maps in PNG files, which hold a class number for each pixel of a picture."""

from pathlib import Path

import numpy as np
from PIL import Image

from captionary.schemas.arrays import LabelMap
from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.schemas.labels import unpack_labels

LABEL_MODES = frozenset({"1", "L", "P", "I", "I;16"})
"""Pillow's modes of pictures with one number per pixel."""


def read_label_map(path: Path, *, size_hw: tuple[int, int]) -> LabelMap:
    """Read the label map of a picture, (H, W) int32: 0 and up, or IGNORE.

    Args:
        path:    an indexed or grey PNG, in which 255 means ignore, or 65535 if it is 16-bit.
        size_hw: height and width of the picture.

    Raises:
        UnreadablePicture: it is missing, damaged, of another size, or has colours, not numbers.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            problem = _find_problem(image, size_hw)
            # Decoded only where the header is right: a map of another size may be enormous.
            values = None if problem else np.asarray(image)
    except FileNotFoundError as error:
        raise UnreadablePicture(f"the mask {path} does not exist; add it") from error
    except Exception as error:  # decoders raise anything at all on foreign bytes
        raise UnreadablePicture(f"the mask {path} cannot be read: {one_line(error)}") from error
    if values is None:
        raise UnreadablePicture(f"the mask {path} {problem}")
    return unpack_labels(values)


def _find_problem(image: Image.Image, size_hw: tuple[int, int]) -> str:
    if image.mode not in LABEL_MODES:
        return f"has colours ({image.mode}), not labels; save it as an indexed PNG"
    if (image.height, image.width) != size_hw:
        mask, picture = f"{image.width} x {image.height}", f"{size_hw[1]} x {size_hw[0]}"
        return f"is {mask} pixels but its picture is {picture}; make them the same size"
    return ""
