"""Every alteration equals the papers' formula, computed token by token."""

import math

import numpy as np
import pytest
import torch
from open_clip.transformer import ResidualAttentionBlock

from captionary.vision.clip.last_block import LAST_BLOCKS, patch_nearness
from tests.vision.clip.towers import random_vit

GRID = (4, 3)
TOKENS = 1 + GRID[0] * GRID[1]
HEADS, SIZE = 4, 8


@pytest.fixture(scope="module")
def block() -> ResidualAttentionBlock:
    last: ResidualAttentionBlock = random_vit().transformer.resblocks[-1].double()
    return last


@pytest.fixture(scope="module")
def hidden() -> torch.Tensor:
    return torch.randn(1, TOKENS, 32, generator=torch.Generator().manual_seed(1)).double()


def by_hand(name: str, block: ResidualAttentionBlock, hidden: torch.Tensor) -> np.ndarray:
    """The block's output, (T, W), one token and one head at a time."""
    entering = hidden[0].numpy()
    normed = block.ln_1(hidden)[0].numpy()
    weight, bias = block.attn.in_proj_weight.numpy(), block.attn.in_proj_bias.numpy()
    query, key, value = np.split(normed @ weight.T + bias, 3, axis=1)
    attended = np.zeros_like(value)
    for head in range(HEADS):
        part = slice(head * SIZE, (head + 1) * SIZE)
        for token in range(TOKENS):
            shares = attention(name, token, query[:, part], key[:, part])
            attended[token, part] = sum(
                shares[other] * value[other, part] for other in range(TOKENS)
            )
    out = block.attn.out_proj(torch.from_numpy(attended))
    if name in ("clearclip", "naclip"):
        return np.asarray(out.numpy())
    middle = torch.from_numpy(entering) + block.ls_1(out)
    return np.asarray((middle + block.ls_2(block.mlp(block.ln_2(middle)))).numpy())


def attention(name: str, token: int, query: np.ndarray, key: np.ndarray) -> np.ndarray:
    """How much a token takes from each, (T,)."""
    if name == "maskclip":
        return np.asarray(np.eye(TOKENS)[token])
    if name == "sclip":
        return np.asarray(shares(query[token] @ query.T) + shares(key[token] @ key.T))
    if name == "clearclip":
        return shares(query[token] @ query.T)
    if name == "naclip":
        return shares(key[token] @ key.T, [closeness(token, other) for other in range(TOKENS)])
    return shares(query[token] @ key.T)


def shares(products: np.ndarray, extra: list[float] | None = None) -> np.ndarray:
    weights = np.exp(products / math.sqrt(SIZE) + np.array(extra or [0.0] * TOKENS))
    return np.asarray(weights / weights.sum())


def closeness(a: int, b: int) -> float:
    if a == 0 or b == 0:
        return 0.0
    (row, column), (other_row, other_column) = divmod(a - 1, GRID[1]), divmod(b - 1, GRID[1])
    return math.exp(-((row - other_row) ** 2 + (column - other_column) ** 2) / (2 * 5**2))


@pytest.mark.parametrize("name", LAST_BLOCKS)
def test_equals_the_formula(name: str, block: ResidualAttentionBlock, hidden: torch.Tensor) -> None:
    altered = LAST_BLOCKS[name](block, hidden, GRID)[0].numpy()
    # patch_nearness() is in float32, like the features it is added to.
    np.testing.assert_allclose(altered, by_hand(name, block, hidden), rtol=1e-5, atol=1e-6)


def test_alterations_differ(block: ResidualAttentionBlock, hidden: torch.Tensor) -> None:
    outputs = [altered(block, hidden, GRID) for altered in LAST_BLOCKS.values()]
    for number, one in enumerate(outputs):
        assert all((one - other).norm() > 0.1 * one.norm() for other in outputs[:number])


def test_nearness_falls_with_distance() -> None:
    near = patch_nearness((3, 20))
    assert near.shape == (61, 61)
    assert (near == near.T).all()
    row = near[1, 1:21].tolist()
    assert row == sorted(row, reverse=True)
    assert row[0] == 1
    assert row[5] == pytest.approx(math.exp(-0.5))
