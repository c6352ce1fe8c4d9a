"""Label maps in files, which hold a class number for each pixel of a picture."""

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from captionary.schemas.arrays import LabelMap
from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.schemas.labels import unpack_labels
from captionary.schemas.notes import Note
from captionary.vision.pictures.conversion import TURNED, read_orientation, turn_upright
from captionary.vision.pictures.loading import MAX_PIXELS, read_picture_bytes
from captionary.vision.pictures.png import has_deep_colours

FORMATS = ("PNG", "TIFF", "BMP", "GIF", "JPEG", "WEBP")
LOSSY = ("JPEG", "WEBP")
"""Formats that are known, so that they can be refused with the reason."""

SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".jpg", ".jpeg", ".webp")
"""Suffixes, in lower case, of files that may be label maps; where a picture has two, the first."""

GREY = Note("masks of grey saved as colours, of which one channel was taken", "")
VOC = Note("masks in the colours of Pascal VOC, taken for its class numbers", "")
TURNED_BY_EXIF = Note("masks turned upright by their own EXIF orientation", "")
TURNED_ALIKE = Note("masks of the size of pictures not turned by EXIF yet, turned alike", "")


class _NoLabels(ValueError):
    """A file is of a kind that holds no labels; the message goes on after its name."""


@dataclass(frozen=True, slots=True)
class LabelValues:
    """What a file of labels holds.

    values: (H, W) of whole numbers, as they are stored, upright.
    notes:  how they were read, where that is not plain.
    """

    values: NDArray[Any]
    notes: tuple[Note, ...] = ()


def read_label_map(path: Path, *, size_hw: tuple[int, int], orientation: int = 1) -> LabelMap:
    """Read the label map of a picture, (H, W) int32: 0 and up, or IGNORE.

    Args:
        path:        an indexed or grey file, in which 255 means ignore, or 65535 if it is 16-bit.
        size_hw:     height and width of the upright picture.
        orientation: how its file is stored (EXIF); a map that is stored alike is turned alike.

    Raises:
        UnreadablePicture: it is missing, damaged, of another size, or has colours, not numbers.
    """
    return unpack_labels(read_label_values(path, size_hw=size_hw, orientation=orientation).values)


def read_label_values(
    path: Path | str, *, size_hw: tuple[int, int] | None, orientation: int = 1
) -> LabelValues:
    """Read what a file of labels holds; as `read_label_map`, which gives a meaning to the values.

    path:    or an address (with "://").
    size_hw: None: of any size.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata
        try:
            # Of a path, Pillow garbles the pixels of uncompressed TIFF that it has to turn.
            with _open(path) as file, Image.open(file, formats=FORMATS) as image:
                # Decoded only where the header is right: a map of another size may be enormous.
                # Pillow turns TIFF itself, from the header on.
                own = 1 if image.format == "TIFF" else _orientation_in_header(image)
                _check_header(image, size_hw, (orientation, own))
                read = _read_values(image, deep_colours=_has_deep_colours(image, file))
        except FileNotFoundError as error:
            raise UnreadablePicture(f"the mask {path} does not exist; add it") from error
        except _NoLabels as error:
            raise UnreadablePicture(f"the mask {path} {error}") from error
        except UnreadablePicture:
            raise
        except Exception as error:  # decoders raise anything at all on foreign bytes
            raise UnreadablePicture(f"the mask {path} cannot be read: {one_line(error)}") from error
    forms = [read, LabelValues(turn_upright(read.values, orientation), (*read.notes, TURNED_ALIKE))]
    if own != 1:
        turned = turn_upright(read.values, own)
        forms.insert(0, LabelValues(turned, (*read.notes, TURNED_BY_EXIF)))
    if size_hw is None:
        return forms[0]
    for form in forms:
        if form.values.shape == size_hw:
            return form
    raise UnreadablePicture(f"the mask {path} {_misfit(read.values.shape[::-1], size_hw)}")


def _open(path: Path | str) -> BinaryIO:
    if isinstance(path, str) and "://" in path:
        return BytesIO(read_picture_bytes(path, name=f"the mask {path}"))
    return Path(path).open("rb")


def _orientation_in_header(image: Image.Image) -> int:
    # Where it is not in the header the whole file would be decoded to find it.
    return read_orientation(image) if image.info.get("exif") else 1


def _check_header(
    image: Image.Image, size_hw: tuple[int, int] | None, orientations: Collection[int]
) -> None:
    if image.format in LOSSY:
        raise _NoLabels(f"is a {image.format} file, whose values are not exact; save it as PNG")
    if image.format == "GIF":
        raise _NoLabels("is a GIF file, whose writers renumber the values; save it as PNG")
    if size_hw is None:
        if image.width * image.height > MAX_PIXELS:
            raise _NoLabels(f"has more than {MAX_PIXELS:,} pixels; make it smaller")
        return
    stored = size_hw if set(orientations).isdisjoint(TURNED) else size_hw[::-1]
    if (image.height, image.width) not in (size_hw, stored):
        raise _NoLabels(_misfit(image.size, size_hw))


def _misfit(size: tuple[int, ...], picture_hw: tuple[int, int]) -> str:
    return (
        f"is {size[0]} x {size[1]} pixels but its picture is {picture_hw[1]} x {picture_hw[0]}; "
        "make them the same size"
    )


def _has_deep_colours(image: Image.Image, file: BinaryIO) -> bool:
    """Whether it has colours of which Pillow would keep the upper bytes alone."""
    if image.format == "PNG":
        place = file.tell()
        file.seek(0)
        head = file.read(64)
        file.seek(place)
        return has_deep_colours(head)
    bits = image.tag_v2.get(258, (8,)) if isinstance(image, TiffImageFile) else (8,)
    return len(image.getbands()) > 1 and max(bits) > 8


def _read_values(image: Image.Image, *, deep_colours: bool) -> LabelValues:
    if deep_colours:
        raise _NoLabels("has colours of 16 bits; save its labels as a grey PNG")
    values = np.asarray(image)
    layers = values.reshape(*values.shape[:2], -1)
    if layers.shape[2] in (2, 4):  # transparency
        if np.ptp(layers[..., -1]):
            raise _NoLabels("has transparency that varies; save it without, as an indexed PNG")
        layers = layers[..., :-1]
    if layers.shape[2] == 1:
        return LabelValues(_whole_numbers(layers[..., 0]))
    if image.mode not in ("RGB", "RGBA"):
        raise _NoLabels(f"has colours ({image.mode}), not labels; save it as an indexed PNG")
    if (layers == layers[..., :1]).all():
        return LabelValues(np.ascontiguousarray(layers[..., 0]), (GREY,))
    return LabelValues(_numbers_of_colours(layers), (VOC,))


def _whole_numbers(values: NDArray[Any]) -> NDArray[Any]:
    """The values themselves, floats as numbers of 32 bits."""
    if values.dtype.kind != "f":
        return np.ascontiguousarray(values)
    if not (np.isfinite(values).all() and (values == values.astype(np.int32)).all()):
        raise _NoLabels("has fractions, not labels; save whole numbers, as an indexed PNG")
    return values.astype(np.int32)


def _numbers_of_colours(layers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Replace each colour by its place in the palette of Pascal VOC, (H, W)."""
    colours = layers.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    used, places = np.unique(colours, return_inverse=True)
    palette = _voc_palette()
    if unknown := [colour for colour in used.tolist() if colour not in palette]:
        raise _NoLabels(
            f"has {len(used)} colours, among them #{unknown[0]:06x}, not labels; replace each by "
            "the number of its class and save it as an indexed PNG"
        )
    numbers = np.array([palette[colour] for colour in used.tolist()], np.uint8)
    return numbers[places.reshape(colours.shape)]


@cache
def _voc_palette() -> dict[int, int]:
    """Pascal VOC's colours, 0xrrggbb, with their numbers.

    The lowest three bits of a number are the highest of red, green and blue, the next three the
    second highest, and so on.
    """
    palette = {}
    for number in range(256):
        red, green, blue = (
            sum((number >> (3 * place + channel) & 1) << (7 - place) for place in range(3))
            for channel in range(3)
        )
        palette[red << 16 | green << 8 | blue] = number
    return palette
