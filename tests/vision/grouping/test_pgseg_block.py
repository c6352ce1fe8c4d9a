import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from torch.nn.functional import cosine_similarity

from captionary.vision.grouping.pgseg_block import INITIAL_SHARPNESS, GroupingBlock, assign
from tests.learning.grouping_models import random_weights

HEADS, WIDTH = 2, 8


def logits_of(count: int, groups: int, tokens: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.randn(count, groups, tokens, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=25)
@given(groups=st.integers(1, 6), tokens=st.integers(1, 9), seed=st.integers(0, 999))
def test_in_training_assignment_is_sampled_and_gradients_pass(
    groups: int, tokens: int, seed: int
) -> None:
    logits = logits_of(2, groups, tokens, seed).requires_grad_()
    torch.manual_seed(seed)
    hard = assign(logits, sample=True)
    torch.manual_seed(seed)
    noise = -torch.empty_like(logits).exponential_().log()
    soft = (logits + noise).softmax(dim=1)

    owners = (logits + noise).argmax(dim=1)
    for number in range(2):
        for token in range(tokens):
            column = hard[number, :, token].detach()
            expected = torch.zeros(groups)
            expected[owners[number, token]] = 1
            torch.testing.assert_close(column, expected, atol=1e-6, rtol=0)
    weight = torch.randn(hard.shape, generator=torch.Generator().manual_seed(seed))
    (own,) = torch.autograd.grad((hard * weight).sum(), logits)
    (expected,) = torch.autograd.grad((soft * weight).sum(), logits)
    torch.testing.assert_close(own, expected)


def test_sampling_follows_the_softmax() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0]).view(1, 3, 1).expand(1, 3, 20_000)
    torch.manual_seed(0)

    often = assign(logits, sample=True).mean(dim=2)[0]

    torch.testing.assert_close(often, logits[0, :, 0].softmax(dim=0), atol=0.02, rtol=0)


def test_at_inference_a_token_is_assigned_to_the_likeliest_group() -> None:
    logits = logits_of(3, 4, 7)

    hard = assign(logits, sample=False)

    assert hard.shape == logits.shape
    for number in range(3):
        for token in range(7):
            column = logits[number, :, token].tolist()
            assert hard[number, :, token].tolist() == [float(own == max(column)) for own in column]
    torch.testing.assert_close(hard.sum(dim=1), torch.ones(3, 7))


@pytest.fixture(params=[True, False], ids=["residual", "mean alone"])
def block(request: pytest.FixtureRequest) -> GroupingBlock:
    block = GroupingBlock(WIDTH, HEADS, 3, residual=request.param)
    random_weights(block, 1, spread=0.4)
    return block.double().eval().requires_grad_(False)


def tokens_and_groups(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return (
        torch.randn(2, 9, WIDTH, generator=random).double(),
        torch.randn(2, 3, WIDTH, generator=random).double(),
    )


def normed(rows: np.ndarray, norm: torch.nn.LayerNorm) -> np.ndarray:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    unit = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + norm.eps)
    return np.asarray(unit * norm.weight.numpy() + norm.bias.numpy())


def linear(rows: np.ndarray, layer: torch.nn.Linear) -> np.ndarray:
    return np.asarray(np.einsum("...i,oi->...o", rows, layer.weight.numpy()) + layer.bias.numpy())


def multilayer(rows: np.ndarray, layers: torch.nn.Module) -> np.ndarray:
    first, _, last = layers.children()
    assert isinstance(first, torch.nn.Linear)
    assert isinstance(last, torch.nn.Linear)
    hidden = linear(rows, first)
    return linear(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, last)


def softmax(row: np.ndarray) -> np.ndarray:
    powers = np.exp(row - row.max())
    return np.asarray(powers / powers.sum())


def attend(
    rows: np.ndarray, others: np.ndarray, attention: torch.nn.MultiheadAttention
) -> np.ndarray:
    weight, bias = attention.in_proj_weight.numpy(), attention.in_proj_bias.numpy()
    parts = [slice(part * WIDTH, (part + 1) * WIDTH) for part in range(3)]
    query, key, value = (
        source @ weight[part].T + bias[part]
        for source, part in zip((rows, others, others), parts, strict=True)
    )
    attended = np.zeros_like(query)
    for head in range(HEADS):
        own = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
        for row in range(len(rows)):
            shares = softmax(key[:, own] @ query[row, own] / np.sqrt(WIDTH // HEADS))
            attended[row, own] = sum(
                share * one for share, one in zip(shares, value[:, own], strict=True)
            )
    return linear(attended, attention.out_proj)


def by_hand(
    block: GroupingBlock, tokens: np.ndarray, groups: np.ndarray, *, residual: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One picture through the block, one token at a time; returns what `forward` does."""
    tokens = normed(tokens, block.norm_tokens)
    mixed = multilayer(normed(groups, block.norm_groups).T, block.mixer.module).T
    mixed = normed(mixed, block.norm_mixed)
    cross = block.pre_assign
    others = normed(tokens, cross.ln_1_kv)
    attended = mixed + attend(normed(mixed, cross.ln_1), others, cross.attn)
    attended = attended + multilayer(normed(attended, cross.ln_2), cross.mlp)
    attended = normed(attended, block.norm_seen)
    logits = linear(attended, block.query) @ linear(tokens, block.key).T / np.sqrt(WIDTH)
    shares = np.stack([softmax(column) for column in logits.T], axis=1)
    value = linear(tokens, block.value)
    means, present = np.zeros_like(attended), np.full(len(groups), residual)
    for group in range(len(groups)):
        own = [value[token] for token in range(len(tokens)) if logits[:, token].argmax() == group]
        if own:
            means[group], present[group] = sum(own) / (len(own) + residual), True
    segments = linear(means, block.out) + residual * attended
    segments = segments + multilayer(normed(segments, block.norm_out), block.mlp)
    return segments, present, shares, attended


@pytest.mark.parametrize("seed", range(4))
def test_the_block_equals_a_slow_one_of_the_same_weights(
    block: GroupingBlock, seed: int, request: pytest.FixtureRequest
) -> None:
    tokens, groups = tokens_and_groups(seed)
    residual = request.node.callspec.params["block"]

    output = block(tokens, groups)

    for number in range(2):
        expected = by_hand(block, tokens[number].numpy(), groups[number].numpy(), residual=residual)
        for own, other in zip(output, expected, strict=True):
            np.testing.assert_allclose(own[number], other, atol=1e-5)


def test_the_order_of_tokens_changes_their_assignment_only(block: GroupingBlock) -> None:
    tokens, groups = tokens_and_groups(1)
    order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(0))

    segments, present, shares, attended = block(tokens, groups)
    other = block(tokens[:, order], groups)

    for own, expected in zip(
        other, (segments, present, shares[:, :, order], attended), strict=True
    ):
        torch.testing.assert_close(own, expected)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2, 9))


def test_a_block_starts_as_grouping_by_similarity() -> None:
    """Tokens to the group that they are most alike; a group is its own token plus their mean."""
    torch.manual_seed(0)
    block = GroupingBlock(WIDTH, HEADS, 3, residual=True).eval()
    tokens, groups = (each.float() for each in tokens_and_groups(2))

    segments, _, shares, attended = block(tokens, groups)

    unit = block.norm_tokens(tokens)
    for number in range(2):
        owners = (attended[number] @ unit[number].T).argmax(dim=0)
        assert shares[number].argmax(dim=0).tolist() == owners.tolist()
        for group in range(3):
            own = unit[number, owners == group]
            expected = attended[number, group] + own.sum(dim=0) / (len(own) + 1)
            torch.testing.assert_close(segments[number, group], expected)
    logits = INITIAL_SHARPNESS * cosine_similarity(attended[:, :, None], unit[:, None], dim=3)
    torch.testing.assert_close(shares, logits.softmax(dim=1), atol=1e-3, rtol=1e-3)
