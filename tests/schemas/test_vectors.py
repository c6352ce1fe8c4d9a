"""Unit vectors, half precision, and what regions are compared with each other by."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.arrays import Vectors
from captionary.schemas.dictionary import Prototype
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import half, unit


@given(seed=st.integers(0, 99), dim=st.integers(1, 2000))
def test_half_precision_is_close_and_has_itself(seed: int, dim: int) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(3, dim)).astype(np.float32))
    rounded = half(vectors)
    assert rounded.dtype == np.float32
    assert np.array_equal(half(rounded), rounded)
    assert np.abs(np.linalg.norm(rounded, axis=1) - 1).max() < 1e-3
    np.testing.assert_allclose(rounded, vectors, rtol=2**-11, atol=2**-25)


TABLE = RegionTable(
    unit(np.ones((2, 3), np.float32)), np.zeros((2, 4), np.int32), np.full(2, 0.5, np.float32)
)
PROTOTYPE = Prototype("dog", 0, TABLE.vectors[0], 1, 0.0, "g")


def test_looks_are_the_look_vectors_where_there_are_any() -> None:
    looks = unit(np.ones((2, 5), np.float32))
    assert TABLE.looks is TABLE.vectors
    assert replace(TABLE, look_vectors=looks).looks is looks
    assert PROTOTYPE.look is PROTOTYPE.vector
    assert replace(PROTOTYPE, look_vector=looks[0]).look.shape == (5,)


@pytest.mark.parametrize("looks", [np.ones((3, 5), np.float32), np.ones(2, np.float32)])
def test_look_vectors_are_one_a_region(looks: Vectors) -> None:
    with pytest.raises(ValueError, match=r"needs \(2, L\) look_vectors"):
        replace(TABLE, look_vectors=looks)
