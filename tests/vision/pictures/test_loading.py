import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from captionary.schemas.errors import UnreadablePicture
from captionary.vision.pictures.conversion import BAND, EXIF_ORIENTATION
from captionary.vision.pictures.loading import LoadedPicture, decode_picture, load_picture

RED_TO_BLUE = np.linspace([255, 0, 0], [0, 0, 255], 64).astype(np.uint8)
GRADIENT = np.repeat(RED_TO_BLUE[None], 48, axis=0)
"""(48, 64, 3): red on the left, blue on the right."""


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def decoded(image: Image.Image, kind: str = "PNG", **options: object) -> LoadedPicture:
    return decode_picture(encoded(image, kind, **options), name="it")


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    return exif


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that only claims to be so large: a header and no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_the_pixels_back(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.b.{kind.lower()}"
    path.write_bytes(encoded(Image.fromarray(GRADIENT), kind))
    picture = load_picture(path)
    assert np.array_equal(picture.pixels, GRADIENT)
    assert picture.name == "a.b"
    assert picture.size_hw == (48, 64)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "GIF"])
def test_lossy_formats_come_close(kind: str) -> None:
    pixels = decoded(Image.fromarray(GRADIENT), kind).pixels
    assert np.abs(pixels.astype(int) - GRADIENT).mean() < 12


def test_fsspec_addresses_are_read(tmp_path: Path) -> None:
    path = tmp_path / "there.png"
    path.write_bytes(encoded(Image.fromarray(GRADIENT), "PNG"))
    picture = load_picture(f"file://{path}")
    assert picture.name == "there"
    assert np.array_equal(picture.pixels, GRADIENT)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr", "LA", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    kind = {"CMYK": "TIFF", "YCbCr": "TIFF"}.get(mode, "PNG")
    pixels = decoded(Image.fromarray(GRADIENT).convert(mode), kind).pixels
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    assert decoded(Image.fromarray(deep)).pixels[0, :, 0].tolist() == [0, 100, 255]


def test_floats_are_scaled_to_eight_bits() -> None:
    deep = np.array([[0.0, 0.5, 1.0, np.nan]], dtype=np.float32)
    assert decoded(Image.fromarray(deep), "TIFF").pixels[0, :, 0].tolist() == [0, 128, 255, 0]


def test_a_large_picture_of_sixteen_bits_is_scaled_in_little_room() -> None:
    deep = np.random.default_rng(0).integers(0, 1 << 16, (3 * BAND // 1000, 1000), np.uint16)
    data = encoded(Image.fromarray(deep), "PNG", compress_level=1)
    tracemalloc.start()
    try:
        pixels = decode_picture(data, name="it").pixels
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.array_equal(pixels[..., 1], np.rint(deep / 257).astype(np.uint8))
    assert peak < 14 * deep.size


def test_a_large_picture_lies_over_white_in_all_its_rows() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2 * BAND // 1000, 1000, 4), np.uint8)
    layers = Image.fromarray(pixels)
    white = Image.new("RGBA", layers.size, "white")
    expected = np.asarray(Image.alpha_composite(white, layers).convert("RGB"))
    upright = decoded(layers, compress_level=1).pixels
    turned = decoded(layers, "TIFF", exif=exif_of(6)).pixels
    assert np.array_equal(upright, expected)
    assert np.array_equal(turned, np.rot90(expected, -1))


def test_transparency_lies_over_white() -> None:
    clear = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    clear.putpixel((1, 0), (255, 0, 0, 255))
    assert decoded(clear).pixels.tolist() == [[[255, 255, 255], [255, 0, 0]]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 255, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    assert decoded(palette, transparency=0).pixels.tolist() == [[[255, 255, 255], [0, 0, 255]]]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind: str) -> None:
    first, second = Image.new("RGB", (9, 9), (255, 0, 0)), Image.new("RGB", (9, 9), (0, 0, 255))
    picture = decoded(first, kind, save_all=True, append_images=[second])
    assert np.abs(picture.pixels.astype(int) - [255, 0, 0]).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG"])
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    upright = Image.fromarray(GRADIENT)
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decoded(stored, kind, exif=exif).pixels
    assert pixels.shape == GRADIENT.shape
    assert np.abs(pixels.astype(int) - GRADIENT).mean() < 6


def test_one_pixel_is_a_picture() -> None:
    assert decoded(Image.new("RGB", (1, 1), (1, 2, 3))).pixels.tolist() == [[[1, 2, 3]]]


def error_message(address: Path | str, **limits: Any) -> str:
    with pytest.raises(UnreadablePicture) as caught:
        load_picture(address, **limits)
    message = str(caught.value)
    assert "\n" not in message
    assert str(address) in message
    return message


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "does not exist" in error_message(tmp_path / "no.jpg")
    assert "is a folder" in error_message(tmp_path)
    assert "does not exist" in error_message(str(tmp_path / "no.jpg"))
    assert "cannot be read" in error_message(f"file://{tmp_path}/no.jpg")
    assert "cannot be read" in error_message("nosuchprotocol://a/b.jpg")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert "0 bytes" in error_message(tmp_path / "a.jpg")


@pytest.mark.parametrize("body", [b"just some text\n" * 50, b"%PDF-1.7\n1 0 obj\n", b"\0" * 99])
def test_foreign_file(body: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(body)
    assert "not a picture" in error_message(tmp_path / "a.jpg")


def test_formats_off_the_list_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tga").write_bytes(encoded(Image.fromarray(GRADIENT), "TGA"))
    assert "not a picture" in error_message(tmp_path / "a.tga")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_file(kind: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), kind)
    (tmp_path / "a").write_bytes(whole[: int(len(whole) * share)])
    error_message(tmp_path / "a")


def test_file_larger_than_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(Image.fromarray(GRADIENT), "PNG"))
    assert "100 bytes" in error_message(tmp_path / "a.png", max_bytes=100)
    assert "100 bytes" in error_message(f"file://{tmp_path}/a.png", max_bytes=100)


@pytest.mark.parametrize("size", [(30_000, 30_000), (12_000, 10_000), (8_000, 8_000)])
def test_enormous_picture_is_refused_by_its_header(size: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(png_of_size(*size))
    tracemalloc.start()
    message = error_message(tmp_path / "huge.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert f"{size[0] * size[1]:,} pixels" in message
    assert "50,000,000" in message
    assert peak < 5_000_000


def test_the_limit_itself_is_allowed() -> None:
    data = encoded(Image.fromarray(GRADIENT), "PNG")
    assert decode_picture(data, name="a", max_pixels=48 * 64).size_hw == (48, 64)
    with pytest.raises(UnreadablePicture, match="3,072 pixels"):
        decode_picture(data, name="a", max_pixels=48 * 64 - 1)


@settings(max_examples=100)
@given(
    kind=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_damage_gives_a_picture_or_the_one_error(
    kind: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(encoded(Image.fromarray(GRADIENT), kind))
    for place, value in changes:
        data[int(place * (len(data) - 1))] = value
    try:
        picture = decode_picture(bytes(data), name="damaged", max_pixels=1_000_000)
    except UnreadablePicture as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert picture.pixels.ndim == 3
        assert picture.pixels.dtype == np.uint8


@settings(max_examples=100)
@given(data=st.binary(max_size=400))
def test_random_bytes_are_never_another_error(data: bytes) -> None:
    with pytest.raises(UnreadablePicture):
        decode_picture(data, name="noise")
