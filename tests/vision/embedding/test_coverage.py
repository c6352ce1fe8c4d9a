import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.schemas.regions import Region
from captionary.vision.embedding.coverage import coverage, overlaps

sides = st.integers(1, 12)


@settings(max_examples=50)
@given(rows=sides, columns=sides, height=sides, width=sides, seed=st.integers(0, 99))
def test_equals_counting_on_a_finer_grid(
    rows: int, columns: int, height: int, width: int, seed: int
) -> None:
    """Every pixel is cut so finely that each piece lies in one cell."""
    random = np.random.default_rng(seed)
    mask = random.random((height, width)) > 0.6
    mask[seed % height, seed % width] = True
    fine = mask.repeat(rows, axis=0).repeat(columns, axis=1)
    expected = fine.reshape(rows, height, columns, width).mean(axis=(1, 3))
    actual = coverage([Region(mask)], (rows, columns))
    np.testing.assert_allclose(actual, expected.reshape(1, -1), atol=1e-5)
    assert actual.max() > 0


def test_the_smallest_region_covers_something() -> None:
    mask = np.zeros((4000, 3000), dtype=np.bool_)
    mask[1234, 567] = True
    shares = coverage([Region(mask), Region(~mask)], (14, 14))
    assert shares.shape == (2, 196)
    assert (shares[0] > 0).sum() == 1
    assert shares.max() <= 1


def test_no_regions() -> None:
    assert coverage([], (3, 4)).shape == (0, 12)


def test_each_cell_is_filled_by_its_pixels() -> None:
    shares = overlaps(3, 7)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    assert shares[1].tolist() == pytest.approx([0, 0, 2 / 7, 3 / 7, 2 / 7, 0, 0], abs=1e-6)
