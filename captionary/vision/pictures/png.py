"""PNG files beyond what Pillow makes of them: long texts left out, colours of 16 bits."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from captionary.vision.pictures.values import DeepPicture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
"""Chunks of any length that do not change a pixel as we read it."""

HEADER = struct.Struct(">8s I4s IIBBBBB I")
"""Signature; length and name of the first chunk; width, height, bits, colour type, ...; CRC."""

RGB, GREY_ALPHA, RGB_ALPHA = 2, 4, 6
"""The colour types that Pillow reduces to 8 bits."""


def without_texts(data: bytes) -> bytes:
    """A PNG file without texts and colour profile; another file as it is.

    Pillow limits their size, against what is small only as long as it is compressed, and refuses
    the picture with them. Editors and image generators keep long histories there.
    """
    if not data.startswith(SIGNATURE):
        return data
    kept, at = [SIGNATURE], len(SIGNATURE)
    while at < len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4])
        if data[at + 4 : at + 8] not in TEXT_CHUNKS:
            kept.append(data[at:end])
        at = end
    return b"".join(kept)


def has_deep_colours(data: bytes) -> bool:
    """Whether a file is a PNG with colours, or grey with transparency, of 16 bits."""
    if not data.startswith(SIGNATURE) or len(data) < HEADER.size:
        return False
    bits, colour_type = HEADER.unpack_from(data)[5:7]
    return bits == 16 and colour_type in (RGB, GREY_ALPHA, RGB_ALPHA)


def read_deep_colours(data: bytes) -> DeepPicture:
    """Read all 16 bits of a PNG file for which `has_deep_colours`."""
    if HEADER.unpack_from(data)[6] == GREY_ALPHA:
        parts = _bytes_of(_as_eight_bits(data)).astype(np.uint16)
        values = parts[..., ::2] << 8 | parts[..., 1::2]
    else:
        values = _bytes_of(data).astype(np.uint16) << 8
        # Of values in big-endian order the mode of little-endian ones takes the low byte.
        values |= _bytes_of(data, order="L")
    colours = 1 if values.shape[2] == 2 else 3
    has_alpha = values.shape[2] > colours
    return DeepPicture(values[..., :colours], values[..., colours] if has_alpha else None)


def _bytes_of(data: bytes, *, order: str = "B") -> NDArray[np.uint8]:
    """The upper bytes of all values, (H, W, N), or with order "L" the lower ones."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.tile = [
            tile._replace(args=str(tile.args).replace("16B", f"16{order}")) for tile in image.tile
        ]
        return np.asarray(image)


def _as_eight_bits(data: bytes) -> bytes:
    """Grey with transparency of 16 bits, declared as what has as many bytes: RGBA of 8 bits."""
    signature, length, name, width, height, _, _, *methods, _ = HEADER.unpack_from(data)
    header = struct.pack(">4sIIBBBBB", name, width, height, 8, RGB_ALPHA, *methods)
    start = struct.pack(">8sI", signature, length)
    return start + header + struct.pack(">I", zlib.crc32(header)) + data[HEADER.size :]
