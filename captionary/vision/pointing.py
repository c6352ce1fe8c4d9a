"""Areas that someone pointed at -> regions that are embedded as all others are."""

import hashlib
from collections.abc import Sequence

import numpy as np

from captionary.schemas.arrays import Mask
from captionary.schemas.pointing import FIRST_POINTED, POINTED_BITS, Area, BoxArea
from captionary.schemas.regions import Region

LIES_IN = 0.9
"""Share of a region's pixels that must be in a box for it to lie in it."""

FILLED = 0.5
"""Share of a box that the regions that lie in it must cover to stand for it."""


def pointed_index(area: Area, mask: Mask) -> int:
    """The index of the region of an area, the same whenever the same is pointed at.

    Of a box it depends on its edges only, so that it is known before the picture is cut.
    """
    if isinstance(area, BoxArea):
        said = repr([float(x) for x in (area.left, area.top, area.width, area.height)]).encode()
    else:
        said = repr(mask.shape).encode() + np.packbits(mask).tobytes()
    digest = hashlib.sha256(said).digest()
    return FIRST_POINTED + (int.from_bytes(digest[:8], "big") >> (64 - POINTED_BITS))


def pointed_region(area: Area, mask: Mask, regions: Sequence[Region]) -> Region:
    """The region that is meant by an area.

    Of a box it is the union of the candidate regions that lie in it, where they fill it: a box has
    corners that are something else. Else it is the area itself.

    Args:
        mask:    the area's pixels.
        regions: the picture's candidate regions, of the same size; needed for boxes only.
    """
    if not isinstance(area, BoxArea):
        return Region(mask)
    inside = [
        region.mask
        for region in regions
        if (region.mask & mask).sum() >= LIES_IN * region.mask.sum()
    ]
    if not inside:
        return Region(mask)
    union = np.logical_or.reduce(inside) & mask
    return Region(union if union.sum() >= FILLED * mask.sum() else mask)
