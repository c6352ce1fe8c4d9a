import io

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from captionary.vision.pictures.thumbnails import crop_thumbnail, thumbnail
from tests.vision.pictures.test_loading import GRADIENT


def opened(jpeg: bytes) -> Image.Image:
    with Image.open(io.BytesIO(jpeg)) as image:
        image.load()
        return image


def test_thumbnail_keeps_the_aspect_and_is_the_same_each_time() -> None:
    pixels = np.repeat(np.repeat(GRADIENT, 10, axis=0), 10, axis=1)
    assert opened(thumbnail(pixels)).size == (192, 144)
    assert thumbnail(pixels) == thumbnail(pixels.copy())
    assert opened(thumbnail(GRADIENT)).size == (64, 48)
    assert opened(thumbnail(np.zeros((1, 5000, 3), np.uint8))).size == (192, 1)


def test_crop_thumbnail_shows_the_box() -> None:
    jpeg = thumbnail(np.repeat(np.repeat(GRADIENT, 10, axis=0), 10, axis=1))
    left = opened(crop_thumbnail(jpeg, box_xyxy=(0, 0, 160, 480), size_hw=(480, 640)))
    right = opened(crop_thumbnail(jpeg, box_xyxy=(480, 0, 640, 480), size_hw=(480, 640)))
    assert max(left.size) <= 96
    assert np.asarray(left)[..., 0].mean() > 180
    assert np.asarray(right)[..., 2].mean() > 180
    assert crop_thumbnail(b"", box_xyxy=(0, 0, 1, 1), size_hw=(1, 1)) == b""


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    extent=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_crop_thumbnail_never_fails(
    size: tuple[int, int], corner: tuple[float, float], extent: tuple[float, float]
) -> None:
    height, width = size
    small = max(height, width) / 192
    shape = (max(1, int(height / small)), max(1, int(width / small)), 3)
    jpeg = thumbnail(np.full(shape, 200, dtype=np.uint8))
    x0, y0 = int(corner[0] * (width - 1)), int(corner[1] * (height - 1))
    x1 = x0 + 1 + int(extent[0] * (width - 1 - x0))
    y1 = y0 + 1 + int(extent[1] * (height - 1 - y0))
    cut = opened(crop_thumbnail(jpeg, box_xyxy=(x0, y0, x1, y1), size_hw=size))
    assert min(cut.size) >= 1
    assert max(cut.size) <= 96
