from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from captionary.learning.methods.noun_loss import NounTokenizer, encode_nouns, noun_loss
from captionary.vision.clip.texts import trim_padding
from tests.learning.flag_pictures import tiny_preprocessor
from tests.learning.grouping_models import colours

SEEDS = st.integers(0, 9999)
TOKENIZER = tiny_preprocessor().tokenizer


def drawn(*shape: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(*shape, generator=random, dtype=torch.float64), dim=-1)


def loss_by_loops(
    segments: np.ndarray,
    vectors: np.ndarray,
    vector_of: np.ndarray,
    is_noun: np.ndarray,
    present: np.ndarray,
    scale: float,
) -> float:
    losses = []
    for own, named, are, there in zip(segments, vector_of, is_noun, present, strict=True):
        nouns = vectors[named[are]]
        cosine = own @ nouns.T
        cosine[~there] = cosine[there].min(axis=0)  # matched only where there is no other left
        chosen = max(
            permutations(range(len(own)), len(nouns)),
            key=lambda other: sum(cosine[segment, noun] for noun, segment in enumerate(other)),
        )
        for noun, segment in enumerate(chosen):
            column = cosine[:, noun]
            if column[segment] - column.min() <= 0.1 * np.ptp(column):
                continue
            assert there[segment]
            among_nouns = np.exp(scale * own[segment] @ vectors.T)
            share = among_nouns[named[are][noun]] / among_nouns.sum()
            losses.append(-np.log(share) / 2)
            among_segments = np.exp(scale * column[there]).sum()
            losses.append(-np.log(np.exp(scale * column[segment]) / among_segments) / 2)
    return float(sum(losses) / max(1, len(losses) // 2))


@settings(max_examples=40)
@given(
    segments=st.integers(2, 4),
    fewer=st.integers(0, 1),
    different=st.integers(1, 6),
    scale=st.floats(1, 30),
    absent=st.booleans(),
    seed=SEEDS,
)
def test_the_loss_equals_plain_loops(
    segments: int, fewer: int, different: int, scale: float, absent: bool, seed: int
) -> None:
    own, vectors = drawn(3, segments, 6, seed=seed), drawn(different, 6, seed=seed + 1)
    random = np.random.default_rng(seed)
    vector_of = random.integers(different, size=(3, segments - fewer))
    is_noun = random.random(vector_of.shape) < 0.7
    present = (random.random((3, segments)) < 0.6) | (not absent)
    present[:, 0] |= ~present.any(axis=1)

    loss = noun_loss(
        own,
        vectors,
        torch.tensor(vector_of),
        torch.tensor(is_noun),
        scale=torch.tensor(scale),
        present=torch.tensor(present) if absent else None,
    )

    expected = loss_by_loops(own.numpy(), vectors.numpy(), vector_of, is_noun, present, scale)
    assert float(loss) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_absent_segments_are_not_matched() -> None:
    vectors = torch.eye(4, dtype=torch.float64)
    segments = torch.stack([vectors, vectors]).requires_grad_()
    vector_of, is_noun = torch.tensor([[0, 1], [0, 1]]), torch.ones(2, 2, dtype=torch.bool)
    present = torch.tensor([[True] * 4, [False, True, True, True]])

    loss = noun_loss(
        segments, vectors, vector_of, is_noun, scale=torch.tensor(2.0), present=present
    )
    (gradient,) = torch.autograd.grad(loss, segments)

    assert gradient[0, 0].any()
    assert not gradient[1, 0].any()
    assert gradient[1, 1].any()


@settings(max_examples=20)
@given(
    nouns=st.lists(st.booleans(), min_size=6, max_size=6), segments=st.integers(1, 4), seed=SEEDS
)
def test_gradients_are_finite_whatever_nouns_there_are(
    nouns: list[bool], segments: int, seed: int
) -> None:
    own = drawn(2, 4, 8, seed=seed).requires_grad_()
    scale = torch.tensor(10.0, requires_grad=True)
    is_noun = torch.tensor(nouns).view(2, 3)

    loss = noun_loss(
        own,
        drawn(5, 8, seed=seed + 1),
        torch.arange(6).view(2, 3) % 5,
        is_noun,
        scale=scale,
        present=(torch.arange(4) < segments).expand(2, 4),
    )
    gradients = torch.autograd.grad(loss, [own, scale])

    assert all(gradient.isfinite().all() for gradient in (loss, *gradients))
    for number in range(2):
        if not is_noun[number].any():
            assert not gradients[0][number].any()


def test_each_different_noun_is_encoded_once() -> None:
    tokenizer = NounTokenizer(TOKENIZER, colours, 3)
    rows = [
        tokenizer.tokenize(caption) for caption in ("red above blue", "blue below red", "green", "")
    ]
    nouns, is_noun = (torch.stack(parts) for parts in zip(*rows, strict=True))
    encoded: list[int] = []

    def encode(tokens: torch.Tensor) -> torch.Tensor:
        encoded.append(len(tokens))
        return tokens.double()

    short = trim_padding(nouns)
    vectors, vector_of = encode_nouns(encode, short, is_noun)

    assert encoded == [3]
    assert is_noun.tolist() == [[True, True, False]] * 2 + [[True, False, False], [False] * 3]
    for number, place in is_noun.nonzero().tolist():
        assert torch.equal(vectors[vector_of[number, place]], short[number, place].double())
    _, none = encode_nouns(encode, short, torch.zeros_like(is_noun))
    assert not none.any()
