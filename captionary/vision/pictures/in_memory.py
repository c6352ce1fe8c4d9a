"""Pictures as Python programs have them: paths, bytes, PIL images, arrays."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import PurePath
from typing import TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.schemas.notes import Note
from captionary.vision.pictures.conversion import Converted, convert_file, convert_image
from captionary.vision.pictures.loading import LoadedPicture, decode_picture, load_picture
from captionary.vision.pictures.png import has_deep_colours
from captionary.vision.pictures.values import DeepPicture, NoValues

PictureLike: TypeAlias = (
    str | PathLike[str] | bytes | bytearray | Image.Image | NDArray[np.integer | np.floating]
)
"""A picture: a path or fsspec address, the bytes of a file, a PIL image, or an array, (H, W, 3)
RGB, (H, W, 4) with transparency, or (H, W) grey; values of more than 8 bits are scaled as those of
files are."""


ONE_PICTURE = (str, PathLike, bytes, bytearray, Image.Image, np.ndarray)


def is_one_picture(value: object) -> TypeGuard[PictureLike]:
    """Whether a value is one picture, rather than several."""
    # An open file has lines, but they are no pictures; a value of any other type is refused later.
    several = isinstance(value, Iterable) and not isinstance(value, io.IOBase)
    return isinstance(value, ONE_PICTURE) or not several


def to_picture(
    picture: PictureLike, number: int = 0, *, bands: Sequence[int] = ()
) -> tuple[LoadedPicture, str]:
    """Load or convert a picture.

    Args:
        picture: what to load.
        number:  its number among several, from 1; it tells those without a file apart.
        bands:   of TIFF files and of arrays, (H, W, N): as `load_picture`.

    Returns:
        The picture, and its name: the path of its file, or `picture-NUMBER`.

    Raises:
        UnreadablePicture: it is missing, too large, damaged, no picture, none of these, or an array
            of another shape or number type.
    """
    unnamed = f"picture-{number}" if number else "picture"
    if isinstance(picture, bytes | bytearray):
        return decode_picture(bytes(picture), name=unnamed, bands=bands), unnamed
    if isinstance(picture, str | PathLike):
        name = fspath(picture)
        return load_picture(name, bands=bands), name
    name = str(getattr(picture, "filename", "")) or unnamed
    converted = _convert(picture, bands)
    notes = tuple(replace(note, first=name) for note in converted.notes)
    return LoadedPicture(converted.pixels, PurePath(name).stem, notes=notes), name


def picture_file(
    picture: PictureLike, *, bands: Sequence[int] = (), where: str = ""
) -> tuple[str | bytes, tuple[Note, ...]]:
    """A picture as a source of the indexer: an address, or the bytes of a file, and its notes.

    bands: of arrays, (H, W, N): as `to_picture`.
    where: what notes call it.

    Raises:
        UnreadablePicture: it is of another type, a PIL image cannot be read, or an array has
            another shape or number type.
    """
    if isinstance(picture, bytes | bytearray):
        return bytes(picture), ()
    if isinstance(picture, str | PathLike):
        return fspath(picture), ()
    converted = _convert(picture, bands)
    # PNG is lossless: the pixels that are indexed are those of the picture.
    buffer = io.BytesIO()
    Image.fromarray(converted.pixels).save(buffer, "PNG")
    return buffer.getvalue(), tuple(replace(note, first=where) for note in converted.notes)


def _convert(
    picture: Image.Image | NDArray[np.integer | np.floating], bands: Sequence[int]
) -> Converted:
    try:
        if isinstance(picture, Image.Image):
            data = _unread_deep_file(picture)
            size = picture.width * picture.height
            return convert_file(data, "", max_pixels=size) if data else convert_image(picture)
        return _convert_array(picture, bands)
    except NoValues as error:
        raise UnreadablePicture(f"a picture in memory {error}") from error
    except (OSError, ValueError, SyntaxError) as error:  # its file is read only now
        raise UnreadablePicture(f"a PIL image cannot be read: {one_line(error)}") from error


def _unread_deep_file(picture: Image.Image) -> bytes:
    """The file of an image that Pillow has opened only, if it would lose bits; else nothing."""
    if picture.format not in ("PNG", "TIFF") or not (
        isinstance(picture, ImageFile) and picture.fp and picture.tile and not picture.tell()
    ):
        return b""
    place = picture.fp.tell()
    picture.fp.seek(0)
    data: bytes = picture.fp.read()
    picture.fp.seek(place)
    return data if picture.format == "TIFF" or has_deep_colours(data) else b""


def _convert_array(picture: NDArray[np.integer | np.floating], bands: Sequence[int]) -> Converted:
    if not isinstance(picture, np.ndarray):
        raise UnreadablePicture(
            "a picture must be a path, bytes, a PIL image or an array, not of type "
            f"{type(picture).__name__}"
        )
    if picture.ndim == 4:
        raise UnreadablePicture(
            f"an array of shape {picture.shape} is several pictures; give list(array)"
        )
    count = picture.shape[2] if picture.ndim == 3 else 1
    fits = max(bands) <= count if bands else picture.ndim == 2 or count in (3, 4)
    if (
        picture.dtype.kind not in "uif"
        or picture.ndim not in (2, 3)
        or not fits
        or not picture.size
    ):
        bands_named = f" of at least {max(bands)} bands" if bands else ""
        raise UnreadablePicture(
            f"an array must be (H, W, 3), (H, W, 4) or (H, W) of whole numbers or floats"
            f"{bands_named}, got {picture.shape} {picture.dtype}; convert it, as with "
            "array.astype('float32')"
        )
    layers = picture.reshape(*picture.shape[:2], count)
    if bands:
        layers = layers[..., [band - 1 for band in bands]]
    elif picture.dtype == np.uint8:
        return convert_image(Image.fromarray(np.ascontiguousarray(picture)))
    alpha = layers[..., 3] if layers.shape[2] == 4 else None
    return Converted(*DeepPicture(layers[..., :3], alpha).to_rgb())
