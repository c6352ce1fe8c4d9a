import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from captionary.indexer.clustering import MOST, cluster
from captionary.schemas.arrays import Vectors
from captionary.schemas.vectors import unit

DIM = 16


def blobs(sizes: list[int], *, noise: float = 0.03, seed: int = 0) -> Vectors:
    """Unit vectors about as many axes as there are sizes, in mixed order."""
    chance = np.random.default_rng(seed)
    axes = np.repeat(np.eye(DIM)[: len(sizes)], sizes, axis=0)
    raw = axes + noise * chance.normal(size=axes.shape)
    return unit(chance.permutation(raw).astype(np.float32))


def test_one_blob_is_one_prototype_at_its_mean() -> None:
    vectors = blobs([40], noise=0.1)
    found = cluster(vectors)
    assert found.centres.shape == (1, DIM)
    assert np.allclose(found.centres[0], unit(vectors.mean(axis=0)), atol=1e-6)
    assert not found.assignment.any()


@pytest.mark.parametrize("sizes", [[4, 4], [9, 14], [50, 20], [12, 30, 21], [10] * 5])
def test_far_blobs_are_a_prototype_each_largest_first(sizes: list[int]) -> None:
    vectors = blobs(sizes)
    found = cluster(vectors)
    assert np.bincount(found.assignment).tolist() == sorted(sizes, reverse=True)
    axes = vectors.argmax(axis=1)
    for number, centre in enumerate(found.centres):
        assert len(set(axes[found.assignment == number])) == 1
        assert centre.argmax() == axes[found.assignment == number][0]


def test_two_prototypes_are_the_centres_of_k_means() -> None:
    vectors = blobs([25, 15], noise=0.08)
    found = cluster(vectors)
    expected = unit(KMeans(2, n_init=4, random_state=1).fit(vectors).cluster_centers_)
    order = np.argmax(found.centres @ expected.T, axis=1)
    assert sorted(order) == [0, 1]
    assert np.allclose(found.centres, expected[order], atol=1e-5)


def test_the_same_vectors_give_the_same_clusters() -> None:
    vectors = blobs([30, 20, 25], noise=0.12)
    first, again = cluster(vectors), cluster(vectors.copy())
    assert first.centres.tobytes() == again.centres.tobytes()
    assert first.assignment.tolist() == again.assignment.tolist()


def test_clusters_of_one_size_come_in_the_order_of_their_vectors() -> None:
    axes = [3, 1, 4, 0, 2]
    vectors = np.eye(DIM, dtype=np.float32)[axes * 6]
    assert cluster(vectors).centres.argmax(axis=1).tolist() == axes


def test_few_vectors_are_never_split() -> None:
    assert len(cluster(blobs([4, 3])).centres) == 1


def test_a_single_vector_is_its_own_prototype() -> None:
    vectors = blobs([1])
    assert np.allclose(cluster(vectors).centres, vectors, atol=1e-6)


@pytest.mark.parametrize("copies", [2, 8, 100])
def test_identical_vectors_are_one_prototype(copies: int) -> None:
    vectors = np.repeat(blobs([1]), copies, axis=0)
    assert np.allclose(cluster(vectors).centres, vectors[:1], atol=1e-6)


def test_two_looks_without_any_spread_are_two() -> None:
    vectors = np.eye(DIM, dtype=np.float32)[[0] * 20 + [1] * 12]
    assert np.allclose(cluster(vectors).centres, np.eye(DIM)[:2])


def test_vectors_that_cancel_out_still_give_a_unit_prototype() -> None:
    vectors = np.eye(DIM, dtype=np.float32)[[0, 0]] * np.array([[1], [-1]], np.float32)
    assert np.allclose(cluster(vectors).centres, vectors[:1])


@settings(max_examples=25)
@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6),
    st.sampled_from([0.0, 0.05, 0.5, 3.0]),
    st.integers(0, 99),
)
def test_clusters_partition_and_centres_are_unit(sizes: list[int], noise: float, seed: int) -> None:
    vectors = blobs(sizes, noise=noise, seed=seed)
    found = cluster(vectors)
    assert found.assignment.shape == (len(vectors),)
    assert set(found.assignment.tolist()) == set(range(len(found.centres)))
    assert 1 <= len(found.centres) <= MOST
    assert np.allclose(np.linalg.norm(found.centres, axis=1), 1, atol=1e-5)
    counts = np.bincount(found.assignment)
    assert (np.diff(counts) <= 0).all()
