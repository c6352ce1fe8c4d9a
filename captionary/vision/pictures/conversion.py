"""Picture files, and images in memory, become upright 8-bit RGB, and it is noted how."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from captionary.files.picture_formats import is_raw, open_picture
from captionary.schemas.arrays import Rgb
from captionary.schemas.errors import UnreadablePicture
from captionary.schemas.notes import Note
from captionary.vision.pictures.png import has_deep_colours, read_deep_colours
from captionary.vision.pictures.tiff import PHOTOMETRICS, is_tiff, read_tiff
from captionary.vision.pictures.values import CLEAR, DeepPicture, spans_half

EXIF_ORIENTATION = 0x0112
TURNED = (5, 6, 7, 8)
"""Orientations that exchange width and height."""

BAND = 1 << 20
"""Pixels that are converted at a time, as intermediate values take several times their size."""

LEFT_OUT = Note("pictures with bands left out", "", "choose them with --bands, as in 4,3,2")

BITS_PER_SAMPLE, SAMPLES_PER_PIXEL, SAMPLE_FORMAT, PHOTOMETRIC = 258, 277, 339, 262


class TooManyPixels(ValueError):
    """A picture's header names more pixels than are allowed."""

    def __init__(self, pixels: int) -> None:
        super().__init__(pixels)
        self.pixels = pixels


@dataclass(frozen=True, slots=True)
class Converted:
    """An upright picture.

    pixels:      (H, W, 3) uint8.
    notes:       what was done that is to be told; `first` is left to the caller.
    orientation: that of the file, 1 to 8, which is undone.
    """

    pixels: Rgb
    notes: tuple[Note, ...] = ()
    orientation: int = 1


def convert_file(
    data: bytes, name: str, *, max_pixels: int, bands: Sequence[int] = ()
) -> Converted:
    """Decode the bytes of a picture file: its first frame or page.

    Args:
        data:       the file.
        name:       what messages call it.
        max_pixels: checked in the header.
        bands:      of TIFF files, as `read_tiff`.

    Raises:
        UnreadablePicture: it is no picture.
        TooManyPixels, Image.DecompressionBombError: it is too large.
        NotRead:   it is a TIFF file of a kind that is not read.
        Exception: anything else, where the file is damaged.
    """
    tiff = is_tiff(data) and not is_raw(name)
    if tiff and bands:
        return _convert_tiff(data, max_pixels, bands)
    try:
        with open_picture(io.BytesIO(data), name=name) as image:
            if (pixels := image.width * image.height) > max_pixels:
                raise TooManyPixels(pixels)
            orientation = None
            if isinstance(image, TiffImageFile) and _shows_less(image):
                orientation = read_orientation(image)  # Pillow forgets it as it decodes
                if not (image.mode.startswith("RGB") and _shows_all(image)):
                    return _convert_tiff(data, max_pixels, bands)
            elif has_deep_colours(data) and not _shows_all(image):
                return _upright(*read_deep_colours(data).to_rgb(), read_orientation(image))
            return convert_image(image, orientation)
    except UnreadablePicture:
        if not tiff:
            raise
    return _convert_tiff(data, max_pixels, bands)


def convert_image(image: Image.Image, orientation: int | None = None) -> Converted:
    """Decode the first frame of an image.

    orientation: that of a TIFF file, where it has been read already.
    """
    # Pillow turns TIFF itself while it decodes; PNG may have the tag behind the pixels.
    if not isinstance(image, TiffImageFile):
        rgb, notes = _convert_to_rgb(image)
        return _upright(rgb, notes, read_orientation(image))
    orientation = orientation or read_orientation(image)
    in_file = image.tag_v2.get(SAMPLES_PER_PIXEL, 1)
    rgb, notes = _convert_to_rgb(image)
    if in_file > len(image.getbands()):
        notes = (*notes, LEFT_OUT)
    return Converted(rgb, notes, orientation)


def _convert_tiff(data: bytes, max_pixels: int, bands: Sequence[int]) -> Converted:
    tiff = read_tiff(data, max_pixels=max_pixels, bands=bands)
    rgb, notes = tiff.deep.to_rgb()
    return _upright(rgb, (*notes, LEFT_OUT) if tiff.left_out else notes, tiff.orientation)


def _upright(rgb: Rgb, notes: tuple[Note, ...], orientation: int) -> Converted:
    return Converted(turn_upright(rgb, orientation), notes, orientation)


def turn_upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn what is stored in one of EXIF's eight orientations, (h, w, ...), upright."""
    across = values.swapaxes(0, 1)
    turned = {
        2: values[:, ::-1],
        3: values[::-1, ::-1],
        4: values[::-1],
        5: across,
        6: across[:, ::-1],
        7: across[::-1, ::-1],
        8: across[::-1],
    }
    return np.ascontiguousarray(turned.get(orientation, values))


def read_orientation(image: Image.Image) -> int:
    """EXIF's number for how a picture is stored, 1 to 8; 1: upright."""
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block is no reason to refuse the pixels
        return 1


def _shows_less(image: TiffImageFile) -> bool:
    """Whether Pillow does not give the values of a TIFF file as they are, or too few bands."""
    tags = image.tag_v2
    if tags.get(PHOTOMETRIC) in PHOTOMETRICS:
        return False
    bits, formats = tags.get(BITS_PER_SAMPLE, (1,)), tags.get(SAMPLE_FORMAT, (1,))
    deep = all(count % 8 == 0 for count in bits) and (max(bits) > 8 or set(formats) != {1})
    return deep or len(image.getbands()) < 3 <= tags.get(SAMPLES_PER_PIXEL, 1)


def _shows_all(image: Image.Image) -> bool:
    """Whether the upper 8 of 16 bits, which Pillow keeps of colours, are the whole picture."""
    return spans_half(np.asarray(image)[..., :3])


def _convert_to_rgb(image: Image.Image) -> tuple[Rgb, tuple[Note, ...]]:
    """Convert any mode to RGB: deep grey scaled to 8 bits, transparency laid over white."""
    if image.mode.startswith(("I", "F")):
        return DeepPicture(np.asarray(image)[..., None]).to_rgb()
    image.load()
    if "A" in image.getbands() and image.getchannel("A").getextrema() == (0, 0):
        return np.asarray(image.convert("RGBA").convert("RGB"), dtype=np.uint8), (CLEAR,)
    if image.has_transparency_data:
        image = _convert_bands(image, _lay_over_white)
    return np.asarray(image.convert("RGB"), dtype=np.uint8), ()


def _convert_bands(
    image: Image.Image, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert some rows at a time to RGB, so that intermediate values take little memory."""
    rgb = Image.new("RGB", image.size)
    rows = max(1, BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        rgb.paste(convert(band).convert("RGB"), (0, top))
    return rgb


def _lay_over_white(image: Image.Image) -> Image.Image:
    layers = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
