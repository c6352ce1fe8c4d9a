"""Label maps as PNG files hold them: 8 or 16 bits a pixel, the largest value meaning no label."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import LabelMap
from captionary.schemas.errors import WrongInput

IGNORE = -1
"""What pixels without a label hold in a `LabelMap`."""

MOST_LABELS = 65535


def pack_labels(labels: LabelMap, *, count: int) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """A label map as its file is to hold it, (H, W): 8-bit up to 255 labels, else 16-bit.

    Args:
        labels: numbers in [0, count), or IGNORE.
        count:  how many labels there are.

    Raises:
        WrongInput: they are too many for 16 bits.
    """
    if count > MOST_LABELS:
        raise WrongInput(
            f"there are {count} classes, but a PNG can tell only {MOST_LABELS} apart; name fewer"
        )
    # All bits of IGNORE are ones, so it becomes the largest value.
    return labels.astype(np.uint8) if count <= 255 else labels.astype(np.uint16)


def unpack_labels(values: NDArray[Any]) -> LabelMap:
    """The label map of what Pillow reads from a file, (H, W) of booleans or integers."""
    labels = values.astype(np.int32)
    labels[labels == (255 if values.dtype.itemsize == 1 else 65535)] = IGNORE
    return labels
