import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.segmenter.drawing.legend import LegendEntry, draw_legend
from captionary.segmenter.drawing.lettering import Lettering
from captionary.segmenter.drawing.overlay import draw_classes, draw_overlay
from captionary.segmenter.drawing.palette import DISTINCT, GREY, class_colours

CLASSES = (
    "cat",
    "sky",
    "a class whose name is rather long, and longer than any legend is wide " * 3,
)


@settings(max_examples=12)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32))
def test_any_small_picture_can_be_drawn(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    class_map = rng.integers(0, rng.integers(1, 4), (height, width)).astype(np.int32)
    drawn = draw_overlay(image, class_map, CLASSES)
    assert drawn.dtype == np.uint8
    assert drawn.shape[1] >= 400
    assert drawn.shape[0] > round(height * 800 / max(height, width))


@pytest.mark.parametrize(
    ("size_hw", "drawn_width"), [((480, 640), 800), ((600, 1200), 1200), ((1500, 3000), 1600)]
)
def test_sizes_stay_within_bounds(size_hw: tuple[int, int], drawn_width: int) -> None:
    image = np.full((*size_hw, 3), 128, np.uint8)
    drawn = draw_overlay(image, np.zeros(size_hw, np.int32), CLASSES)
    assert drawn.shape[1] == drawn_width


def test_the_picture_wears_the_colours_of_its_classes() -> None:
    image = np.full((100, 100, 3), 128, np.uint8)
    class_map = np.repeat(np.array([[0, 1]], np.int32), 50, axis=1).repeat(100, axis=0)
    drawn = draw_overlay(image, class_map, CLASSES).astype(int)
    colours = class_colours(CLASSES).astype(int)
    left, right = drawn[50, 50], drawn[50, 750]
    assert np.abs(left - colours[0]).sum() < np.abs(left - colours[1]).sum()
    assert np.abs(right - colours[1]).sum() < np.abs(right - colours[0]).sum()
    assert (drawn[50, 398:402] > 200).all(axis=1).any()


def test_a_plain_class_is_named_once_in_its_largest_part() -> None:
    image = np.full((100, 300, 3), 128, np.uint8)
    class_map = np.zeros((100, 300), np.int32)
    class_map[:, 100:120] = 1
    colours = class_colours(CLASSES[:2])

    def names(plain: list[int]) -> tuple[bool, bool]:
        """Whether the left part of the first class bears its name, and the right part."""
        drawn = np.asarray(
            draw_classes(
                *(image, class_map, CLASSES[:2]),
                colours=colours,
                size=(300, 100),
                lettering=Lettering(CLASSES[:2], size=18),
                plain=plain,
            )
        )
        return bool(np.ptp(drawn[:, :95]) > 60), bool(np.ptp(drawn[:, 125:]) > 60)

    assert names([0]) == (False, True)
    assert names([1]) == (True, True)


def test_drawing_changes_nothing_and_repeats() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (50, 60, 3), np.uint8)
    class_map = rng.integers(0, 3, (50, 60)).astype(np.int32)
    before = image.copy(), class_map.copy()
    first = draw_overlay(image, class_map, CLASSES)
    np.testing.assert_array_equal(draw_overlay(image, class_map, CLASSES), first)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(class_map, before[1])


def test_colours_are_distinct_and_depend_on_place_alone() -> None:
    colours = class_colours(tuple(f"class {index}" for index in range(DISTINCT)))
    assert len({tuple(colour) for colour in colours.tolist()}) == DISTINCT
    np.testing.assert_array_equal(class_colours(("a", "b", "c")), colours[:3])
    assert len(class_colours(("a",) * (DISTINCT + 5))) == DISTINCT + 5


def test_the_background_is_grey() -> None:
    colours = class_colours(("cat", "Background", "sky"))
    assert tuple(colours[1]) == GREY
    np.testing.assert_array_equal(colours[[0, 2]], class_colours(("cat", "x", "sky"))[[0, 2]])


@pytest.mark.parametrize("count", [1, 2, 7, 45])
@pytest.mark.parametrize("width", [400, 1600])
def test_every_entry_of_the_legend_is_shown(count: int, width: int) -> None:
    colours = class_colours(tuple(str(index) for index in range(count)))
    entries = [
        LegendEntry(f"class {index}", tuple(colours[index].tolist()), 1 / count)
        for index in range(count)
    ]
    legend = draw_legend(entries, width=width, lettering=Lettering((), size=18))
    assert legend.width == width
    shown = legend.getcolors(1 << 24)
    assert shown is not None
    assert {entry.colour for entry in entries} <= {colour for _, colour in shown}
