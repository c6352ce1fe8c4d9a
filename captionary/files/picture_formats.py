"""The picture formats that are read, as Pillow names them and as files are called.

A file that is none of them is refused by what it is: people have web pages, videos and raw data of
cameras among their pictures.
"""

import importlib
from contextlib import suppress
from functools import cache
from io import SEEK_END
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from captionary.schemas.errors import UnreadablePicture

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES_OF = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif", ".hif"),
    "JPEG2000": (".jp2", ".j2k"),
    "JXL": (".jxl",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""Suffixes, in lower case, by Pillow's name of the format; no others are tried on foreign bytes."""

SUFFIXES = tuple(suffix for suffixes in SUFFIXES_OF.values() for suffix in suffixes)
"""Suffixes of the files in a folder that are taken for pictures; of several the first counts."""

FEATURES = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}
"""What Pillow calls decoders that it may have been built without."""

PLUGINS = {"HEIF": ("pillow_heif", "pi_heif"), "JXL": ("pillow_jxl",)}
"""Packages that teach Pillow a format; any of them will do."""

REMEDIES = {
    "HEIF": "HEIC, which needs pi-heif or pillow-heif: pip install 'captionary[heif]'",
    "JXL": "JPEG XL, which needs pillow-jxl-plugin: install it, or save the picture as PNG",
    "AVIF": "AVIF, which this Pillow was built without: pip install -U pillow",
    "JPEG2000": "JPEG 2000, which this Pillow was built without: pip install -U pillow",
    "WEBP": "WebP, which this Pillow was built without: pip install -U pillow",
}

HEAD = 1024
"""Bytes that tell what a file is."""


class Kind(NamedTuple):
    """A kind of file, known by some bytes at a place.

    what: the format of a picture, by Pillow's name; else it completes "NAME is not a picture but".
    """

    at: int
    magic: bytes
    what: str


VIDEO = "a video; take single frames of it"
RAW = "a camera's raw data; develop it into a JPEG or TIFF"
PAGE = "a web page, as a failed download leaves it; download the picture again"
PACKED = "an archive; unpack it"
RAW_SUFFIXES = frozenset(
    (".dng", ".cr2", ".cr3", ".nef", ".nrw", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw")
)
"""Most are TIFF files whose first picture is a preview of a few pixels."""

KINDS = (
    Kind(0, b"\xff\xd8\xff", "JPEG"),
    Kind(0, b"\x89PNG", "PNG"),
    Kind(8, b"WEBP", "WEBP"),
    Kind(0, b"GIF8", "GIF"),
    Kind(8, b"CR\x02\0", RAW),
    Kind(0, b"II*\0", "TIFF"),
    Kind(0, b"MM\0*", "TIFF"),
    Kind(4, b"ftypavi", "AVIF"),
    *(Kind(4, b"ftyp" + brand, "HEIF") for brand in (b"hei", b"hev", b"mif1", b"msf1")),
    Kind(4, b"ftypcrx", RAW),
    Kind(4, b"ftyp", VIDEO),
    Kind(4, b"moov", VIDEO),
    Kind(4, b"mdat", VIDEO),
    Kind(8, b"AVI ", VIDEO),
    Kind(0, b"\x1aE\xdf\xa3", VIDEO),
    Kind(4, b"jP  \r\n\x87\n", "JPEG2000"),
    Kind(0, b"\xff\x4f\xff\x51", "JPEG2000"),
    Kind(4, b"JXL \r\n\x87\n", "JXL"),
    Kind(0, b"\xff\x0a", "JXL"),
    *(Kind(0, magic, RAW) for magic in (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR")),
    Kind(0, b"%PDF", "a PDF document; save its pages as pictures"),
    Kind(0, b"%!PS", "a PostScript document; save it as PNG"),
    Kind(0, b"8BPS", "a Photoshop document; save it as PNG or TIFF"),
    Kind(0, b"gimp xcf", "a GIMP document; save it as PNG or TIFF"),
    Kind(0, b"v/1\x01", "OpenEXR; save it as TIFF or PNG"),
    Kind(0, b"\0\0\x01\0", "an icon; save it as PNG"),
    Kind(128, b"DICM", "DICOM; save its frames as TIFF or PNG"),
    Kind(0, b"PK\x03\x04", PACKED),
    Kind(0, b"\x1f\x8b", PACKED),
    Kind(0, b"Rar!", PACKED),
    Kind(0, b"7z\xbc\xaf", PACKED),
)
"""Of several that fit the first counts."""

TEXTS = (
    (b"version https://git-lfs", "a pointer of Git LFS; fetch the files with 'git lfs pull'"),
    (b"<svg", "an SVG drawing; save it as PNG"),
    (b"<!doctype html", PAGE),
    (b"<html", PAGE),
)
"""Texts by what stands near their beginning, in lower case."""


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are, in any case, and is not a hidden one."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not name.startswith(".")


def is_raw(name: str) -> bool:
    """Whether a file is called as cameras call their raw data."""
    return PurePosixPath(name).suffix.lower() in RAW_SUFFIXES


@cache
def readable_formats() -> tuple[str, ...]:
    """The formats, by Pillow's names, for which this installation has a decoder."""
    return tuple(name for name in SUFFIXES_OF if _has_decoder(name))


def _has_decoder(name: str) -> bool:
    from PIL import Image, features

    for package in PLUGINS.get(name, ()):
        try:
            plugin = importlib.import_module(package)
        except ImportError:
            continue
        if name == "HEIF":
            plugin.register_heif_opener()
        return name in Image.OPEN
    return name not in PLUGINS and (name not in FEATURES or bool(features.check(FEATURES[name])))


def open_picture(file: BinaryIO, *, name: str) -> "Image.Image":
    """Open a picture of one of the formats: its header is read, its pixels are not.

    name: what messages call it; its suffix tells raw data of cameras from the TIFF it looks like.

    Raises:
        UnreadablePicture: it is something else, which is named.
        Exception: what decoders raise on damaged files.
    """
    from PIL import Image, UnidentifiedImageError

    raw = is_raw(name)
    with suppress(UnidentifiedImageError):
        if not raw:
            return Image.open(file, formats=readable_formats())
    file.seek(0)
    head = file.read(HEAD)
    found = RAW if raw else _find_kind(head)
    raise UnreadablePicture(f"{name} {_explain(found, head, file.seek(0, SEEK_END))}")


def _find_kind(head: bytes) -> str:
    """What the first bytes of a file are, as `Kind.what`; "": none of these."""
    found = next((kind.what for kind in KINDS if head.startswith(kind.magic, kind.at)), "")
    # An AVIF may have a brand of HEIF's first.
    return "AVIF" if found == "HEIF" and b"avif" in head[8:40] else found


def _explain(found: str, head: bytes, size: int) -> str:
    """Why a file that no decoder took cannot be read; completes "NAME ..."."""
    if found in readable_formats():
        return "is truncated or damaged: its header cannot be read; copy the picture again"
    if found in REMEDIES:
        return f"is {REMEDIES[found]}"
    what = found or _describe_text(head)
    if what:
        return f"is not a picture ({size:,} bytes) but {what}"
    formats = ", ".join(readable_formats())
    return f"is not a picture ({size:,} bytes); give one of {formats}, not cut off"


def _describe_text(head: bytes) -> str:
    """What kind of text the first bytes of a file are; "": none."""
    text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "ignore")
    shown = " ".join(text.split())
    if len(text.encode()) < len(head) - 6 or not shown.isprintable() or not shown:
        return ""
    start = head.lower()
    known = next((what for beginning, what in TEXTS if beginning in start), "")
    return known or f"text that begins {shown[:40]!r}; download or copy the picture again"
