"""Reading pictures safely: any mode of a few known formats becomes upright 8-bit RGB.

What can go wrong with a file is found here and told in one line, as UnreadablePicture, so that a
batch can report it and go on. The size is judged from the header, before a pixel is decoded.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import fsspec
import numpy as np
from PIL import Image, UnidentifiedImageError

from captionary.files.picture_formats import FORMATS
from captionary.files.tar_members import Member
from captionary.schemas.arrays import Box, Rgb
from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.vision.pictures.resizing import resized

MAX_PIXELS = 50_000_000
MAX_BYTES = 100_000_000
READ_AT_ONCE = 1 << 20

BAND = 1 << 20
"""Pixels that are converted at a time, where that takes steps."""

EXIF_ORIENTATION = 0x0112
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What to do for each value of the EXIF orientation tag; 1 is upright already."""


@dataclass(frozen=True, slots=True)
class LoadedPicture:
    """A picture in memory.

    pixels:     (H, W, 3) uint8, sRGB, upright.
    name:       the file's stem, by which label maps and outputs are named.
    sha256:     digest of the file's bytes, hexadecimal.
    reduced_hw: height and width before it was made smaller; None: it was not.
    """

    pixels: Rgb
    name: str
    sha256: str
    reduced_hw: tuple[int, int] | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def file_hw(self) -> tuple[int, int]:
        """Height and width of the picture in the file."""
        return self.reduced_hw or self.size_hw

    def at_most(self, longest: int) -> "LoadedPicture":
        """The picture with no side longer than so many pixels: itself, or a smaller copy."""
        if max(self.size_hw) <= longest:
            return self
        return replace(self, pixels=resized(self.pixels, longest=longest), reduced_hw=self.file_hw)


def load_picture(
    address: str | Path, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> LoadedPicture:
    """Read a picture from a path, or from an address (one with "://"): fsspec's, or of a `Member`.

    Raises:
        UnreadablePicture: it is missing, empty, too large, damaged, or not a picture.
    """
    data = picture_bytes(address, max_bytes=max_bytes)
    return decode_picture(data, name=str(address), max_pixels=max_pixels)


def picture_bytes(address: str | Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """Read the bytes of a picture file, not decoded.

    Raises:
        UnreadablePicture: it is missing or too large.
    """
    text = str(address)
    remote = isinstance(address, str) and "://" in address
    data = _fetch(text, max_bytes) if remote else _read(Path(address), max_bytes)
    if len(data) > max_bytes:
        raise UnreadablePicture(
            f"{text} is larger than the limit of {max_bytes:,} bytes; give a smaller file"
        )
    return data


def decode_picture(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> LoadedPicture:
    """Decode the bytes of a picture file.

    name: the file's name or address, for messages and for the picture's own name.

    Raises:
        UnreadablePicture: as `load_picture`.
    """
    stem = PurePosixPath(file_name(name)).stem
    return _decode(data, shown=name, name=stem, max_pixels=max_pixels)


def file_name(address: str) -> str:
    """The name of a picture file, without where it is."""
    if member := Member.at(address):
        return PurePosixPath(member.name).name
    remote = "://" in address
    return PurePosixPath(address.split("::")[0].split("?")[0] if remote else Path(address)).name


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            return _at_most(file, max_bytes)
    except FileNotFoundError as error:
        raise UnreadablePicture(f"{path} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise UnreadablePicture(f"{path} is a folder, not a picture; name a file") from error
    except (OSError, ValueError) as error:
        raise UnreadablePicture(
            f"{path} cannot be read: {one_line(error)}; check the path and its permissions"
        ) from error


def _fetch(address: str, max_bytes: int) -> bytes:
    try:
        if member := Member.at(address):
            return member.read(at_most=max_bytes + 1)
        with fsspec.open(address, "rb") as file:
            return _at_most(file, max_bytes)
    except Exception as error:  # each fsspec back end has errors of its own
        raise UnreadablePicture(
            f"{address} cannot be read: {one_line(error)}; check the address"
        ) from error


def _at_most(file: BinaryIO, limit: int) -> bytes:
    """Read to the end, or to where there is more than the limit, in pieces.

    Asked for all at once, Python sets aside as many bytes as are allowed.
    """
    data = bytearray()
    while len(data) <= limit and (piece := file.read(READ_AT_ONCE)):
        data += piece
    return bytes(data)


def _decode(data: bytes, *, shown: str, name: str, max_pixels: int) -> LoadedPicture:
    if not data:
        raise UnreadablePicture(f"{shown} is empty (0 bytes); copy the picture again")
    with warnings.catch_warnings():
        # Pillow warns of large sizes and odd metadata; we decide on both ourselves.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                count = image.width * image.height
                pixels = _upright_rgb(image) if count <= max_pixels else None
        except UnidentifiedImageError as error:
            raise UnreadablePicture(
                f"{shown} is not a picture ({len(data):,} bytes); "
                f"give one of {', '.join(FORMATS)}, not cut off"
            ) from error
        except Image.DecompressionBombError as error:
            most = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))  # Pillow's own
            raise _too_large(shown, _first_number(str(error)), most) from error
        except Exception as error:  # decoders raise anything at all on foreign bytes
            raise UnreadablePicture(
                f"{shown} is truncated or damaged: {one_line(error)}; copy the picture again"
            ) from error
    if pixels is None:
        raise _too_large(shown, count, max_pixels)
    return LoadedPicture(pixels, name, hashlib.sha256(data).hexdigest())


def _too_large(shown: str, pixels: int, limit: int) -> UnreadablePicture:
    return UnreadablePicture(
        f"{shown} has {pixels:,} pixels, more than the limit of {limit:,}; make it smaller"
    )


def _first_number(text: str) -> int:
    found = re.search(r"\d+", text)
    return int(found.group()) if found else 0


def _upright_rgb(image: Image.Image) -> Rgb:
    """Decode the first frame to (H, W, 3) uint8, upright."""
    rgb = _rgb(image)
    # Asked for after decoding: Pillow turns TIFF itself then, and PNG may have it at the end.
    orientation = _orientation(image)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
    return np.asarray(rgb, dtype=np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to refuse the pixels
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: deep grey scaled to 8 bits, transparency laid over white."""
    if image.mode.startswith(("I", "F")):
        return _in_bands(image, lambda part: Image.fromarray(_eight_bit(np.asarray(part))))
    if image.has_transparency_data:
        return _in_bands(image, _over_white)
    return image.convert("RGB")


def _in_bands(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert some rows at a time to RGB: what comes between takes several times the picture."""
    image.load()  # of TIFF, the size is that of the upright picture only then
    rgb = Image.new("RGB", image.size)
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        rgb.paste(convert(band).convert("RGB"), (0, top))
    return rgb


def _over_white(image: Image.Image) -> Image.Image:
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)


def _eight_bit(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Rgb:
    """Grey of 16 bits (0..65535) or of floats (0..1) to (H, W) uint8."""
    deep = np.nan_to_num(np.asarray(values, dtype=np.float64))
    whole = np.issubdtype(values.dtype, np.integer)
    scaled = deep / 257 if whole else deep * 255
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def thumbnail(pixels: Rgb, *, longest: int = 192) -> bytes:
    """Shrink a picture, (H, W, 3) uint8, to JPEG bytes of at most `longest` pixels a side."""
    return _jpeg(Image.fromarray(pixels), longest=longest, quality=80)


def crop_thumbnail(
    jpeg: bytes, *, box_xyxy: Box, size_hw: tuple[int, int], longest: int = 96
) -> bytes:
    """Cut a box out of a thumbnail, with a margin of a tenth of its side.

    Args:
        jpeg: what `thumbnail` made; empty stays empty.
        box_xyxy: the box in pixels of the original picture, half-open.
        size_hw: the original picture's size.
        longest: limit on the side of the answer, in pixels.
    """
    if not jpeg:
        return b""
    with Image.open(io.BytesIO(jpeg)) as image:
        height, width = size_hw
        left, right = _span(box_xyxy[0] / width, box_xyxy[2] / width, image.width)
        top, bottom = _span(box_xyxy[1] / height, box_xyxy[3] / height, image.height)
        return _jpeg(image.crop((left, top, right, bottom)), longest=longest, quality=85)


def _span(start: float, stop: float, length: int) -> tuple[int, int]:
    """A part of a side, given as fractions, to whole pixels: widened, inside, never empty."""
    margin = (stop - start) / 10
    first = int(np.clip(np.floor((start - margin) * length), 0, length - 1))
    last = int(np.clip(np.ceil((stop + margin) * length), first + 1, length))
    return first, last


def _jpeg(image: Image.Image, *, longest: int, quality: int) -> bytes:
    small = image.convert("RGB")
    small.thumbnail((longest, longest), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=quality)
    return out.getvalue()
