"""Pictures as Python programs have them: paths, bytes, PIL images, arrays."""

import io
from collections.abc import Iterable
from os import PathLike, fspath
from pathlib import PurePath
from typing import TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captionary.schemas.arrays import Rgb
from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.vision.pictures.loading import (
    LoadedPicture,
    decode_picture,
    load_picture,
    upright_rgb,
)

PictureLike: TypeAlias = str | PathLike[str] | bytes | bytearray | Image.Image | NDArray[np.uint8]
"""A picture: a path or fsspec address, the bytes of a file, a PIL image, or an array of 8 bits,
(H, W, 3) RGB, (H, W, 4) with transparency, or (H, W) grey."""


ONE_PICTURE = (str, PathLike, bytes, bytearray, Image.Image, np.ndarray)


def is_one_picture(value: object) -> TypeGuard[PictureLike]:
    """Whether a value is one picture, rather than several."""
    # An open file has lines, but they are no pictures; a value of any other type is refused later.
    several = isinstance(value, Iterable) and not isinstance(value, io.IOBase)
    return isinstance(value, ONE_PICTURE) or not several


def to_picture(picture: PictureLike, number: int = 0) -> tuple[LoadedPicture, str]:
    """Load or convert a picture.

    Args:
        picture: what to load.
        number:  its number among several, from 1; it tells those without a file apart.

    Returns:
        The picture, and its name: the path of its file, or `picture-NUMBER`.

    Raises:
        UnreadablePicture: it is missing, too large, damaged, no picture, none of these, or an array
            of another shape or number type.
    """
    unnamed = f"picture-{number}" if number else "picture"
    if isinstance(picture, bytes | bytearray):
        return decode_picture(bytes(picture), name=unnamed), unnamed
    if isinstance(picture, str | PathLike):
        name = fspath(picture)
        return load_picture(name), name
    pixels = _rgb(picture)
    name = str(getattr(picture, "filename", "")) or unnamed
    return LoadedPicture(pixels, PurePath(name).stem), name


def picture_file(picture: PictureLike) -> str | bytes:
    """A picture as a source of the indexer: an address, or the bytes of a file.

    Raises:
        UnreadablePicture: it is of another type, a PIL image cannot be read, or an array has
            another shape or number type.
    """
    if isinstance(picture, bytes | bytearray):
        return bytes(picture)
    if isinstance(picture, str | PathLike):
        return fspath(picture)
    # PNG is lossless: the pixels that are indexed are those of the picture.
    buffer = io.BytesIO()
    Image.fromarray(_rgb(picture)).save(buffer, "PNG")
    return buffer.getvalue()


def _rgb(picture: Image.Image | NDArray[np.uint8]) -> Rgb:
    if not isinstance(picture, Image.Image):
        return upright_rgb(_from_array(picture))
    try:
        return upright_rgb(picture)
    except (OSError, ValueError, SyntaxError) as error:  # its file is read only now
        raise UnreadablePicture(f"a PIL image cannot be read: {one_line(error)}") from error


def _from_array(picture: NDArray[np.uint8]) -> Image.Image:
    if not isinstance(picture, np.ndarray):
        raise UnreadablePicture(
            "a picture must be a path, bytes, a PIL image or an array, not of type "
            f"{type(picture).__name__}"
        )
    if picture.ndim == 4:
        raise UnreadablePicture(
            f"an array of shape {picture.shape} is several pictures; give list(array)"
        )
    grey_or_colours = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))
    if picture.dtype != np.uint8 or not grey_or_colours or not picture.size:
        raise UnreadablePicture(
            f"an array must be (H, W, 3), (H, W, 4) or (H, W) uint8, got {picture.shape} "
            f"{picture.dtype}; scale it to 0..255 and give array.astype('uint8')"
        )
    pixels: Rgb = np.ascontiguousarray(picture)
    return Image.fromarray(pixels)
