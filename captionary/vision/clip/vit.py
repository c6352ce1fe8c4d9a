"""open_clip's own vision transformer, step by step: vectors of patches and of regions.

One pass over a picture answers for all of its regions. Either each region has a class token of its
own that sees its patches only (`region_tokens`), or the last block is altered so that each patch
speaks for itself (`dense_map`, `last_block.py`), and patches are averaged later.
"""

import math

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import nn
from torch.nn.functional import interpolate

from captionary.vision.clip.last_block import LastBlock, heads, merged


def is_plain_vit(visual: nn.Module) -> bool:
    """Whether a tower is a transformer of the kind that is taken apart here."""
    return (
        isinstance(visual, VisionTransformer)
        and visual.attn_pool is None
        and visual.pool_type in ("tok", "avg")
        and all(isinstance(block, ResidualAttentionBlock) for block in visual.transformer.resblocks)
    )


def has_class_token(visual: nn.Module) -> bool:
    """Whether a tower reads its vector at a class token, which regions can have copies of."""
    return is_plain_vit(visual) and visual.pool_type == "tok"


def patch_tokens(vit: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    """What the first block takes, (N, 3, H, W) -> (N, 1 + h w, width): class token, then patches.

    Positions are interpolated (bicubic) where the picture has another size than the model's.
    """
    patches = vit.conv1(pixels)
    grid_hw = (patches.shape[2], patches.shape[3])
    first = vit.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)
    learned = vit.positional_embedding
    places = resized_positions(learned[1:], tuple(vit.grid_size), grid_hw)
    positions = torch.cat([learned[:1].to(places), places])
    hidden: torch.Tensor = vit.ln_pre(tokens + positions.to(tokens.dtype))
    return hidden


def resized_positions(
    learned: torch.Tensor, learned_hw: tuple[int, int], grid_hw: tuple[int, int]
) -> torch.Tensor:
    """Positions of the patches of another grid, (h w, D) -> (h' w', D), interpolated (bicubic)."""
    if learned_hw == grid_hw:
        return learned
    plane = learned.float().reshape(1, *learned_hw, -1).permute(0, 3, 1, 2)
    resized = interpolate(plane, grid_hw, mode="bicubic", antialias=True)
    return resized.flatten(2)[0].T


def projected(vit: VisionTransformer, hidden: torch.Tensor) -> torch.Tensor:
    """Final norm and projection, (..., width) -> (..., D)."""
    normed: torch.Tensor = vit.ln_post(hidden)
    return normed if vit.proj is None else normed @ vit.proj


def picture_vector(vit: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    """The tower's own answer for pictures of any size, (N, 3, H, W) -> (N, D), not normalised."""
    hidden = patch_tokens(vit, pixels)
    for block in vit.transformer.resblocks:
        hidden = block(hidden)
    if vit.pool_type == "avg":
        return projected(vit, hidden[:, 1:]).mean(dim=1)
    return projected(vit, hidden[:, 0])


def dense_map(vit: VisionTransformer, pixels: torch.Tensor, last_block: LastBlock) -> torch.Tensor:
    """A vector for every patch, (N, 3, H, W) -> (N, h, w, D), not normalised."""
    grid_hw = (pixels.shape[2] // vit.patch_size[0], pixels.shape[3] // vit.patch_size[1])
    hidden = patch_tokens(vit, pixels)
    *blocks, last = vit.transformer.resblocks
    for block in blocks:
        hidden = block(hidden)
    vectors = projected(vit, last_block(last, hidden, grid_hw)[:, 1:])
    return vectors.view(len(vectors), *grid_hw, -1)


def region_tokens(
    vit: VisionTransformer, pixels: torch.Tensor, coverage: torch.Tensor, *, first_block: int = 0
) -> torch.Tensor:
    """A vector for every region from a class token of its own, -> (N, R, D), not normalised.

    The token is a copy of the picture's own as it enters block `first_block`. From there on it
    attends to itself and to the patches of its region, and no other token attends to it. A patch
    weighs as much as the region covers of it, relative to the patch that it covers most of. So a
    region that covers everything from the first block on has the picture's own vector.

    Args:
        pixels:   (N, 3, H, W).
        coverage: (N, R, h w) in [0, 1]: share of each patch that is in the region, > 0 somewhere.
    """
    most = coverage.amax(dim=2, keepdim=True)
    bias = (coverage / most).log().to(pixels.dtype)[:, None]
    hidden = patch_tokens(vit, pixels)
    blocks = vit.transformer.resblocks
    for block in blocks[:first_block]:
        hidden = block(hidden)
    regions = hidden[:, :1].expand(-1, coverage.shape[1], -1)
    for block in blocks[first_block:]:
        hidden, regions = _block(block, hidden, regions, bias)
    return projected(vit, regions)


def _block(
    block: ResidualAttentionBlock, hidden: torch.Tensor, regions: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """One block for the picture's tokens and the regions': all but attention is done at once."""
    count = hidden.shape[1]
    both = torch.cat([hidden, regions], dim=1)
    query, key, value = heads(block, both)
    own = nn.functional.scaled_dot_product_attention(
        query[:, :, :count], key[:, :, :count], value[:, :, :count]
    )
    seen = _see_patches(
        query[:, :, count:],
        key[:, :, 1:count],
        value[:, :, 1:count],
        key[:, :, count:],
        value[:, :, count:],
        bias,
    )
    both = both + block.ls_1(merged(block, torch.cat([own, seen], dim=2)))
    both = both + block.ls_2(block.mlp(block.ln_2(both)))
    return both[:, :count], both[:, count:]


def _see_patches(
    query: torch.Tensor,
    patch_key: torch.Tensor,
    patch_value: torch.Tensor,
    own_key: torch.Tensor,
    own_value: torch.Tensor,
    bias: torch.Tensor,
) -> torch.Tensor:
    """Attention of each region to itself and to its patches, (N, heads, R, d).

    bias: (N, 1, R, h w), added to the logits of patches; -inf hides one.
    """
    query = query / math.sqrt(query.shape[-1])
    patches = query @ patch_key.transpose(2, 3) + bias
    own = (query * own_key).sum(dim=3, keepdim=True)
    weight = torch.cat([patches, own], dim=3).softmax(dim=3)
    return weight[..., :-1] @ patch_value + weight[..., -1:] * own_value
