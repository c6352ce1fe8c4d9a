import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.schemas.arrays import Vectors
from captionary.schemas.vectors import unit
from captionary.vocabulary.centring import CENTRING, centred, common_part


def cone(rows: int, *, seed: int, dim: int = 12) -> Vectors:
    """Unit vectors about one axis, as a CLIP makes them."""
    raw = np.random.default_rng(seed).normal(size=(rows, dim)) + 3 * np.eye(dim)[0]
    return unit(raw.astype(np.float32))


@given(st.integers(0, 9), st.integers(1, 40), st.floats(1e-6, 1e6))
def test_unit_keeps_directions_and_sets_lengths(rows: int, dim: int, scale: float) -> None:
    raw = np.random.default_rng(rows).normal(size=(rows, dim)).astype(np.float32)
    scaled = unit(raw * np.float32(scale))
    assert scaled.shape == raw.shape
    assert scaled.dtype == np.float32
    assert np.allclose(np.linalg.norm(scaled, axis=1), 1, atol=1e-5)
    assert np.allclose(scaled, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-5)


def test_unit_leaves_zeros_and_takes_a_single_vector() -> None:
    assert not unit(np.zeros((2, 3), np.float32)).any()
    assert np.allclose(unit(np.array([3, 4], np.float32)), [0.6, 0.8])


@pytest.mark.parametrize("pictures", [1, 10, 1000])
def test_common_part_is_a_share_of_the_mean_that_grows_with_pictures(pictures: int) -> None:
    vectors = cone(50, seed=1)
    expected = CENTRING * pictures / (pictures + 10) * vectors.mean(axis=0)
    assert np.allclose(common_part(vectors, pictures=pictures), expected, atol=1e-6)


def test_nothing_is_common_to_no_vectors() -> None:
    common = common_part(np.zeros((0, 12), np.float32), pictures=0)
    assert common.shape == (12,)
    assert not common.any()
    assert np.allclose(centred(cone(4, seed=2), common), cone(4, seed=2), atol=1e-6)


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(0, 5))
def test_centred_vectors_are_unit_and_less_alike(rows: int, seed: int) -> None:
    vectors = cone(rows, seed=seed)
    plain = centred(vectors, common_part(vectors, pictures=200))
    assert np.allclose(np.linalg.norm(plain, axis=1), 1, atol=1e-5)
    if rows > 2:
        assert (plain @ plain.T).mean() < (vectors @ vectors.T).mean()


def test_even_identical_vectors_can_be_centred() -> None:
    vectors = np.repeat(cone(1, seed=3), 20, axis=0)
    plain = centred(vectors, common_part(vectors, pictures=1_000_000))
    assert np.allclose(np.linalg.norm(plain, axis=1), 1, atol=1e-5)
