"""The last block of a vision transformer, altered so that a patch's vector is about that patch.

CLIP trains its class token only: what the last block mixes into the patches is of no use to it, and
blurs them. Each alteration (formulas: the papers') lets a patch attend to similar or near patches
instead. Shapes: N pictures, T = 1 + h w tokens (class token first), width W, `heads` heads.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import torch
from open_clip.transformer import ResidualAttentionBlock
from torch.nn.functional import linear, scaled_dot_product_attention

LastBlock: TypeAlias = Callable[
    [ResidualAttentionBlock, torch.Tensor, tuple[int, int]], torch.Tensor
]
"""Takes a block, its input (N, T, W) and the grid (h, w); returns the output (N, T, W)."""

NEIGHBOURHOOD = 5.0
"""Standard deviation, in patches, of NACLIP's Gaussian over the distance between patches."""


def query_key_value(
    block: ResidualAttentionBlock, hidden: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute query, key and value of each token, (N, heads, T, W / heads) each."""
    # torch's attention does not return them, so its input projection is applied here.
    attention = block.attn
    mixed = linear(block.ln_1(hidden), attention.in_proj_weight, attention.in_proj_bias)
    count, tokens, width = hidden.shape
    split = mixed.view(count, tokens, 3, attention.num_heads, width // attention.num_heads)
    query, key, value = split.permute(2, 0, 3, 1, 4)
    return query, key, value


def merge_heads(block: ResidualAttentionBlock, values: torch.Tensor) -> torch.Tensor:
    """Concatenate heads and apply the output projection, (N, heads, T, W / heads) -> (N, T, W)."""
    projected: torch.Tensor = block.attn.out_proj(values.transpose(1, 2).flatten(2))
    return projected


def plain(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """Run the block as it was trained."""
    output: torch.Tensor = block(hidden)
    return output


def maskclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """MaskCLIP (Zhou et al., 2022): each token attends to itself only."""
    _, _, value = query_key_value(block, hidden)
    return _add_residuals(block, hidden, value)


def sclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """SCLIP (Wang et al., 2023): attention by similar queries, plus attention by similar keys."""
    query, key, value = query_key_value(block, hidden)
    attended = scaled_dot_product_attention(query, query, value)
    return _add_residuals(block, hidden, attended + scaled_dot_product_attention(key, key, value))


def clearclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, _grid_hw: tuple[int, int]
) -> torch.Tensor:
    """ClearCLIP (Lan et al., 2024): attention by similar queries; no residual, no feed-forward."""
    query, _, value = query_key_value(block, hidden)
    return merge_heads(block, scaled_dot_product_attention(query, query, value))


def naclip(
    block: ResidualAttentionBlock, hidden: torch.Tensor, grid_hw: tuple[int, int]
) -> torch.Tensor:
    """NACLIP (Hajimiri et al., 2025): attention by similar keys nearby; else as ClearCLIP."""
    _, key, value = query_key_value(block, hidden)
    near = patch_nearness(grid_hw).to(key)
    return merge_heads(block, scaled_dot_product_attention(key, key, value, attn_mask=near))


def patch_nearness(grid_hw: tuple[int, int]) -> torch.Tensor:
    """Gaussian of the distance between patches, (T, T) in [0, 1]; 0 from and to the class token."""
    rows, columns = (torch.arange(side, dtype=torch.float32) for side in grid_hw)
    # A Gaussian of two coordinates is the product of one of each.
    across, along = (
        torch.exp(-(line[:, None] - line).square() / (2 * NEIGHBOURHOOD**2))
        for line in (rows, columns)
    )
    return torch.nn.functional.pad(torch.kron(across, along), (1, 0, 1, 0))


def _add_residuals(
    block: ResidualAttentionBlock, hidden: torch.Tensor, values: torch.Tensor
) -> torch.Tensor:
    """Add the block's residuals and feed-forward to the values of another attention."""
    hidden = hidden + block.ls_1(merge_heads(block, values))
    output: torch.Tensor = hidden + block.ls_2(block.mlp(block.ln_2(hidden)))
    return output


LAST_BLOCKS: Mapping[str, LastBlock] = {
    "naclip": naclip,
    "clearclip": clearclip,
    "sclip": sclip,
    "maskclip": maskclip,
    "plain": plain,
}
