"""Areas that people point at, as masks of their pictures at the size that these are cut at."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captionary.schemas.arrays import Mask
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.pointing import Area, BoxArea, MaskArea, PolygonArea, RleArea
from captionary.vision.pictures.areas import area_mask
from captionary.vision.pictures.rle import decode_mask, encode_mask, run_lengths

NAN = float("nan")
HW = (6, 8)

SIDES = st.integers(1, 40)


def of(area: Area, to_hw: tuple[int, int] = HW, size_hw: tuple[int, int] = HW) -> list[str]:
    """The rows of a mask, # for a pixel."""
    mask = area_mask(area, size_hw=size_hw, to_hw=to_hw)
    assert mask.shape == to_hw
    assert mask.dtype == np.bool_
    return ["".join(".#"[int(pixel)] for pixel in row) for row in mask]


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    height, width = draw(SIDES), draw(SIDES)
    size = height * width
    packed = draw(st.binary(min_size=-(-size // 8), max_size=-(-size // 8)))
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=size)
    return bits.reshape(height, width).astype(np.bool_)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[BoxArea, tuple[int, int]]:
    """A box of whole pixels within a picture of some size."""
    height, width = draw(SIDES), draw(SIDES)
    left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    right = draw(st.integers(left + 1, width))
    bottom = draw(st.integers(top + 1, height))
    return BoxArea(left, top, right - left, bottom - top), (height, width)


@given(masks())
def test_run_lengths_give_the_mask_back(mask: Mask) -> None:
    area = encode_mask(mask)
    counts = tuple(run_lengths(area).tolist())

    assert area.size_hw == mask.shape
    for form in (area, RleArea(counts, area.size_hw)):
        np.testing.assert_array_equal(decode_mask(form), mask)
        if mask.any():
            found = area_mask(form, size_hw=area.size_hw, to_hw=area.size_hw)
            np.testing.assert_array_equal(found, mask)


def test_run_lengths_of_large_masks() -> None:
    rng = np.random.default_rng(1)
    mask = np.repeat(rng.random((400, 3)) < 0.1, 500, axis=1)

    np.testing.assert_array_equal(decode_mask(encode_mask(mask)), mask)


@given(st.text(max_size=12), st.integers(-1, 9), st.integers(-1, 9))
def test_texts_that_are_no_run_lengths_are_refused(text: str, height: int, width: int) -> None:
    area = RleArea(text, (height, width))
    with suppress(WrongInput):
        assert decode_mask(area).shape == (height, width)


@given(boxes())
def test_a_box_a_polygon_and_its_run_lengths_are_the_same_area(
    given_box: tuple[BoxArea, tuple[int, int]],
) -> None:
    box, size_hw = given_box
    x0, y0, x1, y1 = box.left, box.top, box.left + box.width, box.top + box.height
    polygon = PolygonArea(((x0, y0, x1, y0, x1, y1, x0, y1),))
    expected = np.zeros(size_hw, np.bool_)
    expected[int(y0) : int(y1), int(x0) : int(x1)] = True

    for area in (box, polygon, encode_mask(expected)):
        found = area_mask(area, size_hw=size_hw, to_hw=size_hw)
        np.testing.assert_array_equal(found, expected)


@given(boxes(), SIDES, SIDES)
def test_no_area_vanishes_from_a_smaller_picture(
    given_box: tuple[BoxArea, tuple[int, int]], height: int, width: int
) -> None:
    box, size_hw = given_box
    to_hw = min(height, size_hw[0]), min(width, size_hw[1])
    full = area_mask(box, size_hw=size_hw, to_hw=size_hw)

    small = area_mask(box, size_hw=size_hw, to_hw=to_hw)
    encoded = area_mask(encode_mask(full), size_hw=size_hw, to_hw=to_hw)

    assert small.any()
    assert encoded.any()
    assert small.mean() <= full.mean() + 2 / min(to_hw)


def test_a_box_is_cut_at_the_edges_and_covers_centres() -> None:
    assert of(BoxArea(-3, 4.4, 5.6, 90)) == ["........"] * 4 + ["###....."] * 2
    assert of(BoxArea(3.6, 2, 0.2, 1)) == ["........"] * 2 + ["...#...."] + ["........"] * 3


def test_polygons_are_united_and_may_reach_over_the_edge() -> None:
    two = PolygonArea(((0, 0, 2, 0, 2, 2, 0, 2), (1, 0, 4, 0, 4, 1, 1, 1)))
    assert of(two)[:3] == ["####....", "##......", "........"]
    assert of(PolygonArea(((6, -2, 12, -2, 12, 3, 6, 3),)))[:4] == ["......##"] * 3 + ["........"]


def test_a_small_area_keeps_its_nearest_pixel() -> None:
    dot = np.zeros((60, 80), np.bool_)
    dot[59, 41] = True
    polygon = PolygonArea(((41, 59, 42, 59, 42, 60, 41, 60),))

    tiny = PolygonArea(((41.1, 59.1, 41.2, 59.1, 41.2, 59.2),))

    for area in (BoxArea(41, 59, 1, 1), polygon, tiny, encode_mask(dot)):
        assert of(area, size_hw=(60, 80)) == ["........"] * 5 + ["....#..."]


def test_a_ring_keeps_a_pixel_of_its_own() -> None:
    ring = np.ones((9, 9), np.bool_)
    ring[1:8, 1:8] = False

    assert of(encode_mask(ring), (1, 1), (9, 9)) == ["#"]


@pytest.mark.parametrize(
    ("area", "message"),
    [
        (BoxArea(1, 1, 0, 3), "the box [1, 1, 0, 3] has no area"),
        (BoxArea(NAN, 1, 2, 3), "the box [nan, 1, 2, 3] has no area"),
        (BoxArea(8, 1, 2, 3), "the box [8, 1, 2, 3] lies outside of its picture of 8 x 6 pixels"),
        (BoxArea(1, -9, 2, 3), "lies outside"),
        (PolygonArea(()), "there is no polygon"),
        (PolygonArea(((1, 1, 2, 2),)), "the polygon [1, 1, 2, 2] is none"),
        (PolygonArea(((1, 1, 2, 2, 3, 3, 4),)), "the polygon [1, 1, 2, 2, 3, 3, ...] is none"),
        (PolygonArea(((1, 1, 2, 2, 3, NAN),)), "is none"),
        (PolygonArea(((1, 1, 2, 2, 3e9, 3),)), "the point [3e+09, 3] of a polygon lies far"),
        (PolygonArea(((9, 1, 12, 1, 12, 4),)), "a polygon lies outside of its picture of 8 x 6"),
        (PolygonArea(((1, 1, 4, 4, 1, 1),)), "the polygon [1, 1, 4, 4, 1, 1] has no area"),
        (PolygonArea(((-8, 0, 16, 0) * 100_000,)), "crosses its picture hundreds of times"),
        (RleArea((48,), HW), "it covers no pixel"),
        (RleArea((40, 7), HW), "its counts add up to 47 pixels but a mask of 8 x 6 has 48"),
        (RleArea((50, -2), HW), "no run lengths of a mask of 8 x 6 pixels"),
        (RleArea((1 << 70,), HW), "its counts are no run lengths"),
        (RleArea("\u00e9", HW), "no text of COCO's"),
        (RleArea("_" * 30 + "0", HW), "no text of COCO's"),
        (RleArea((0, 48), (8, 6)), "the mask is 6 x 8 pixels but its picture is 8 x 6 pixels"),
        (RleArea((), (0, 0)), "its counts are no run lengths"),
        (RleArea((1,), (10**4000, 10**4000)), "its size is of no picture"),
    ],
)
def test_what_is_no_area_is_refused(area: Area, message: str) -> None:
    with pytest.raises(WrongInput) as caught:
        of(area)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def write_mask(path: Path, values: object) -> str:
    Image.fromarray(np.array(values, np.uint8)).save(path)
    return str(path)


def test_mask_files_are_read_by_their_values(tmp_path: Path) -> None:
    name = write_mask(tmp_path / "m.png", [[0, 0, 3], [255, 7, 0]])

    assert of(MaskArea(name), (2, 3), (2, 3)) == ["..#", "##."]
    assert of(MaskArea(name, (3, 7)), (2, 3), (2, 3)) == ["..#", ".#."]
    assert of(MaskArea(f"file://{name}", (255,)), (2, 3), (2, 3)) == ["...", "#.."]


def test_a_mask_file_is_turned_as_its_picture_is(tmp_path: Path) -> None:
    name = write_mask(tmp_path / "m.png", [[0, 0, 1], [0, 0, 1]])

    mask = area_mask(MaskArea(name), size_hw=(3, 2), to_hw=(3, 2), orientation=6)

    assert mask.tolist() == [[False] * 2, [False] * 2, [True] * 2]


def test_mask_files_that_are_none(tmp_path: Path) -> None:
    name = write_mask(tmp_path / "m.png", [[0, 0, 3]])
    (tmp_path / "text.png").write_text("no mask")

    with pytest.raises(WrongInput, match=r"m\.png has no pixel of the value 1, 2"):
        of(MaskArea(name, (1, 2)), (1, 3), (1, 3))
    with pytest.raises(UnreadablePicture, match="is 3 x 1 pixels but its picture is 8 x 6"):
        of(MaskArea(name))
    with pytest.raises(UnreadablePicture, match="does not exist"):
        of(MaskArea(f"{tmp_path}/none.png"))
    with pytest.raises(UnreadablePicture, match=r"the mask memory://none\.png cannot be read"):
        of(MaskArea("memory://none.png"))
    with pytest.raises(UnreadablePicture, match="cannot be read"):
        of(MaskArea(str(tmp_path / "text.png")))
