"""The picture formats that are read, as Pillow names them and as files are called."""

from pathlib import PurePosixPath

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""Names of Pillow's decoders; no others are tried on foreign bytes."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
"""Suffixes, in lower case, of the files in a folder that are taken for pictures."""


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are, in any case."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES
