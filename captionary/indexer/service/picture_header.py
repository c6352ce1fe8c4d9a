"""Uploads that are no pictures are refused before they are queued."""

import io
import warnings
from pathlib import Path

from PIL import Image

from captionary.files.picture_formats import is_raw, open_picture
from captionary.schemas.errors import UnreadablePicture, one_line
from captionary.vision.pictures.png import without_texts
from captionary.vision.pictures.tiff import is_tiff


def check_header(path: Path, name: str, *, most_pixels: int) -> None:
    """Refuse what is no picture, or too large a one, by the beginning of the file.

    Raises:
        UnreadablePicture: it is that; `name` is what the message calls it.
    """
    most = most_pixels
    if not path.stat().st_size:
        raise UnreadablePicture(f"{name} is empty (0 bytes); send the picture again")
    # The header only: decoding is for the worker, and has limits of its own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large sizes, on which we decide ourselves
        try:
            pixels = _count_pixels(path, name)
        except Image.DecompressionBombError:
            most = min(most, 2 * (Image.MAX_IMAGE_PIXELS or most))  # Pillow's own limit
            pixels = most + 1
        except UnreadablePicture:
            raise
        except Exception as error:  # decoders raise anything at all on foreign bytes
            raise UnreadablePicture(
                f"{name} is truncated or damaged: {one_line(error)}; send the picture again"
            ) from error
    if pixels > most:
        raise UnreadablePicture(f"{name} has more than {most:,} pixels; make it smaller")


def _count_pixels(path: Path, name: str) -> int:
    """Pixels by the header; 0 for a TIFF that Pillow does not know: the worker finds out."""
    with path.open("rb") as file:
        try:
            with open_picture(file, name=name) as image:
                return image.width * image.height
        except Image.DecompressionBombError:
            raise
        except Exception:
            file.seek(0)
            data = file.read()
    if is_tiff(data) and not is_raw(name):
        return 0
    with open_picture(io.BytesIO(without_texts(data)), name=name) as image:
        return image.width * image.height
