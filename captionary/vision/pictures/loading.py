"""Reading pictures safely: any mode of a few known formats becomes upright 8-bit RGB.

What can be wrong with a file is found here and raised as UnreadablePicture, in one line, so that a
batch can report it and go on. The size is checked in the header, before a pixel is decoded (against
decompression bombs).
"""

import io
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import fsspec
import numpy as np
from PIL import Image

from captionary.files.picture_formats import open_picture
from captionary.files.tar_members import Member
from captionary.schemas.arrays import Rgb
from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.vision.pictures.resizing import resize_picture

MAX_PIXELS = 50_000_000
MAX_BYTES = 100_000_000
READ_AT_ONCE = 1 << 20

UNNAMED = "picture"
"""What a picture of bytes is called where it has no name."""

BAND = 1 << 20
"""Pixels that are converted at a time, where intermediate values take several times their size."""

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
"""How to turn a picture for each value of the EXIF orientation tag; 1 is upright already."""


@dataclass(frozen=True, slots=True)
class LoadedPicture:
    """A picture in memory.

    pixels:     (H, W, 3) uint8, sRGB, upright.
    name:       the file's stem, by which label maps and outputs are named.
    reduced_hw: height and width before it was made smaller; None: it was not.
    """

    pixels: Rgb
    name: str
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
        """Return the picture with no side longer than this in pixels: itself, or a smaller copy."""
        if max(self.size_hw) <= longest:
            return self
        return replace(
            self, pixels=resize_picture(self.pixels, longest=longest), reduced_hw=self.file_hw
        )


def load_picture(
    picture: str | Path | bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> LoadedPicture:
    """Read a picture from a path, or from an address (one with "://"): fsspec's, or of a `Member`.

    picture: or the bytes of a picture file.

    Raises:
        UnreadablePicture: it is missing, empty, too large, damaged, or not a picture.
    """
    data = read_picture_bytes(picture, max_bytes=max_bytes)
    name = UNNAMED if isinstance(picture, bytes) else str(picture)
    return decode_picture(data, name=name, max_pixels=max_pixels)


def read_picture_bytes(
    picture: str | Path | bytes, *, max_bytes: int = MAX_BYTES, name: str = ""
) -> bytes:
    """Read the bytes of a picture file, not decoded; bytes are passed on.

    name: what messages call the picture; "": its path or address.

    Raises:
        UnreadablePicture: it is missing or too large.
    """
    if isinstance(picture, bytes):
        name, data = name or UNNAMED, picture
    elif isinstance(picture, str) and "://" in picture:
        name = name or picture
        data = _read_address(picture, max_bytes, name)
    else:
        path = Path(picture)
        name = name or str(path)
        data = _read_path(path, max_bytes, name)
    if len(data) > max_bytes:
        raise UnreadablePicture(
            f"{name} is larger than the limit of {max_bytes:,} bytes; give a smaller file"
        )
    return data


def decode_picture(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> LoadedPicture:
    """Decode the bytes of a picture file.

    name: the file's name or address, for messages and for the picture's own name.

    Raises:
        UnreadablePicture: as `load_picture`.
    """
    stem = PurePosixPath(file_name(name)).stem
    return _decode(data, address=name, name=stem, max_pixels=max_pixels)


def file_name(address: str) -> str:
    """Return the file's name of a path or address, without folders and parameters."""
    if member := Member.at(address):
        return PurePosixPath(member.name).name
    remote = "://" in address
    return PurePosixPath(address.split("::")[0].split("?")[0] if remote else Path(address)).name


def _read_path(path: Path, max_bytes: int, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            return _read_limited(file, max_bytes)
    except FileNotFoundError as error:
        raise UnreadablePicture(f"{name} does not exist; check the path") from error
    except IsADirectoryError as error:
        raise UnreadablePicture(f"{name} is a folder, not a picture; name a file") from error
    except (OSError, ValueError) as error:
        raise UnreadablePicture(
            f"{name} cannot be read: {one_line(error)}; check the path and its permissions"
        ) from error


def _read_address(address: str, max_bytes: int, name: str) -> bytes:
    try:
        if member := Member.at(address):
            return member.read(at_most=max_bytes + 1)
        with fsspec.open(address, "rb") as file:
            return _read_limited(file, max_bytes)
    except Exception as error:  # each fsspec back end has errors of its own
        raise UnreadablePicture(
            f"{name} cannot be read: {one_line(error)}; check the address"
        ) from error


def _read_limited(file: BinaryIO, limit: int) -> bytes:
    """Read to the end, or until there is more than the limit."""
    # In pieces: read(limit) would allocate all that is allowed before it reads a byte.
    data = bytearray()
    while len(data) <= limit and (piece := file.read(READ_AT_ONCE)):
        data += piece
    return bytes(data)


def _decode(data: bytes, *, address: str, name: str, max_pixels: int) -> LoadedPicture:
    if not data:
        raise UnreadablePicture(f"{address} is empty (0 bytes); copy the picture again")
    with warnings.catch_warnings():
        # Pillow warns of large sizes and odd metadata; we decide on both ourselves.
        warnings.simplefilter("ignore")
        try:
            with open_picture(io.BytesIO(data), name=address) as image:
                count = image.width * image.height
                pixels = upright_rgb(image) if count <= max_pixels else None
        except UnreadablePicture:
            raise
        except Image.DecompressionBombError as error:
            # Pillow's own limit, which it checks before ours; its message has the number of pixels.
            most = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
            raise _too_large(address, _first_number(str(error)), most) from error
        except Exception as error:  # decoders raise anything at all on foreign bytes
            raise UnreadablePicture(
                f"{address} is truncated or damaged: {one_line(error)}; copy the picture again"
            ) from error
    if pixels is None:
        raise _too_large(address, count, max_pixels)
    return LoadedPicture(pixels, name)


def _too_large(address: str, pixels: int, limit: int) -> UnreadablePicture:
    return UnreadablePicture(
        f"{address} has {pixels:,} pixels, more than the limit of {limit:,}; make it smaller"
    )


def _first_number(text: str) -> int:
    match = re.search(r"\d+", text)
    return int(match.group()) if match else 0


def upright_rgb(image: Image.Image) -> Rgb:
    """Decode the first frame to (H, W, 3) uint8, upright."""
    rgb = _convert_to_rgb(image)
    # Read after decoding: Pillow turns TIFF itself then, and PNG may have the tag at the end.
    orientation = _read_orientation(image)
    if orientation in UPRIGHT:
        rgb = rgb.transpose(UPRIGHT[orientation])
    return np.asarray(rgb, dtype=np.uint8)


def _read_orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to refuse the pixels
        return 1


def _convert_to_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB: deep grey scaled to 8 bits, transparency laid over white."""
    if image.mode.startswith(("I", "F")):
        return _convert_bands(
            image, lambda part: Image.fromarray(_scale_to_8_bits(np.asarray(part)))
        )
    if image.has_transparency_data:
        return _convert_bands(image, _lay_over_white)
    return image.convert("RGB")


def _convert_bands(
    image: Image.Image, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert some rows at a time to RGB, so that intermediate values take little memory."""
    # Pillow turns TIFF while it loads: only then is the size that of the upright picture.
    image.load()
    rgb = Image.new("RGB", image.size)
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        rgb.paste(convert(band).convert("RGB"), (0, top))
    return rgb


def _lay_over_white(image: Image.Image) -> Image.Image:
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)


def _scale_to_8_bits(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Rgb:
    """Scale grey of 16 bits (0..65535) or of floats (0..1) to (H, W) uint8."""
    deep = np.nan_to_num(np.asarray(values, dtype=np.float64))
    whole = np.issubdtype(values.dtype, np.integer)
    # 65535 / 255 = 257: white stays white.
    scaled = deep / 257 if whole else deep * 255
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
