"""Pictures of more than 8 bits or three bands: no form comes out black, white or refused."""

import io
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from captionary.schemas.errors import UnreadablePicture
from captionary.vision.pictures.conversion import LEFT_OUT
from captionary.vision.pictures.in_memory import picture_file, to_picture
from captionary.vision.pictures.loading import LoadedPicture, decode_picture
from captionary.vision.pictures.values import CLEAR, STRETCHED, DeepPicture

ROWS, COLUMNS = np.mgrid[:40, :60]
GREY = ((ROWS * 3 + COLUMNS * 2) % 256).astype(np.uint8)
"""(40, 60), all of 0..235."""

RGB = np.dstack([GREY, GREY[::-1], 255 - GREY])
BANDS = np.dstack([RGB, 255 - GREY[::-1], GREY // 2])
"""(40, 60, 5)."""


def tiff(values: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    kind: dict[str, Any] = (
        {} if values.ndim == 2 else {"photometric": "rgb", "planarconfig": "contig"}
    )
    tifffile.imwrite(buffer, values, **{**kind, "metadata": None, **options})
    return buffer.getvalue()


def saved(values: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def png16(values: NDArray[np.uint16], colour_type: int) -> bytes:
    """A PNG of 16 bits, of (H, W, N)."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def decoded(data: bytes, **options: Any) -> LoadedPicture:
    return decode_picture(data, name="it.tif", **options)


def whats(picture: LoadedPicture) -> set[str]:
    return {note.what for note in picture.notes}


def stretched(values: NDArray[Any]) -> NDArray[np.float64]:
    """What the documented rule makes of values."""
    low, high = np.percentile(values, (0.5, 99.5))
    scaled: NDArray[np.float64] = (values.astype(np.float64) - low) / (high - low) * 255
    return np.clip(scaled, 0, 255)


GREYS: dict[str, NDArray[Any]] = {
    "12 bits": GREY.astype(np.uint16) * 16,
    "10 bits": GREY.astype(np.uint16) * 4,
    "14 bits": GREY.astype(np.uint16) * 64,
    "reflectance": (GREY / 255 * 3000).astype(np.uint16),
    "dark": (GREY / 255 * 13_000).astype(np.uint16),
    "centikelvin": (28_000 + GREY.astype(np.uint16) * 10),
    "signed": GREY.astype(np.int16) * 40 - 2000,
    "signed bytes": (GREY // 2).astype(np.int8),
    "32 bits": GREY.astype(np.uint32) << 24,
    "signed 32 bits": GREY.astype(np.int32) * 1000,
    "kelvin": (273 + GREY / 10).astype(np.float32),
    "bright floats": (GREY * 20.0).astype(np.float32),
    "dark floats": (GREY / 255 * 0.3).astype(np.float32),
    "doubles": GREY * 1e9 - 5e9,
    "halves": (GREY * 4.0).astype(np.float16),
}


@pytest.mark.parametrize("form", GREYS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_values_of_their_own_range_are_stretched_and_told(form: str, order: str) -> None:
    values = GREYS[form]
    picture = decoded(tiff(values, photometric="minisblack", byteorder=order))
    assert np.abs(picture.pixels[..., 0] - stretched(values)).max() <= 0.5 + 1e-6
    assert whats(picture) == {STRETCHED.what}
    assert picture.notes[0].first == "it.tif"


CODED: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {
    "16 bits": (GREY.astype(np.uint16) * 257, GREY),
    "8 in 16 bits": (GREY.astype(np.uint16), GREY),
    "8 in 32 bits": (GREY.astype(np.int32), GREY),
    "floats to 1": ((GREY / 255).astype(np.float32), GREY),
    "floats to 255": (GREY.astype(np.float32), GREY),
    "one value": (np.full((9, 9), 65535, np.uint16), np.full((9, 9), 255)),
    "no value": (np.zeros((9, 9), np.float32), np.zeros((9, 9))),
}


@pytest.mark.parametrize("form", CODED)
def test_values_that_fill_what_they_are_coded_in_are_taken_as_they_are(form: str) -> None:
    values, expected = CODED[form]
    picture = decoded(tiff(values, photometric="minisblack"))
    assert np.array_equal(picture.pixels[..., 1], expected)
    assert not picture.notes


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(
    "layout",
    [{}, {"rowsperstrip": 7}, {"tile": (16, 32)}, {"compression": "zlib", "predictor": 2}],
    ids=str,
)
@pytest.mark.parametrize("scale", [1, 257, 10])
def test_bands_in_any_layout(planar: str, layout: dict[str, Any], scale: int) -> None:
    values = BANDS.astype(np.uint16) * scale if scale > 1 else BANDS
    stored = np.moveaxis(values, 2, 0) if planar == "separate" else values
    data = tiff(stored, photometric="minisblack", planarconfig=planar, **layout)
    picture = decoded(data)
    expected = stretched(values[..., :3]) if scale == 10 else RGB
    assert np.abs(picture.pixels - expected).max() <= 0.5 + 1e-6
    assert LEFT_OUT.what in whats(picture)
    assert (STRETCHED.what in whats(picture)) == (scale == 10)
    chosen = decoded(data, bands=(4, 3, 2))
    assert LEFT_OUT.what not in whats(chosen)
    if scale != 10:
        assert np.array_equal(chosen.pixels, BANDS[..., [3, 2, 1]])
        assert np.array_equal(decoded(data, bands=(4,)).pixels[..., 2], BANDS[..., 3])


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_what_libtiff_compresses(compression: str, predictor: int) -> None:
    values = (GREY * 20.0).astype(np.float32) if predictor == 3 else GREY.astype(np.uint16) * 16
    tags = {} if compression == "packbits" else {317: predictor}
    picture = decoded(saved(values, "TIFF", compression=compression, tiffinfo=tags))
    assert np.abs(picture.pixels[..., 0] - stretched(values)).max() <= 0.5 + 1e-6


def test_colours_of_16_bits() -> None:
    deep = np.random.default_rng(0).integers(0, 1 << 16, (30, 40, 4), np.uint16)
    for count, colour_type in ((3, 2), (2, 4), (4, 6)):
        part = deep[..., :count].copy()
        part[..., 3:] = 65535  # opaque
        part[..., 1 if count == 2 else 3 :] = 65535
        colours = part[..., : 1 if count == 2 else 3]
        # Full range: the upper byte, as Pillow has it.
        full = decoded(png16(part, colour_type))
        assert np.array_equal(full.pixels, np.broadcast_to(colours >> 8, full.pixels.shape))
        assert not full.notes
        dark = part.copy()
        dark[..., : colours.shape[2]] >>= 5
        picture = decoded(png16(dark, colour_type))
        wanted = stretched(dark[..., : colours.shape[2]])
        assert np.abs(picture.pixels - wanted).max() <= 0.5 + 1e-6
        assert whats(picture) == {STRETCHED.what}
    full = decoded(tiff(deep[..., :3]))
    assert np.array_equal(full.pixels, deep[..., :3] >> 8)
    picture = decoded(tiff(deep[..., :3] >> 4))
    assert np.abs(picture.pixels - stretched(deep[..., :3] >> 4)).max() <= 0.5 + 1e-6


def test_alpha_lies_over_white_and_other_extra_bands_do_not() -> None:
    alpha = np.where(COLUMNS < 30, 0, 4000).astype(np.uint16)
    values = np.dstack([RGB.astype(np.uint16) * 10, alpha])
    clear = decoded(tiff(values, extrasamples=["unassalpha"])).pixels
    assert (clear[:, :30] == 255).all()
    assert not (clear[:, 30:] == 255).all()
    infrared = decoded(tiff(values, extrasamples=["unspecified"]))
    assert whats(infrared) == {STRETCHED.what, LEFT_OUT.what}
    assert not (infrared.pixels[:, :30] == 255).all()


def test_what_is_transparent_all_over_is_shown_without() -> None:
    pixels = np.dstack([RGB, np.zeros_like(GREY)])
    for data in (saved(pixels), saved(pixels, "TIFF"), tiff(pixels.astype(np.uint16) * 9)):
        picture = decoded(data)
        assert picture.pixels.std() > 40
        assert CLEAR.what in whats(picture)


def test_low_values_may_be_bright() -> None:
    inverted = decoded(tiff(GREY.astype(np.uint16) * 257, photometric="miniswhite"))
    assert np.array_equal(inverted.pixels[..., 0], 255 - GREY)


@pytest.mark.parametrize("no_data", [-9999.0, float(np.finfo(np.float32).min), 7000.0])
def test_no_data_is_black_and_does_not_count(no_data: float) -> None:
    values = (273 + GREY / 10).astype(np.float32)
    values[:10], values[10, :3] = no_data, (np.nan, np.inf, -np.inf)
    tags = [(42113, "s", 0, str(no_data), True)] if no_data > 0 else []
    picture = decoded(tiff(values, photometric="minisblack", extratags=tags))
    assert (picture.pixels[:10] == 0).all()
    wanted = stretched(values[11:])
    assert np.abs(picture.pixels[11:, :, 0] - wanted).max() < 3


def test_a_hot_pixel_does_not_make_the_rest_black() -> None:
    values = GREY.astype(np.uint16) * 16
    values[3, 4] = 65535
    assert np.abs(decoded(saved(values)).pixels[..., 0] - stretched(values)).max() <= 0.5 + 1e-6


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tiff(GREY.astype(np.complex64), photometric="minisblack"), "has values of type complex64"),
        (tiff(np.full((9, 9), np.nan, np.float32), photometric="minisblack"), "has no values"),
        (tiff(BANDS, photometric="minisblack")[:-3000], "cut off|damaged|not a picture"),
        (tiff(np.zeros((600, 600, 5), np.uint8), photometric="minisblack"), "has 360,000 pixels"),
        (tiff(np.zeros((300, 300, 60), np.uint16), photometric="minisblack"), "bytes of values"),
    ],
    ids=["complex", "all NaN", "cut off", "too large", "too many bands"],
)
def test_what_cannot_be_read_is_refused_with_the_reason(data: bytes, said: str) -> None:
    with pytest.raises(UnreadablePicture, match=said) as caught:
        decoded(data, max_pixels=200_000)
    assert "\n" not in str(caught.value)


def test_a_band_that_is_not_there() -> None:
    with pytest.raises(
        UnreadablePicture, match=r"it\.tif has 5 bands, and no band 7; choose others"
    ):
        decoded(tiff(BANDS, photometric="minisblack"), bands=(7, 1, 1))


def test_a_bomb_is_read_no_further_than_its_header_says() -> None:
    data = tiff(BANDS[:8], photometric="minisblack", compression="zlib")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page = file.pages.first
        counts, offsets = page.tags[279], page.tags[273]
    bomb = zlib.compress(bytes(100_000_000))
    changed = bytearray(data + bomb)
    struct.pack_into("<I", changed, counts.valueoffset, len(bomb))
    struct.pack_into("<I", changed, offsets.valueoffset, len(data))
    tracemalloc.start()
    picture = decoded(bytes(changed))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not picture.pixels.any()
    assert peak < 5_000_000


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt", b"iCCP"])
@pytest.mark.parametrize("behind", [False, True])
def test_texts_of_any_length_do_not_matter(name: bytes, behind: bool) -> None:
    text = zlib.compress(bytes(20_000_000))
    body = {
        b"tEXt": b"a\0" + bytes(3_000_000),
        b"zTXt": b"a\0\0" + text,
        b"iTXt": b"a\0\1\0\0\0" + text,
        b"iCCP": b"a\0\0" + text,
    }[name]
    chunk = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(RGB, exif=exif)
    at = len(data) - 12 if behind else 33
    tracemalloc.start()
    picture = decoded(data[:at] + chunk + data[at:])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(picture.pixels, np.rot90(RGB, -1))
    assert peak < 15_000_000


@pytest.mark.parametrize("form", GREYS)
def test_arrays_are_scaled_as_files_are(form: str) -> None:
    values = GREYS[form]
    picture, _ = to_picture(values)
    in_file = decoded(tiff(values, photometric="minisblack"))
    assert np.array_equal(picture.pixels, in_file.pixels)
    data, notes = picture_file(values, where="pair 3")
    assert isinstance(data, bytes)
    assert np.array_equal(decoded(data).pixels, in_file.pixels)
    assert [(note.what, note.first) for note in notes] == [(STRETCHED.what, "pair 3")]


def test_bands_of_arrays() -> None:
    picture, _ = to_picture(BANDS, bands=(4, 3, 2))
    assert np.array_equal(picture.pixels, BANDS[..., [3, 2, 1]])
    with pytest.raises(UnreadablePicture, match=r"or \(H, W\) of whole numbers or floats, got"):
        to_picture(BANDS)
    with pytest.raises(UnreadablePicture, match="of at least 6 bands, got"):
        to_picture(BANDS, bands=(6,))


NUMBERS = st.one_of(
    arrays(np.uint16, (5, 6, 1)),
    arrays(np.int32, (5, 6, 1)),
    arrays(np.float32, (5, 6, 1), elements=st.floats(-1e6, 1e6, width=32)),
)


@given(values=NUMBERS)
def test_brighter_stays_brighter(values: NDArray[Any]) -> None:
    values = np.where(values == -9999, 0, values)
    values = np.where(values == -32768, 0, values).astype(values.dtype)
    pixels, notes = DeepPicture(values).to_rgb()
    order = np.argsort(values, axis=None, kind="stable")
    assert (np.diff(pixels[..., 0].ravel()[order].astype(int)) >= 0).all()
    if notes and np.ptp(values.astype(float)):
        assert pixels.min() == 0
        assert pixels.max() == 255


@given(
    values=arrays(np.uint8, (7, 8, 1)),
    factor=st.integers(2, 20),
    offset=st.integers(70_000, 90_000),
)
def test_the_own_range_has_neither_scale_nor_zero(
    values: NDArray[np.uint8], factor: int, offset: int
) -> None:
    shifted = values.astype(np.int32) * factor + offset
    plain = values.astype(np.int32) + 70_000
    if np.ptp(values):
        first, second = (DeepPicture(each).to_rgb()[0].astype(int) for each in (plain, shifted))
        assert np.abs(first - second).max() <= 1


DEEP_FILES = (
    tiff(BANDS.astype(np.uint16) * 10, photometric="minisblack"),
    tiff(RGB.astype(np.float32), tile=(16, 32), compression="zlib", bigtiff=True),
    tiff(GREY.astype(np.int16), photometric="minisblack", byteorder=">", rowsperstrip=7),
    png16(RGB.astype(np.uint16) * 9, 2),
)


@settings(max_examples=100)
@given(
    data=st.sampled_from(DEEP_FILES),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
    only_header=st.booleans(),
)
def test_damage_gives_a_picture_or_the_one_error(
    data: bytes, changes: list[tuple[float, int]], only_header: bool
) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[int(place * (300 if only_header else len(data) - 1))] = value
    try:
        picture = decoded(bytes(damaged), max_pixels=1_000_000)
    except UnreadablePicture as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert picture.pixels.ndim == 3
        assert picture.pixels.dtype == np.uint8


def test_tiles_far_larger_than_their_picture_are_refused() -> None:
    data = tiff(GREY.astype(np.uint16), tile=(16, 16), compression="zlib")
    tall = data.replace(
        struct.pack("<HHII", 323, 4, 1, 16), struct.pack("<HHII", 323, 4, 1, 1 << 21)
    )
    assert tall != data
    with pytest.raises(UnreadablePicture, match="has tiles of 16 x 2,097,152 pixels"):
        decode_picture(tall, name="a.tif")


def test_an_opened_image_is_read_as_its_file(tmp_path: Path) -> None:
    values = (np.arange(40 * 60 * 3).reshape(40, 60, 3) % 2600).astype(np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png16(values, 2))
    with Image.open(path) as image:
        opened, _ = to_picture(image)
    assert (opened.pixels == to_picture(path)[0].pixels).all()
    assert opened.notes
