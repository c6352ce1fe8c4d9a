"""The last block of a vision transformer, altered so that each patch speaks for itself.

CLIP trains its class token only; what the last block mixes into the patches is of no use for it,
and spoils them. Each alteration (formulas: the papers') lets a patch attend to what is like it or
near it instead. Shapes: N pictures, T = 1 + h w tokens (class token first), width W, `heads` heads.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch.nn.functional import linear, scaled_dot_product_attention

LastBlock: TypeAlias = Callable[
    [ResidualAttentionBlock, torch.Tensor, tuple[int, int]], torch.Tensor
]
"""From block, its input (N, T, W) and the grid (h, w) to its output (N, T, W)."""

NEIGHBOURHOOD = 5.0
"""Standard deviation, in patches, of how far a patch looks in NACLIP."""


def heads(
    block: ResidualAttentionBlock, hidden: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Query, key and value of every token, (N, heads, T, W / heads) each."""
    attention = block.attn
    mixed = linear(block.ln_1(hidden), attention.in_proj_weight, attention.in_proj_bias)
    count, tokens, width = hidden.shape
    apart = mixed.view(count, tokens, 3, attention.num_heads, width // attention.num_heads)
    query, key, value = apart.permute(2, 0, 3, 1, 4)
    return query, key, value


def merged(block: ResidualAttentionBlock, values: torch.Tensor) -> torch.Tensor:
    """What attention found, (N, heads, T, W / heads), through the output projection, (N, T, W)."""
    projected: torch.Tensor = block.attn.out_proj(values.transpose(1, 2).flatten(2))
    return projected


def plain(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """The block as it was trained."""
    output: torch.Tensor = block(hidden)
    return output


def maskclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """MaskCLIP (Zhou et al., 2022): each token attends to itself only."""
    _, _, value = heads(block, hidden)
    return _with_rest(block, hidden, value)


def sclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """SCLIP (Wang et al., 2023): tokens attend where queries are alike, and where keys are."""
    query, key, value = heads(block, hidden)
    found = scaled_dot_product_attention(query, query, value)
    return _with_rest(block, hidden, found + scaled_dot_product_attention(key, key, value))


def clearclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """ClearCLIP (Lan et al., 2024): queries that are alike; no residual, no feed-forward."""
    query, _, value = heads(block, hidden)
    return merged(block, scaled_dot_product_attention(query, query, value))


def naclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, grid_hw: tuple[int, int]
) -> torch.Tensor:
    """NACLIP (Hajimiri et al., 2025): keys that are alike, and nearby; no residual and no more."""
    _, key, value = heads(block, hidden)
    near = nearness(grid_hw).to(key)
    return merged(block, scaled_dot_product_attention(key, key, value, attn_mask=near))


def nearness(grid_hw: tuple[int, int]) -> torch.Tensor:
    """A Gaussian of the distance between patches, (T, T) in [0, 1]; 0 from and to the class."""
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in grid_hw)
    # A Gaussian of two coordinates is the product of one of each.
    across, along = (
        torch.exp(-(line[:, None] - line).square() / (2 * NEIGHBOURHOOD**2))
        for line in (rows, columns)
    )
    return torch.nn.functional.pad(torch.kron(across, along), (1, 0, 1, 0))


def _with_rest(
    block: ResidualAttentionBlock, hidden: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """The block's residuals and feed-forward around other attention."""
    hidden = hidden + block.ls_1(merged(block, values))
    output: torch.Tensor = hidden + block.ls_2(block.mlp(block.ln_2(hidden)))
    return output


LAST_BLOCKS: Mapping[str, LastBlock] = {
    "naclip": naclip,
    "clearclip": clearclip,
    "sclip": sclip,
    "maskclip": maskclip,
    "plain": plain,
}
