"""The vectors of the pictures that were embedded last, for whoever asks for one of them again.

A picture that is segmented, corrected and segmented again is embedded once: that is most of the
work. Masks are not kept, as they take a hundred times the memory; cutting is done again.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from captionary.schemas.arrays import Box, Rgb
from captionary.schemas.regions import Region, RegionTable

MOST = 4
"""Pictures, at most."""


class RecentTables:
    """The tables of the last pictures; may be shared by threads."""

    def __init__(self) -> None:
        self._tables: OrderedDict[bytes, RegionTable] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> RegionTable | None:
        """The table of a key, if it is still kept."""
        with self._lock:
            if key in self._tables:
                self._tables.move_to_end(key)
            return self._tables.get(key)

    def put(self, key: bytes, table: RegionTable) -> None:
        """Keep a table, in place of the one that was not asked for longest."""
        with self._lock:
            self._tables[key] = table
            while len(self._tables) > MOST:
                self._tables.popitem(last=False)


def table_key(pixels: Rgb, regions: Sequence[Region], boxes: Sequence[Box]) -> bytes:
    """What a picture cut into regions is known by.

    Regions are told apart by their boxes and areas, which takes no time; a proposer gives other
    ones for the same pixels only where its own files of the picture have changed.
    """
    total = hashlib.sha256(
        repr((pixels.shape, boxes, [region.area for region in regions])).encode()
    )
    total.update(pixels.tobytes())
    return total.digest()
