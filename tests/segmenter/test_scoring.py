"""Scores against plain loops in double precision, and what must hold whatever the numbers are."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from captionary.schemas.arrays import Scores, Vectors
from captionary.schemas.vectors import unit
from captionary.segmenter.scoring import (
    LEAST,
    UNSAID,
    Floats,
    Ints,
    caption_vote,
    complete_with_text,
    fuse,
    max_over_prompts,
    related_nouns,
    softmax,
    trust_in_text,
    trusted_text,
    vote,
)

SEEDS = st.integers(0, 2**32 - 1)
COUNTS = st.integers(1, 8)
SCALE = 10.0


def cosines(rows: int, columns: int, *, seed: int) -> Scores:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, columns)).astype(np.float32)


def probabilities(rows: int, columns: int, *, seed: int) -> Scores:
    return softmax(SCALE * cosines(rows, columns, seed=seed))


def owners(links: int, classes: int, *, seed: int) -> Ints:
    return np.random.default_rng(seed).integers(0, classes, links)


def weights(links: int, *, seed: int) -> Floats:
    return np.random.default_rng(seed).uniform(0.01, 1, links).astype(np.float32)


def slow_vote(
    similarity: Scores, owner: Ints, weight: Floats, *, classes: int, scale: float
) -> NDArray[np.float64]:
    logits = np.full((len(similarity), classes), -np.inf)
    for row in range(len(similarity)):
        for class_id in range(classes):
            mine = [link for link in range(len(owner)) if owner[link] == class_id]
            if mine:
                total = sum(float(weight[link]) for link in mine)
                mean = sum(
                    float(weight[link]) / total * math.exp(scale * float(similarity[row, link]))
                    for link in mine
                )
                logits[row, class_id] = math.log(mean)
    return logits


@given(rows=COUNTS, classes=COUNTS, seed=SEEDS)
def test_softmax_is_the_share_of_the_exponentials(rows: int, classes: int, seed: int) -> None:
    logits = SCALE * cosines(rows, classes, seed=seed)

    expected = [[math.exp(x) / sum(map(math.exp, row)) for x in row] for row in logits.tolist()]

    assert_allclose(softmax(logits), expected, rtol=1e-5)
    assert_allclose(softmax(logits).sum(axis=1), 1, rtol=1e-6)
    assert_allclose(softmax(logits + 500), expected, rtol=1e-3)


def test_softmax_of_nothing_is_zero_and_of_huge_logits_finite() -> None:
    logits = np.array([[3e4, -3e4, -np.inf]], np.float32)

    assert softmax(logits).tolist() == [[1, 0, 0]]


@given(rows=COUNTS, prompts=COUNTS, classes=COUNTS, seed=SEEDS)
def test_a_class_is_as_near_as_its_nearest_prompt(
    rows: int, prompts: int, classes: int, seed: int
) -> None:
    similarity = cosines(rows, prompts, seed=seed)
    owner = owners(prompts, classes, seed=seed)

    best = max_over_prompts(similarity, owner, classes=classes)

    for row in range(rows):
        for class_id in range(classes):
            mine = [similarity[row, q] for q in range(prompts) if owner[q] == class_id]
            assert best[row, class_id] == max(mine, default=-np.inf)


def test_a_class_without_prompts_gets_probability_zero() -> None:
    best = max_over_prompts(cosines(4, 3, seed=0), np.array([0, 0, 2]), classes=3)

    text = softmax(15 * best)

    assert (text[:, 1] == 0).all()
    assert_allclose(text.sum(axis=1), 1, rtol=1e-6)


@given(rows=COUNTS, links=COUNTS, classes=COUNTS, scale=st.floats(0.5, 50), seed=SEEDS)
def test_votes_equal_the_plain_sum(
    rows: int, links: int, classes: int, scale: float, seed: int
) -> None:
    similarity, owner = cosines(rows, links, seed=seed), owners(links, classes, seed=seed)
    weight = weights(links, seed=seed)

    logits = vote(similarity, owner, weight, classes=classes, scale=scale)

    expected = slow_vote(similarity, owner, weight, classes=classes, scale=scale)
    assert_allclose(logits, expected, rtol=1e-4, atol=1e-4)


@given(rows=COUNTS, classes=COUNTS, seed=SEEDS)
def test_one_prototype_votes_with_its_similarity(rows: int, classes: int, seed: int) -> None:
    similarity, each = cosines(rows, classes, seed=seed), np.arange(classes)

    logits = vote(similarity, each, weights(classes, seed=seed), classes=classes, scale=SCALE)

    assert_allclose(logits, SCALE * similarity, rtol=1e-5, atol=1e-5)


@given(rows=COUNTS, links=COUNTS, classes=COUNTS, seed=SEEDS)
def test_a_class_gains_nothing_from_having_its_prototypes_twice(
    rows: int, links: int, classes: int, seed: int
) -> None:
    similarity, owner = cosines(rows, links, seed=seed), owners(links, classes, seed=seed)
    weight = weights(links, seed=seed)
    twice = np.tile(np.arange(links), 2)

    once = vote(similarity, owner, weight, classes=classes, scale=SCALE)
    doubled = vote(similarity[:, twice], owner[twice], weight[twice], classes=classes, scale=SCALE)

    assert_allclose(doubled, once, rtol=1e-4, atol=1e-4)


@given(rows=COUNTS, classes=st.integers(2, 8), known=st.integers(0, 8), seed=SEEDS)
def test_classes_without_prototypes_keep_their_text_probability(
    rows: int, classes: int, known: int, seed: int
) -> None:
    text = probabilities(rows, classes, seed=seed)
    logits = SCALE * cosines(rows, classes, seed=seed + 1)
    logits[:, known:] = -np.inf

    mixed = complete_with_text(logits, text)

    assert (mixed[:, known:] == text[:, known:]).all()
    assert_allclose(mixed.sum(axis=1), 1, rtol=1e-5)
    if known > 1:
        shares = mixed[:, :known] / mixed[:, :known].sum(axis=1, keepdims=True)
        assert_allclose(shares, softmax(logits[:, :known]), rtol=1e-3)


def test_with_prototypes_of_all_classes_text_has_no_say() -> None:
    logits = SCALE * cosines(5, 4, seed=2)

    mixed = complete_with_text(logits, probabilities(5, 4, seed=3))

    assert_allclose(mixed, softmax(logits), rtol=1e-5)


@given(links=COUNTS, classes=COUNTS, seed=SEEDS)
def test_trust_is_the_weighted_share_of_prototypes_that_text_recognises(
    links: int, classes: int, seed: int
) -> None:
    text, owner = probabilities(links, classes, seed=seed), owners(links, classes, seed=seed)
    weight = weights(links, seed=seed)

    trust = trust_in_text(text, owner, weight, classes=classes)

    for class_id in range(classes):
        mine = [link for link in range(links) if owner[link] == class_id]
        if not mine:
            assert trust[class_id] == 1
            continue
        agreed = sum(
            float(weight[link])
            * min(1, 10 * float(text[link, class_id]) / max(text[link].tolist()))
            for link in mine
        )
        expected = agreed / sum(float(weight[link]) for link in mine)
        assert trust[class_id] == pytest.approx(expected, rel=1e-4)
    assert trust.dtype == np.float32
    assert ((trust >= 0) & (trust <= 1 + 1e-6)).all()


def test_a_word_that_text_mistakes_is_not_trusted() -> None:
    text = np.array([[0.9, 0.1, 0], [0.96, 0.04, 0], [1, 0, 0]], np.float32)

    trust = trust_in_text(text, np.array([0, 1, 2]), np.ones(3, np.float32), classes=4)

    assert_allclose(trust, [1, 0.4 / 0.96, 0, 1], rtol=1e-5)
    assert (trust_in_text(text[:0], owners(0, 4, seed=0), weights(0, seed=0), classes=4) == 1).all()


SHARES = st.lists(st.floats(0.1, 3), min_size=1, max_size=4)


@given(rows=COUNTS, classes=COUNTS, seed=SEEDS, weights=SHARES)
def test_fusion_is_a_weighted_geometric_mean(
    rows: int, classes: int, seed: int, weights: list[float]
) -> None:
    said = [probabilities(rows, classes, seed=seed + n) for n in range(len(weights))]

    fused = fuse(list(zip(said, weights, strict=True)))

    exponents = np.array(weights) / sum(weights)
    floored = [np.maximum(one.astype(np.float64), LEAST) for one in said]
    product = np.prod([one**exponent for one, exponent in zip(floored, exponents, strict=True)], 0)
    assert fused.dtype == np.float32
    assert_allclose(fused, product / product.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-6)
    assert_allclose(fused.sum(axis=1), 1, rtol=1e-5)
    turned = fuse(list(zip(said[::-1], weights[::-1], strict=True)))
    assert_allclose(turned, fused, rtol=1e-4, atol=1e-6)
    more = fuse([*zip(said, weights, strict=True), (said[0][:, ::-1], 0.0)])
    assert_allclose(more, fused, rtol=1e-4, atol=1e-6)


@given(rows=COUNTS, known=st.integers(1, 6), seed=SEEDS)
def test_a_class_without_prototypes_is_not_punished_for_what_text_knows_of_others(
    rows: int, known: int, seed: int
) -> None:
    text = probabilities(rows, 8, seed=seed)
    logits = SCALE * cosines(rows, 8, seed=seed + 1)
    logits[:, known:] = -np.inf
    prototypes = complete_with_text(logits, text)
    trust = np.random.default_rng(seed).uniform(0, 1, 8).astype(np.float32)

    trusted = trusted_text(text, prototypes, np.arange(known), trust)

    assert_allclose(trusted.sum(axis=1), 1, rtol=1e-4)
    assert_allclose(trusted[:, known:], text[:, known:], rtol=1e-5)


def test_prototypes_stand_in_where_text_is_not_trusted() -> None:
    text = np.array([[0.9, 0.1, 0.0]], np.float32)
    prototypes = np.array([[0.1, 0.1, 0.8]], np.float32)
    trust, all_known = np.array([1, 1, 0], np.float32), np.arange(3)

    trusted = trusted_text(text, prototypes, all_known, trust)

    assert_allclose(trusted, [[0.5, 0.1 / 1.8, 0.8 / 1.8]], rtol=1e-5)
    assert_allclose(trusted_text(text, prototypes, all_known, 0 * trust), prototypes, rtol=1e-5)


@given(rows=COUNTS, pictures=COUNTS, classes=COUNTS, seed=SEEDS)
def test_captions_vote_for_what_they_name(
    rows: int, pictures: int, classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = probabilities(rows, pictures, seed=seed)
    named = rng.uniform(size=(pictures, classes)) < 0.5
    known = np.arange(classes) > 0

    logits = caption_vote(weight, named, known)

    assert np.isneginf(logits[:, 0]).all()
    for row in range(rows):
        for column in range(1, classes):
            votes = sum(weight[row, n] for n in range(pictures) if named[n, column])
            assert logits[row, column] == pytest.approx(math.log(votes + UNSAID), abs=1e-4)


def crowd(count: int, *, dim: int = 64) -> Vectors:
    """Unit vectors of which none is like another."""
    return unit(np.random.default_rng(5).normal(size=(count, dim)).astype(np.float32))


def test_a_noun_that_stands_out_stands_in() -> None:
    nouns = crowd(100)
    word = unit(nouns[17:18] + 0.1 * nouns[40:41])

    found, share = related_nouns(word, nouns)

    assert found.tolist() == [17]
    assert share.tolist() == [1]


def test_several_near_nouns_share_by_nearness_and_are_at_most_five() -> None:
    nouns = crowd(300)
    word = crowd(301)[-1:]
    nouns[50:58] = unit(word + 0.05 * np.arange(8, dtype=np.float32)[:, None] * nouns[50:58])

    found, share = related_nouns(word, nouns)

    assert found.tolist() == [50, 51, 52, 53, 54]
    assert (np.diff(share) < 0).all()
    assert share.sum() == pytest.approx(1, rel=1e-6)
    similarity = (word @ nouns[found].T)[0].astype(np.float64)
    assert_allclose(
        share[0] / share[4], math.exp((similarity[0] - similarity[4]) / 0.02), rtol=1e-3
    )


def test_of_several_words_each_noun_counts_by_its_nearest() -> None:
    nouns = crowd(200)

    found, _ = related_nouns(nouns[[3, 90]], nouns)

    assert sorted(found.tolist()) == [3, 90]


@pytest.mark.parametrize("count", [0, 1, 2, 8])
def test_no_noun_stands_in_where_there_are_few(count: int) -> None:
    nouns = crowd(8)[:count]

    assert related_nouns(crowd(9)[-1:], nouns)[0].tolist() == []


@given(words=st.integers(0, 3), count=st.integers(0, 40), seed=SEEDS)
def test_weights_sum_to_one_or_there_are_none(words: int, count: int, seed: int) -> None:
    vectors = unit(np.random.default_rng(seed).normal(size=(words + count, 3)).astype(np.float32))

    found, share = related_nouns(vectors[:words], vectors[words:])

    assert len(found) == len(share) <= 5
    assert len(found) == 0 or share.sum() == pytest.approx(1, rel=1e-5)


def test_a_word_whose_nearest_noun_points_away_has_none() -> None:
    nouns = np.zeros((200, 2), np.float32)
    nouns[:, 0] = -1
    nouns[7] = unit(np.array([[-0.1, 1]], np.float32))
    word = np.array([[1, 0]], np.float32)

    assert related_nouns(word, nouns)[0].tolist() == []


def test_probabilities_never_pass_one() -> None:
    """Those of one text add up to a little more than one now and then, for all their rounding."""
    text = probabilities(2000, 5, seed=3)
    owner, weight = np.arange(5), np.ones(5, np.float32)
    logits = vote(cosines(2000, 5, seed=4), owner, weight, classes=5, scale=1000)

    prototypes = complete_with_text(logits, text)
    trusted = trusted_text(text, prototypes, owner, np.full(5, 0.5, np.float32))
    fused = fuse([(trusted, 0.3), (prototypes, 0.7)])

    assert text.sum(axis=1).max() > 1
    assert prototypes.max() == 1
    assert fused.max() <= 1
