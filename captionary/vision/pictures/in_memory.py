"""Pictures as Python programs have them: paths, bytes, PIL images, arrays."""

import hashlib
import io
from os import PathLike, fspath
from pathlib import PurePath
from typing import TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captionary.schemas.arrays import Rgb
from captionary.schemas.errors import UnreadablePicture
from captionary.vision.pictures.loading import (
    LoadedPicture,
    decode_picture,
    load_picture,
    upright_rgb,
)

PictureLike: TypeAlias = str | PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
"""A picture: a path or fsspec address, the bytes of a file, a PIL image, or an array of 8 bits,
(H, W, 3) RGB, (H, W, 4) with transparency, or (H, W) grey."""


def is_one_picture(value: object) -> TypeGuard[PictureLike]:
    """Whether a value is one picture, rather than several."""
    return isinstance(value, str | PathLike | bytes | Image.Image | np.ndarray)


def to_picture(picture: PictureLike, number: int = 0) -> tuple[LoadedPicture, str]:
    """Load or convert a picture.

    Args:
        picture: what to load.
        number:  its number among several, from 1; it tells those without a file apart.

    Returns:
        The picture, and its name: the path of its file, or `picture-NUMBER`.

    Raises:
        UnreadablePicture: it is missing, too large, damaged, no picture, or an array of another
            shape or number type.
    """
    unnamed = f"picture-{number}" if number else "picture"
    if isinstance(picture, bytes):
        return decode_picture(picture, name=unnamed), unnamed
    if isinstance(picture, str | PathLike):
        name = fspath(picture)
        return load_picture(name), name
    pixels = upright_rgb(_pil_image(picture))
    name = str(getattr(picture, "filename", "")) or unnamed
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    return LoadedPicture(pixels, PurePath(name).stem, digest), name


def picture_file(picture: PictureLike) -> str | bytes:
    """A picture as a source of the indexer: an address, or the bytes of a file.

    Raises:
        UnreadablePicture: an array is of another shape or number type.
    """
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | PathLike):
        return fspath(picture)
    # PNG is lossless: the pixels that are indexed are those of the picture.
    buffer = io.BytesIO()
    Image.fromarray(upright_rgb(_pil_image(picture))).save(buffer, "PNG")
    return buffer.getvalue()


def _pil_image(picture: Image.Image | NDArray[np.uint8]) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture
    grey_or_colours = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in (3, 4))
    if picture.dtype != np.uint8 or not grey_or_colours or not picture.size:
        raise UnreadablePicture(
            f"an array must be (H, W, 3), (H, W, 4) or (H, W) uint8, got {picture.shape} "
            f"{picture.dtype}; scale it to 0..255 and give array.astype('uint8')"
        )
    pixels: Rgb = np.ascontiguousarray(picture)
    return Image.fromarray(pixels)
