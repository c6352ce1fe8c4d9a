from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from captionary.indexer.association import (
    FARTHEST,
    KNOWN_PRIOR,
    NEIGHBOURS,
    Floats,
    Ints,
    blended,
    consistency,
    consistency_trust,
    largest,
    mean_and_spread,
    one_to_one,
    separation,
    standardised,
    text_trust,
)
from captionary.schemas.arrays import Vectors
from captionary.schemas.vectors import unit

SEEDS = st.integers(0, 2**32 - 1)


def vectors_of(rows: int, chance: np.random.Generator, dim: int = 8) -> Vectors:
    return unit(chance.normal(size=(rows, dim)).astype(np.float32))


def pictures_of(rows: int, pictures: int, chance: np.random.Generator) -> Ints:
    """A picture for each row, rising, each of the pictures at least once."""
    extra = chance.integers(0, pictures, rows - pictures)
    return np.sort(np.concatenate([np.arange(pictures), extra])).astype(np.int64)


def found_consistency(
    vectors: Vectors, picture: Ints, having: Vectors, having_picture: Ints, lacking: Vectors
) -> Floats:
    far = largest(vectors @ lacking.T, FARTHEST)
    return consistency(
        vectors,
        picture,
        having=having,
        having_picture=having_picture,
        far=far,
        lacking=len(lacking),
    )


def slow_consistency(
    vectors: Vectors, picture: Ints, having: Vectors, having_picture: Ints, lacking: Vectors
) -> list[float]:
    """The definition, a region at a time."""
    pictures = set(having_picture.tolist())
    near_count = min(NEIGHBOURS, len(pictures) - 1)
    far_count = min(FARTHEST, max(1, round(near_count * len(lacking) / len(having))))
    found = []
    for vector, own in zip(vectors, picture, strict=True):
        near = [
            float(vector @ other)
            for other, where in zip(having, having_picture, strict=True)
            if where != own
        ]
        far = [float(vector @ other) for other in lacking]
        nearest, farthest = sorted(near)[-near_count:], sorted(far)[-far_count:]
        found.append(sum(nearest) / len(nearest) - sum(farthest) / len(farthest))
    return found


@settings(max_examples=60)
@given(SEEDS, st.integers(2, 9), st.integers(0, 20), st.integers(1, 120), st.integers(1, 9))
def test_consistency_is_its_definition(
    seed: int, pictures: int, more: int, lacking: int, compared: int
) -> None:
    chance = np.random.default_rng(seed)
    picture = pictures_of(pictures + more, pictures, chance)
    vectors = vectors_of(len(picture), chance)
    # As in use: regions of all pictures are judged, those of the first few are compared with.
    stop = int(np.searchsorted(picture, max(2, min(compared, pictures))))
    far = vectors_of(lacking, chance)
    found = found_consistency(vectors, picture, vectors[:stop], picture[:stop], far)
    expected = slow_consistency(vectors, picture, vectors[:stop], picture[:stop], far)
    assert found.dtype == np.float32
    assert np.allclose(found, expected, atol=1e-5)


def test_consistency_ignores_the_regions_of_the_own_picture() -> None:
    chance = np.random.default_rng(1)
    vectors = vectors_of(6, chance)
    vectors[1] = vectors[0]
    picture = np.array([0, 0, 1, 1, 2, 2])
    found = found_consistency(vectors, picture, vectors, picture, vectors_of(5, chance))
    assert found[0] < 0.9


def test_consistency_finds_what_the_pictures_share() -> None:
    chance = np.random.default_rng(2)
    vectors = vectors_of(60, chance, dim=32)
    shared = np.arange(0, 60, 6)
    vectors[shared] = unit(np.eye(32, dtype=np.float32)[0] + 0.2 * vectors[shared])
    picture = np.repeat(np.arange(10), 6)
    far = vectors_of(300, chance, dim=32)
    found = found_consistency(vectors, picture, vectors, picture, far)
    assert set(np.argsort(-found)[:10]) == set(shared)


def test_consistency_is_nothing_where_there_is_nothing_to_compare_with() -> None:
    vectors = vectors_of(4, np.random.default_rng(3))
    one, none = np.zeros(4, np.int64), vectors[:0]
    many = np.arange(4)
    for picture, lacking in ((one, vectors), (many, none)):
        found = found_consistency(vectors, picture, vectors, picture, lacking)
        assert found.tolist() == [0, 0, 0, 0]


@settings(max_examples=60)
@given(
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    st.lists(st.integers(-5, 5), min_size=1, max_size=30),
)
def test_separation_is_the_area_under_the_roc_curve(high: list[int], low: list[int]) -> None:
    positive, negative = np.array(high, np.float32), np.array(low, np.float32)
    truth = [1] * len(high) + [0] * len(low)
    expected = roc_auc_score(truth, np.concatenate([positive, negative]))
    assert separation(positive, negative) == pytest.approx(expected)


def normal(count: int, mean: float) -> Floats:
    """A sample whose AUC against `normal(n, 0)` is what the means say, without chance."""
    grid = (np.arange(count) + 0.5) / count
    middle: Floats = (mean + np.log(grid / (1 - grid))).astype(np.float32)
    return middle


def test_a_known_word_is_trusted() -> None:
    assert text_trust(normal(50, 2.0), normal(120, 0.0)) > 0.98


def test_a_word_that_does_not_separate_is_not_trusted_over_many_pictures() -> None:
    assert text_trust(normal(200, 0.0), normal(128, 0.0)) < 0.2
    assert text_trust(normal(200, -1.0), normal(128, 0.0)) < 0.2


def test_few_pictures_leave_the_prior() -> None:
    assert text_trust(normal(1, 0.1), normal(1, 0.0)) == pytest.approx(KNOWN_PRIOR, abs=0.15)
    assert text_trust(normal(2, -0.1), normal(3, 0.0)) == pytest.approx(KNOWN_PRIOR, abs=0.25)
    assert text_trust(normal(0, 0), normal(9, 0)) == KNOWN_PRIOR
    assert text_trust(normal(9, 0), normal(0, 0)) == KNOWN_PRIOR


@pytest.mark.parametrize("count", [1, 4, 20, 200])
def test_trust_never_falls_as_a_word_separates_better(count: int) -> None:
    trusts = [text_trust(normal(count, m), normal(128, 0.0)) for m in np.linspace(-9, 9, 61)]
    assert all(0 < trust < 1 for trust in trusts)
    assert (np.diff(trusts) >= -1e-9).all()


def test_doubt_grows_with_pictures_that_do_not_separate() -> None:
    trusts = [text_trust(normal(n, 0.0), normal(128, 0.0)) for n in (1, 3, 10, 30, 100)]
    assert trusts == sorted(trusts, reverse=True)


def test_consistency_is_trusted_with_pictures() -> None:
    trusts = [consistency_trust(n) for n in (1, 2, 6, 100)]
    assert trusts[0] == 0
    assert trusts[2] == 0.5
    assert trusts == sorted(trusts)
    assert trusts[-1] < 1


def test_standardised_scores_are_in_deviations_of_the_background() -> None:
    background = np.array([1, 3, 1, 3], np.float32)
    standard = mean_and_spread(background)
    assert standard == (2, 1)
    assert standardised(np.array([2, 5], np.float32), *standard).tolist() == [0, 3]
    assert np.isfinite(standardised(background, *mean_and_spread(background * 0))).all()


@settings(max_examples=40)
@given(SEEDS, st.integers(0, 12), st.integers(0, 15))
def test_the_largest_are_the_sorted_end(seed: int, width: int, count: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(3, width)).astype(np.float32)
    expected = -np.sort(-rows, axis=1)[:, :count]
    assert np.array_equal(largest(rows, count), expected)


def test_blended_weighs_text_as_it_is_and_consistency_by_its_spread() -> None:
    text, shared = np.array([1, 2], np.float32), np.array([0.1, 0.3], np.float32)
    found = blended(text, shared, spread=0.1, text_weight=0.5, shared_weight=2.0)
    assert np.allclose(found, [0.5 + 2, 1 + 6], atol=1e-5)
    none = np.zeros(2, np.float32)
    nothing = blended(text, none, spread=0.0, text_weight=0.5, shared_weight=2.0)
    assert nothing.tolist() == [0.5, 1.0]


@settings(max_examples=80)
@given(SEEDS, st.integers(1, 5), st.integers(1, 5))
def test_one_to_one_is_the_best_of_all_ways(seed: int, nouns: int, regions: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(nouns, regions)).astype(np.float32)
    found = one_to_one(list(rows))
    taken = found[found >= 0]
    assert len(taken) == min(nouns, regions) == len(set(taken.tolist()))
    assert (found == -1).sum() == max(0, nouns - regions)
    total = sum(float(rows[noun, place]) for noun, place in enumerate(found) if place >= 0)
    few, many = (rows, regions) if nouns <= regions else (rows.T, nouns)
    ways = permutations(range(many), len(few))
    best = max(sum(float(few[i, place]) for i, place in enumerate(way)) for way in ways)
    assert total == pytest.approx(best, abs=1e-5)
