"""Masks as Label Studio's brush stores them: run lengths of bits, of pixels with four channels.

Format: https://github.com/thi-ng/umbrella/tree/develop/packages/rle-pack. A head has the number
of words (32 bits), their bits less one (5), and four sizes of counts less one (4 each). Then runs:
a bit that says whether all words of it are the same, two that choose the size of its count, its
count less one, and its one word or all of them. Words are red, green, blue and alpha in turn.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captionary.indexer.readers.values import BadValueError
from captionary.schemas.arrays import Mask


@dataclass(slots=True)
class _Bits:
    """Reads numbers of a stream of bits, the highest first."""

    bits: NDArray[np.uint8]
    place: int = 0

    def read(self, size: int, count: int = 1) -> NDArray[np.int64]:
        """The next numbers, (count,), of so many bits each."""
        end = self.place + size * count
        if end > len(self.bits):
            raise BadValueError("its rle is cut off; export the project again")
        words = self.bits[self.place : end].reshape(count, size).astype(np.int64)
        self.place = end
        return words @ (1 << np.arange(size - 1, -1, -1, dtype=np.int64))

    def read_one(self, size: int) -> int:
        """The next number."""
        return int(self.read(size)[0])


def decode_brush(codes: list[int], size_hw: tuple[int, int]) -> Mask:
    """The mask, (H, W) bool, of the bytes that Label Studio calls `rle`.

    Raises:
        BadValueError: they are no such bytes, or of another size.
    """
    try:
        stream = _Bits(np.unpackbits(np.array(codes, np.uint8)))
    except (OverflowError, ValueError, TypeError) as error:
        raise BadValueError("its rle is no list of bytes; export the project again") from error
    height, width = size_hw
    count = stream.read_one(32)
    if count != 4 * height * width:
        raise BadValueError(
            f"its rle has {count:,} values, not four for each of {width} x {height} pixels"
        )
    word = stream.read_one(5) + 1
    sizes = (stream.read(4, 4) + 1).tolist()
    values = np.zeros(count, np.bool_)
    done = 0
    while done < count:
        same = stream.read_one(1)
        length = stream.read_one(sizes[stream.read_one(2)]) + 1
        found = stream.read(word, 1 if same else length) > 0
        values[done : done + length] = found[: count - done]
        done += length
    mask: Mask = values.reshape(height, width, 4)[..., 3]
    return mask
