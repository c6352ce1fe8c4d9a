"""Reading pictures safely: any mode of a few known formats becomes upright 8-bit RGB.

What can be wrong with a file is found here and raised as UnreadablePicture, in one line, so that a
batch can report it and go on. The size is checked in the header, before a pixel is decoded (against
decompression bombs).
"""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import fsspec
from PIL import Image

from captionary.files.picture_formats import readable_formats
from captionary.files.tar_members import Member
from captionary.schemas.arrays import Rgb
from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.schemas.notes import Note
from captionary.vision.pictures.conversion import (
    TURNED,
    Converted,
    TooManyPixels,
    convert_file,
    read_orientation,
)
from captionary.vision.pictures.png import without_texts
from captionary.vision.pictures.resizing import resize_picture
from captionary.vision.pictures.tiff import NotRead
from captionary.vision.pictures.values import NoValues

MAX_PIXELS = 50_000_000
MAX_BYTES = 100_000_000
READ_AT_ONCE = 1 << 20

UNNAMED = "picture"
"""What a picture of bytes is called where it has no name."""


@dataclass(frozen=True, slots=True)
class LoadedPicture:
    """A picture in memory.

    pixels:     (H, W, 3) uint8, sRGB, upright.
    name:       the file's stem, by which label maps and outputs are named.
    reduced_hw: height and width before it was made smaller; None: it was not.
    notes:      what was done to it that is to be told once a run.
    orientation: EXIF's number, 1 to 8, of the file; the pixels are turned accordingly.
    """

    pixels: Rgb
    name: str
    reduced_hw: tuple[int, int] | None = None
    notes: tuple[Note, ...] = ()
    orientation: int = 1

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
    picture: str | Path | bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    max_bytes: int = MAX_BYTES,
    bands: Sequence[int] = (),
) -> LoadedPicture:
    """Read a picture from a path, or from an address (one with "://"): fsspec's, or of a `Member`.

    picture: or the bytes of a picture file.
    bands:   of TIFF files, as `schemas.options.parse_bands`; none: as the file says.

    Raises:
        UnreadablePicture: it is missing, empty, too large, damaged, or not a picture.
    """
    data = read_picture_bytes(picture, max_bytes=max_bytes)
    name = UNNAMED if isinstance(picture, bytes) else str(picture)
    return decode_picture(data, name=name, max_pixels=max_pixels, bands=bands)


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


def decode_picture(
    data: bytes, *, name: str, max_pixels: int = MAX_PIXELS, bands: Sequence[int] = ()
) -> LoadedPicture:
    """Decode the bytes of a picture file.

    name:  the file's name or address, for messages and for the picture's own name.
    bands: as `load_picture`.

    Raises:
        UnreadablePicture: as `load_picture`.
    """
    stem = PurePosixPath(file_name(name)).stem
    return _decode(data, address=name, name=stem, max_pixels=max_pixels, bands=bands)


def look_at_size(path: Path) -> tuple[tuple[int, int], int] | None:
    """Height and width of an upright picture and its EXIF orientation, by its header.

    None: the header does not tell; what is wrong with the file is found when it is read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(path, formats=readable_formats()) as image:
                # PNG files may have the tag behind the pixels, and would be decoded for it.
                known = image.format != "PNG" or image.info.get("exif")
                orientation = read_orientation(image) if known else 1
                size_hw = image.height, image.width
        except Exception:  # decoders raise anything at all on foreign bytes
            return None
    # Pillow exchanges the sides of TIFF itself, from the header on.
    swapped = orientation in TURNED and image.format != "TIFF"
    return (size_hw[::-1] if swapped else size_hw), orientation


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


def _decode(
    data: bytes, *, address: str, name: str, max_pixels: int, bands: Sequence[int]
) -> LoadedPicture:
    if not data:
        raise UnreadablePicture(f"{address} is empty (0 bytes); copy the picture again")
    with warnings.catch_warnings():
        # Pillow warns of large sizes and odd metadata; we decide on both ourselves.
        warnings.simplefilter("ignore")
        try:
            converted = _convert(data, address, max_pixels=max_pixels, bands=bands)
        except UnreadablePicture:
            raise
        except TooManyPixels as error:
            raise _too_large(address, error.pixels, max_pixels) from error
        except Image.DecompressionBombError as error:
            # Pillow's own limit, which it checks before ours; its message has the number of pixels.
            most = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
            raise _too_large(address, _first_number(str(error)), most) from error
        except (NotRead, NoValues) as error:
            raise UnreadablePicture(f"{address} {error}") from error
        except Exception as error:  # decoders raise anything at all on foreign bytes
            raise UnreadablePicture(
                f"{address} is truncated or damaged: {one_line(error)}; copy the picture again"
            ) from error
    notes = tuple(replace(note, first=address) for note in converted.notes)
    return LoadedPicture(converted.pixels, name, notes=notes, orientation=converted.orientation)


def _convert(data: bytes, name: str, *, max_pixels: int, bands: Sequence[int]) -> Converted:
    """Decode a file; one with texts that Pillow refuses, without them."""
    try:
        return convert_file(data, name, max_pixels=max_pixels, bands=bands)
    except TooManyPixels:
        raise
    except Exception:
        plain = without_texts(data)
        if len(plain) == len(data):
            raise
    return convert_file(plain, name, max_pixels=max_pixels, bands=bands)


def _too_large(address: str, pixels: int, limit: int) -> UnreadablePicture:
    return UnreadablePicture(
        f"{address} has {pixels:,} pixels, more than the limit of {limit:,}; make it smaller"
    )


def _first_number(text: str) -> int:
    match = re.search(r"\d+", text)
    return int(match.group()) if match else 0
