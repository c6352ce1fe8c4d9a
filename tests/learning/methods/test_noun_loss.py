from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from captionary.learning.methods.noun_loss import NounTokens, encode_nouns, noun_loss
from captionary.vision.clip.texts import trimmed
from tests.learning.drawn import tiny_inputs
from tests.learning.groupers import colours

SEEDS = st.integers(0, 9999)
TOKENIZER = tiny_inputs().tokenizer


def drawn(*shape: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(*shape, generator=random, dtype=torch.float64), dim=-1)


def loss_by_loops(
    segments: np.ndarray,
    vectors: np.ndarray,
    which: np.ndarray,
    there: np.ndarray,
    present: np.ndarray,
    scale: float,
) -> float:
    losses = []
    for own, named, are, seen in zip(segments, which, there, present, strict=True):
        nouns = vectors[named[are]]
        cosine = own @ nouns.T
        cosine[~seen] = cosine[seen].min(axis=0)  # matched only where there is no other left
        chosen = max(
            permutations(range(len(own)), len(nouns)),
            key=lambda other: sum(cosine[segment, noun] for noun, segment in enumerate(other)),
        )
        for noun, segment in enumerate(chosen):
            column = cosine[:, noun]
            if column[segment] - column.min() <= 0.1 * np.ptp(column):
                continue
            assert seen[segment]
            among_nouns = np.exp(scale * own[segment] @ vectors.T)
            share = among_nouns[named[are][noun]] / among_nouns.sum()
            losses.append(-np.log(share) / 2)
            among_segments = np.exp(scale * column[seen]).sum()
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
    which = random.integers(different, size=(3, segments - fewer))
    there = random.random(which.shape) < 0.7
    present = (random.random((3, segments)) < 0.6) | (not absent)
    present[:, 0] |= ~present.any(axis=1)

    loss = noun_loss(
        own,
        vectors,
        torch.tensor(which),
        torch.tensor(there),
        scale=torch.tensor(scale),
        present=torch.tensor(present) if absent else None,
    )

    expected = loss_by_loops(own.numpy(), vectors.numpy(), which, there, present, scale)
    assert float(loss) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_segments_that_are_not_there_are_not_taken() -> None:
    vectors = torch.eye(4, dtype=torch.float64)
    segments = torch.stack([vectors, vectors]).requires_grad_()
    which, there = torch.tensor([[0, 1], [0, 1]]), torch.ones(2, 2, dtype=torch.bool)
    present = torch.tensor([[True] * 4, [False, True, True, True]])

    loss = noun_loss(segments, vectors, which, there, scale=torch.tensor(2.0), present=present)
    (gradient,) = torch.autograd.grad(loss, segments)

    assert gradient[0, 0].any()
    assert not gradient[1, 0].any()
    assert gradient[1, 1].any()


@settings(max_examples=20)
@given(said=st.lists(st.booleans(), min_size=6, max_size=6), segments=st.integers(1, 4), seed=SEEDS)
def test_gradients_are_numbers_whatever_is_said(said: list[bool], segments: int, seed: int) -> None:
    own = drawn(2, 4, 8, seed=seed).requires_grad_()
    scale = torch.tensor(10.0, requires_grad=True)
    there = torch.tensor(said).view(2, 3)

    loss = noun_loss(
        own,
        drawn(5, 8, seed=seed + 1),
        torch.arange(6).view(2, 3) % 5,
        there,
        scale=scale,
        present=(torch.arange(4) < segments).expand(2, 4),
    )
    found = torch.autograd.grad(loss, [own, scale])

    assert all(gradient.isfinite().all() for gradient in (loss, *found))
    for number in range(2):
        if not there[number].any():
            assert not found[0][number].any()


def test_each_different_noun_is_encoded_once() -> None:
    prepare = NounTokens(TOKENIZER, colours, 3)
    rows = [prepare.one(caption) for caption in ("red above blue", "blue below red", "green", "")]
    nouns, there = (torch.stack(parts) for parts in zip(*rows, strict=True))
    asked: list[int] = []

    def encode(tokens: torch.Tensor) -> torch.Tensor:
        asked.append(len(tokens))
        return tokens.double()

    short = trimmed(nouns)
    vectors, which = encode_nouns(encode, short, there)

    assert asked == [3]
    assert there.tolist() == [[True, True, False]] * 2 + [[True, False, False], [False] * 3]
    for number, place in there.nonzero().tolist():
        assert torch.equal(vectors[which[number, place]], short[number, place].double())
    _, none = encode_nouns(encode, short, torch.zeros_like(there))
    assert not none.any()
