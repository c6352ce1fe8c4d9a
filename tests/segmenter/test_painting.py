import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from captionary.schemas.arrays import Mask, Scores
from captionary.schemas.regions import Region
from captionary.segmenter import painting
from captionary.segmenter.painting import paint


def slow_scores(regions: list[Region], scores: Scores) -> tuple[NDArray[np.float64], Mask]:
    """The formula, pixel by pixel: (H, W, C) scores, and (H, W) whether any region covers it."""
    total = np.zeros((*regions[0].mask.shape, scores.shape[1]))
    mass = np.zeros(regions[0].mask.shape)
    for region, row in zip(regions, scores, strict=True):
        logs = np.log(np.maximum(row.astype(np.float64), painting.LEAST))
        weight = 1 / (1 + painting.LARGENESS * region.mask.mean())
        total += np.where(region.mask[..., None], weight * logs, 0)
        mass += weight * region.mask
    return np.exp(total / np.where(mass > 0, mass, 1)[..., None]), mass > 0


@st.composite
def painted(draw: st.DrawFn) -> tuple[list[Region], Scores]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    count, classes = draw(st.integers(1, 9)), draw(st.integers(1, 5))
    regions = []
    for _ in range(count):
        mask = rng.random((height, width)) < draw(st.sampled_from([0.05, 0.5, 1.0]))
        mask.flat[rng.integers(mask.size)] = True
        regions.append(Region(mask, int(rng.integers(3))))
    return regions, rng.random((count, classes)).astype(np.float32)


@given(painted())
def test_equals_the_plain_formula(case: tuple[list[Region], Scores]) -> None:
    regions, scores = case
    class_map, confidence = paint(regions, scores)
    expected, covered = slow_scores(regions, scores)
    assert class_map.dtype == np.int32
    assert confidence.dtype == np.float32
    rows, columns = np.nonzero(covered)
    np.testing.assert_allclose(confidence[covered], expected[covered].max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        expected[rows, columns, class_map[covered]], expected[covered].max(axis=1), rtol=1e-5
    )
    here = np.argwhere(covered)
    for row, column in np.argwhere(~covered):
        distance = np.hypot(*(here - (row, column)).T)
        nearest = here[distance <= distance.min() + 1e-9]
        assert class_map[row, column] in class_map[tuple(nearest.T)]
        assert confidence[row, column] in confidence[tuple(nearest.T)]


@given(painted(), st.integers(1, 3))
def test_cells_scored_in_parts_give_the_same(
    case: tuple[list[Region], Scores], at_once: int
) -> None:
    whole = paint(*case)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painting, "CELLS_AT_ONCE", at_once)
        np.testing.assert_array_equal(paint(*case), whole)


@pytest.mark.parametrize("span", [1 << 10, 1 << 40])
def test_both_ways_of_renumbering_agree(span: int) -> None:
    codes = np.array([[7, 3], [3, 900]])
    values, ranks = painting._renumber(codes, span=span)
    np.testing.assert_array_equal(values, [3, 7, 900])
    np.testing.assert_array_equal(ranks, [[1, 0], [0, 2]])


def test_a_single_pixel_paints_the_whole_picture() -> None:
    mask = np.zeros((5, 7), bool)
    mask[2, 3] = True
    class_map, confidence = paint([Region(mask)], np.array([[0.25, 0.75]], np.float32))
    assert (class_map == 1).all()
    assert (confidence == np.float32(0.75)).all()


def test_overlapping_regions_are_pooled_by_the_geometric_mean() -> None:
    whole = Region(np.ones((2, 2), bool))
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    class_map, confidence = paint([whole, whole], scores)
    assert (class_map == 0).all()
    np.testing.assert_allclose(confidence, np.sqrt(0.9 * 0.2), rtol=1e-6)


def test_wrong_lengths_are_refused() -> None:
    whole = Region(np.ones((2, 2), bool))
    with pytest.raises(ValueError, match="got 1 and \\(2, 3\\)"):
        paint([whole], np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="got 0"):
        paint([], np.zeros((0, 3), np.float32))


def test_the_larger_a_region_the_less_it_says_of_a_pixel() -> None:
    """Its weight is 1 / (1 + 10 area): of the whole picture 1/11, of a quarter 2/7."""
    whole, quarter = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    quarter[:2, :2] = True
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    class_map, confidence = paint([Region(whole), Region(quarter)], scores)
    assert (class_map == quarter).all()
    shares = np.array([1 / 11, 2 / 7]) / (1 / 11 + 2 / 7)
    np.testing.assert_allclose(confidence[quarter], np.prod(scores[:, 1] ** shares), rtol=1e-5)
    np.testing.assert_allclose(confidence[~quarter], 0.9, rtol=1e-5)
    class_map, _ = paint([Region(whole), Region(quarter)], scores, largeness=0)
    assert (class_map == 0).all()  # each alike
