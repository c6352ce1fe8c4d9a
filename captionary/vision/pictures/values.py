"""Values of more than 8 bits, as cameras, satellites and instruments write them, become 8 bits.

One rule for files and arrays. Values are taken as coded in 0..1 (floats), 0..255 or 0..65535 (whole
numbers) if they lie within that and span at least half of it. All others are stretched: their own
range, over all bands together, becomes 0..255. A hundredth of the values, half of it at either end,
does not count; nor do NaN, infinite and no-data values, which become black.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Rgb
from captionary.schemas.notes import Note

COUNTED = (0.5, 99.5)
"""Percentiles between which values count: single hot or dead pixels do not decide for all."""

SAMPLED = 1 << 18
"""Values that the range is taken from, at most: rows and columns at even distances."""

AT_ONCE = 1 << 18
"""Values that are converted at a time, as intermediate values take several times their size."""

STRETCHED = Note("pictures of deep values stretched by their own range", "")
CLEAR = Note("pictures that are transparent all over, taken without transparency", "")
"""What is told of pictures; `first` is left to who knows their names."""

NO_DATA = (-9999.0, -32768.0, float(np.finfo(np.float32).min), float(np.finfo(np.float64).min))
"""Values that stand for none by custom, where a file does not say."""


class NoValues(ValueError):
    """A picture has no value that counts; the message goes on after its name."""


@dataclass(frozen=True, slots=True)
class DeepPicture:
    """A picture whose values may have more than 8 bits.

    values:   (H, W, 1), grey, or (H, W, 3), of any real number type.
    alpha:    (H, W), the largest value opaque; None: all opaque.
    no_data:  the value that stands for none.
    inverted: low values are bright.
    """

    values: NDArray[Any]
    alpha: NDArray[Any] | None = None
    no_data: float | None = None
    inverted: bool = False

    def to_rgb(self) -> tuple[Rgb, tuple[Note, ...]]:
        """Return (H, W, 3) uint8, over white where it is transparent, and what is to be told.

        Raises:
            NoValues: all are NaN, infinite or no data.
        """
        low, high, stretched = find_range(self._counted(), self.values.dtype)
        height, width = self.values.shape[:2]
        rgb = np.empty((height, width, 3), np.uint8)
        # The largest value is opaque: 1, 255 and 4095 are all met, and the type does not tell.
        opaque = 0.0 if self.alpha is None else float(np.nan_to_num(self.alpha.max()))
        rows = max(1, AT_ONCE // self.values[0].size)
        for top in range(0, height, rows):
            part = slice(top, top + rows)
            deep = self.values[part].astype(np.float64)
            with np.errstate(all="ignore"):  # whatever overflows is clipped
                scaled = np.clip((deep - low) * (255 / (high - low)), 0, 255)
            scaled = 255 - scaled if self.inverted else scaled
            scaled[np.isnan(scaled) | _is_no_data(self.values[part], self.no_data)] = 0
            if self.alpha is not None and opaque > 0:
                share = np.clip(np.nan_to_num(self.alpha[part] / opaque), 0, 1)[..., None]
                scaled = scaled * share + 255 * (1 - share)
            rgb[part] = np.rint(scaled)
        clear = self.alpha is not None and opaque <= 0
        return rgb, (STRETCHED,) * stretched + (CLEAR,) * clear

    def _counted(self) -> NDArray[np.float64]:
        """The values that the range is taken from, (N,)."""
        sample = _sample(self.values)
        deep = sample.astype(np.float64)
        counted: NDArray[np.float64] = deep[np.isfinite(deep) & ~_is_no_data(sample, self.no_data)]
        return counted


def find_range(counted: NDArray[np.float64], dtype: np.dtype[Any]) -> tuple[float, float, bool]:
    """Return the values that become 0 and 255, and whether the picture's own were taken for it.

    Args:
        counted: finite values, (N,).
        dtype:   what they were stored as.

    Raises:
        NoValues: there are none.
    """
    if dtype.kind == "u" and dtype.itemsize == 1:
        return 0.0, 255.0, False
    if not counted.size:
        raise NoValues("has no values: all are NaN, infinite or no data; check its export")
    low, high = (float(value) for value in np.percentile(counted, COUNTED))
    if low == high:  # a small thing on an even ground
        low, high = float(counted.min()), float(counted.max())
    even = low == high
    for end in (1.0, 255.0) if dtype.kind == "f" else (65535.0, 255.0):
        if low >= 0 and high <= end and (even or high - low >= end / 2):
            return 0.0, end, False
    return (low - 0.5, high + 0.5, True) if even else (low, high, True)


def spans_half(pixels: Rgb) -> bool:
    """Whether values of 16 bits, of which these are the upper 8, span half of 0..65535."""
    low, high = np.percentile(_sample(pixels), COUNTED)
    return bool(high - low >= 128)


def _sample(values: NDArray[Any]) -> NDArray[Any]:
    """Some of the values of (H, W, N), (M,): all of a small picture."""
    step = int(np.ceil(np.sqrt(values.size / SAMPLED)))
    return values[::step, ::step].ravel()


def _is_no_data(values: NDArray[Any], no_data: float | None) -> NDArray[np.bool_]:
    by_custom = NO_DATA if values.dtype.kind in "fi" else ()
    found = np.zeros(values.shape, np.bool_)
    for value in by_custom if no_data is None else (no_data,):
        with np.errstate(over="ignore"):
            # As the type has it: -3.4e38 written in a tag is another number in 64 bits.
            found |= values == (values.dtype.type(value) if values.dtype.kind == "f" else value)
    return found
