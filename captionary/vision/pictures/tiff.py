"""TIFF files that Pillow cannot read, or only as 8 bits: deep values, and any number of bands.

tifffile reads the structure. Strips and tiles are decompressed by zlib, and by the libtiff that is
in Pillow, to the size that the header names and no further.
"""

import io
import logging
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captionary.vision.pictures.values import DeepPicture

if TYPE_CHECKING:
    from tifffile import TiffPage

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFF and BigTIFF files begin, in either byte order."""

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
PHOTOMETRICS = {3: "a palette", 5: "inks (CMYK)", 6: "YCbCr", 8: "CIELab", 32803: "a colour filter"}
ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mean transparency."""

UNCOMPRESSED = 1
DEFLATE = (8, 32946)
BY_LIBTIFF = {5: "LZW", 32773: "PackBits", 34925: "LZMA", 50000: "Zstandard"}
NO_PREDICTOR, PREDICTOR, FLOAT_PREDICTOR = 1, 2, 3

ORIENTATION = 274
GDAL_NODATA = 42113

LARGEST_BLOCK = 1 << 24
"""Pixels of a strip or tile that reaches over the edge of the picture, at most."""

BYTES_PER_PIXEL = 12
"""Decoded bytes, for each pixel that is allowed, at most: RGB in 32 bits."""


# It logs what it doubts, and would write it to the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class NotRead(ValueError):
    """A TIFF file is of a kind that is not read; the message goes on after its name."""


CUT_OFF = "is cut off; copy the picture again"


@dataclass(frozen=True, slots=True)
class TiffPicture:
    """The first page of a TIFF file.

    deep:        its values.
    orientation: EXIF's number, 1 to 8; not applied.
    left_out:    bands that were left out, though nobody chose the others.
    """

    deep: DeepPicture
    orientation: int
    left_out: int


def is_tiff(data: bytes) -> bool:
    """Whether a file begins as TIFF files do."""
    return data.startswith(MAGICS)


def read_tiff(data: bytes, *, max_pixels: int, bands: Sequence[int] = ()) -> TiffPicture:
    """Read the first page of a TIFF file.

    Args:
        data:       the file.
        max_pixels: values are limited alike, to 12 bytes for each of these.
        bands:      one for grey or three for RGB, counted from 1; none: what the file says are its
            colours, or else the first band, or the first three.

    Raises:
        NotRead:   it is of a kind that is not read, too large or cut off.
        Exception: anything else, where the file is damaged.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        assert isinstance(page, tifffile.TiffPage)
        _check(page, max_pixels)
        chosen, alpha = _choose_bands(page, bands)
        tag = page.tags.get(GDAL_NODATA)
        no_data = _number(tag.value) if tag else None
        wanted = [*chosen, alpha] if alpha is not None else chosen
        values = _read_values(page, data, wanted, fill=no_data)
        turned = page.tags.get(ORIENTATION)
    return TiffPicture(
        DeepPicture(
            values[..., : len(chosen)],
            alpha=None if alpha is None else values[..., -1],
            no_data=no_data,
            inverted=page.photometric == WHITE_IS_ZERO,
        ),
        orientation=int(turned.value) if turned else 1,
        left_out=0 if bands else page.samplesperpixel - len(wanted),
    )


def _check(page: "TiffPage", max_pixels: int) -> None:
    """Refuse what cannot be read, or would be too large, by the header alone."""
    planes, depth, height, width, samples = page.shaped
    bits, dtype = page.bitspersample, page.dtype
    if height * width > max_pixels:
        raise NotRead(
            f"has {height * width:,} pixels, more than the limit of {max_pixels:,}; make it smaller"
        )
    if bits not in (8, 16, 32, 64) or dtype is None:
        raise NotRead(f"has values of {bits} bits; save it with 8, 16 or 32")
    if dtype.kind not in "uif":
        raise NotRead(f"has values of type {dtype}; save their magnitudes")
    if depth > 1:
        raise NotRead(f"is a volume of {depth} layers; save each as a picture")
    if page.fillorder != 1 or page.predictor not in (NO_PREDICTOR, PREDICTOR, FLOAT_PREDICTOR):
        raise NotRead(
            f"has fill order {page.fillorder} and predictor {page.predictor}; save it plainly"
        )
    rows, columns = _block_size(page)
    if not (height * width and rows * columns):
        raise NotRead("is empty (0 pixels); save it again")
    # Tiles are decompressed whole, however little of them lies in the picture.
    padded = -(-height // rows) * rows * -(-width // columns) * columns
    if rows * columns > max(height * width, LARGEST_BLOCK):
        raise NotRead(f"has tiles of {columns:,} x {rows:,} pixels; save it with smaller ones")
    size = padded * planes * samples * dtype.itemsize
    if size > (limit := max_pixels * BYTES_PER_PIXEL):
        raise NotRead(
            f"has {size:,} bytes of values, more than the limit of {limit:,}; make it smaller, "
            "or save fewer bands"
        )
    known = (UNCOMPRESSED, *DEFLATE, *BY_LIBTIFF)
    if page.compression not in known:
        name = getattr(page.compression, "name", page.compression)
        raise NotRead(f"has values compressed by {name}; save it with Deflate, LZW or none")


def _choose_bands(page: "TiffPage", bands: Sequence[int]) -> tuple[list[int], int | None]:
    """Return the numbers of the bands to read, from 0, and that of the transparency."""
    count = page.samplesperpixel
    if bands:
        if max(bands) > count:
            raise NotRead(f"has {count} bands, and no band {max(bands)}; choose others")
        return [band - 1 for band in bands], None
    if page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        colours = PHOTOMETRICS.get(page.photometric, f"photometric {page.photometric}")
        raise NotRead(f"has {colours} in a form that is not read; convert it to RGB")
    extra = page.extrasamples
    alphas = [count - len(extra) + place for place, kind in enumerate(extra) if kind in ALPHA]
    colour_count = count - len(alphas)
    chosen = [0, 1, 2] if colour_count >= 3 else [0]
    alpha = alphas[0] if alphas and alphas[0] not in chosen else None
    return chosen, alpha


def _read_values(
    page: "TiffPage", data: bytes, wanted: Sequence[int], *, fill: float | None
) -> NDArray[Any]:
    """Read some bands, (H, W, N), in native byte order."""
    planes, _, height, width, samples = page.shaped
    assert page.dtype is not None
    values = np.zeros((height, width, len(wanted)), page.dtype)
    if fill is not None:
        with np.errstate(all="ignore"):
            values[:] = np.float64(fill).astype(page.dtype)  # blocks that GDAL left out
    rows, columns = _block_size(page)
    across, down = -(-width // columns), -(-height // rows)
    for plane in range(planes):
        places = [place for place, band in enumerate(wanted) if planes == 1 or band == plane]
        inside = [wanted[place] if planes == 1 else 0 for place in places]
        for index in range(across * down) if places else ():
            top, left = index // across * rows, index % across * columns
            # A tile is whole even where it reaches over the edge; the last strip is cut.
            high = rows if page.is_tiled else min(rows, height - top)
            block = _read_block(page, data, plane * across * down + index, (high, columns, samples))
            if block is not None:
                part = values[top : top + high, left : left + columns]
                part[..., places] = block[: part.shape[0], : part.shape[1]][..., inside]
    return values


def _block_size(page: "TiffPage") -> tuple[int, int]:
    """Rows and columns of a tile or strip."""
    if page.is_tiled:
        return page.tilelength, page.tilewidth
    return min(page.rowsperstrip, page.imagelength), page.imagewidth


def _read_block(
    page: "TiffPage", data: bytes, index: int, shape: tuple[int, int, int]
) -> NDArray[Any] | None:
    """Read a strip or tile, (rows, columns, samples); None where the file has left it out."""
    assert page.dtype is not None
    if index >= min(len(page.dataoffsets), len(page.databytecounts)):
        raise NotRead(CUT_OFF)
    start, length = page.dataoffsets[index], page.databytecounts[index]
    if not length:
        return None
    size = math.prod(shape) * page.dtype.itemsize
    block = _decompress(data[start : start + length], page.compression, size)
    if len(block) < size:
        raise NotRead(CUT_OFF)
    if page.predictor == FLOAT_PREDICTOR:
        return _undo_float_predictor(block, page.dtype, shape)
    stored = page.dtype.newbyteorder(page.parent.byteorder)
    values = np.frombuffer(block, stored).astype(page.dtype).reshape(shape)
    if page.predictor == PREDICTOR:
        # Differences of the bits as whole numbers, which wrap around, whatever the type.
        whole = values.view(f"u{page.dtype.itemsize}")
        values = np.cumsum(whole, axis=1, dtype=whole.dtype).view(page.dtype)
    return values


def _decompress(data: bytes, compression: int, size: int) -> bytes:
    """Decompress a strip or tile to at most `size` bytes."""
    if compression == UNCOMPRESSED:
        return data[:size]
    if compression in DEFLATE:
        return zlib.decompressobj().decompress(data, size)
    # A TIFF file of this one strip, of one byte a pixel.
    tags = {256: size, 257: 1, 258: 8, 259: compression, 262: BLACK_IS_ZERO, 273: 8, 277: 1}
    tags |= {278: 1, 279: len(data)}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(data))
    file = head + data + struct.pack("<H", len(tags)) + directory + bytes(4)
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
        return image.tobytes()


def _undo_float_predictor(
    block: bytes, dtype: np.dtype[Any], shape: tuple[int, int, int]
) -> NDArray[Any]:
    """Undo TIFF's predictor 3: differences of each row's first bytes, then second bytes, ..."""
    rows, columns, samples = shape
    differences = np.frombuffer(block, np.uint8).reshape(rows, -1, samples)
    summed = np.cumsum(differences, axis=1, dtype=np.uint8)
    planes = summed.reshape(rows, dtype.itemsize, columns * samples)
    # The highest byte comes first in files of either byte order.
    values = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))
    return values.astype(dtype).reshape(shape)


def _number(text: object) -> float | None:
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None
