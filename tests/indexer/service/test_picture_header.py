"""Uploads are looked at by their header, as far as it tells anything."""

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from captionary.indexer.service.picture_header import check_header
from captionary.schemas.errors import UnreadablePicture


def of_five_bands() -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((4, 6, 5), np.uint16), planarconfig="contig")
    return buffer.getvalue()


def with_long_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "node " * 400_000, zip=True)
    buffer = io.BytesIO()
    Image.new("RGB", (6, 4)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [of_five_bands(), with_long_text()])
def test_what_the_worker_reads_is_let_in(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)
    check_header(path, "a.png", most_pixels=24)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"%PDF-1.7", "PDF"),
        (with_long_text()[:20], "a.png is truncated or damaged"),
        (with_long_text(), "a.png has more than 23 pixels"),
    ],
)
def test_what_is_no_picture_is_not(data: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(data)
    with pytest.raises(UnreadablePicture, match=said):
        check_header(path, "a.png", most_pixels=23)
