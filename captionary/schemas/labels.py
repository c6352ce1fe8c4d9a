"""Label maps as PNG files store them: 8 or 16 bits a pixel, the largest value meaning no label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import LabelMap
from captionary.schemas.errors import WrongInput

IGNORE = -1
"""The value of pixels without a label in a `LabelMap`."""

MOST_LABELS = 65535
"""Labels that 16 bits can tell apart, besides the value for no label."""


def pack_labels(labels: LabelMap, *, count: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Convert a label map to what its file stores, (H, W): 8 bits up to 255 labels, else 16.

    Args:
        labels: numbers in [0, count), or IGNORE.
        count:  how many labels there are.

    Raises:
        WrongInput: there are too many for 16 bits.
    """
    if count > MOST_LABELS:
        raise WrongInput(
            f"there are {count} classes, but a PNG can tell only {MOST_LABELS} apart; name fewer"
        )
    # IGNORE is -1, whose bits are all ones, so the cast makes it the largest value.
    return labels.astype(np.uint8) if count <= 255 else labels.astype(np.uint16)


def unpack_labels(values: NDArray[Any]) -> LabelMap:
    """Convert what Pillow reads from a file, (H, W) of booleans or integers, to a label map."""
    labels = values.astype(np.int32)
    labels[labels == (255 if values.dtype.itemsize == 1 else 65535)] = IGNORE
    return labels
