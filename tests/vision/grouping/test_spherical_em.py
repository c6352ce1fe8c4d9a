import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from captionary.vision.grouping.spherical_em import centre_tokens, farthest_points, spherical_em


def sphere(count: int, dim: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(count, dim, generator=random).double(), dim=1)


def by_hand(
    vectors: np.ndarray, start: np.ndarray, iterations: int, kappa: float
) -> tuple[np.ndarray, np.ndarray]:
    centres = start.copy()
    for step in range(iterations + 1):
        shares = np.empty((len(vectors), len(centres)))
        for row, vector in enumerate(vectors):
            weight = np.array([np.exp(kappa * vector @ centre) for centre in centres])
            shares[row] = weight / weight.sum()
        if step == iterations:
            break
        for column in range(len(centres)):
            total = sum(
                share * vector for share, vector in zip(shares[:, column], vectors, strict=True)
            )
            if np.linalg.norm(total) > 1e-12:
                centres[column] = total / np.linalg.norm(total)
    return centres, shares


@settings(max_examples=25)
@given(
    count=st.integers(1, 20),
    groups=st.integers(1, 6),
    iterations=st.integers(0, 6),
    kappa=st.floats(0.5, 40),
    seed=st.integers(0, 99),
)
def test_em_equals_plain_loops(
    count: int, groups: int, iterations: int, kappa: float, seed: int
) -> None:
    vectors, start = sphere(count, 5, seed), sphere(groups, 5, seed + 100)
    centres, shares = spherical_em(vectors, start, iterations=iterations, kappa=kappa)
    expected = by_hand(vectors.numpy(), start.numpy(), iterations, kappa)
    np.testing.assert_allclose(centres, expected[0], atol=1e-9)
    np.testing.assert_allclose(shares, expected[1], atol=1e-9)


@settings(max_examples=25)
@given(count=st.integers(2, 8), seed=st.integers(0, 99))
def test_centred_tokens_equal_plain_loops(count: int, seed: int) -> None:
    tokens = sphere(count, 4, seed) * torch.arange(1, count + 1)[:, None]

    own = centre_tokens(tokens)

    unit = [row / np.linalg.norm(row) for row in tokens.numpy()]
    mean = sum(unit) / count
    for row, vector in zip(unit, own.numpy(), strict=True):
        if np.linalg.norm(row - mean) > 1e-9:
            expected = (row - mean) / np.linalg.norm(row - mean)
            np.testing.assert_allclose(vector, expected, atol=1e-7)


def test_em_of_a_batch_equals_em_of_each() -> None:
    vectors, start = sphere(60, 4, 1).view(3, 20, 4), sphere(15, 4, 2).view(3, 5, 4)
    batch = spherical_em(vectors, start, iterations=4, kappa=10)
    for number in range(3):
        alone = spherical_em(vectors[number], start[number], iterations=4, kappa=10)
        torch.testing.assert_close(batch[0][number], alone[0])
        torch.testing.assert_close(batch[1][number], alone[1])


def test_a_centre_without_vectors_stays() -> None:
    vectors = torch.tensor([[1.0, 0.0], [0.9986, 0.0523]])
    start = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    centres, shares = spherical_em(vectors, start, iterations=5, kappa=1000)
    assert centres.isfinite().all()
    torch.testing.assert_close(centres[1], start[1])
    assert shares[:, 0].min() > 0.999


def test_em_finds_planted_clusters() -> None:
    planted = sphere(5, 16, 3)
    truth = np.repeat(np.arange(5), 40)
    noisy = planted[truth] + 0.1 * sphere(200, 16, 4)
    vectors = torch.nn.functional.normalize(noisy, dim=1)
    centres, shares = spherical_em(vectors, farthest_points(vectors, 5), iterations=10, kappa=20)
    assert adjusted_rand_score(truth, shares.argmax(dim=1)) == 1
    assert (centres @ planted.T).max(dim=0).values.min() > 0.99


@settings(max_examples=25)
@given(count=st.integers(3, 30), wanted=st.integers(1, 12), seed=st.integers(0, 99))
def test_farthest_points_equal_a_plain_search(count: int, wanted: int, seed: int) -> None:
    vectors = sphere(count, 3, seed)
    mean = vectors.mean(dim=0)
    chosen = [int((vectors @ mean).argmin())]
    while len(chosen) < min(wanted, count):
        likeness = [max(float(row @ vectors[one]) for one in chosen) for row in vectors]
        chosen.append(int(np.argmin(likeness)))
    torch.testing.assert_close(farthest_points(vectors, wanted), vectors[chosen])


@pytest.mark.parametrize(("repeated", "different"), [(1, 1), (9, 1), (9, 3)])
def test_no_point_is_sampled_twice(repeated: int, different: int) -> None:
    vectors = sphere(different, 4, 0).repeat(repeated, 1)
    assert len(farthest_points(vectors, 8)) == different
