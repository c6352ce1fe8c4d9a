"""open_clip's vision transformer, run step by step: vectors of patches and of regions.

One forward pass over a picture serves all of its regions. Either each region has a class token of
its own that attends to its patches only (`region_tokens`), or the last block is altered so that a
patch's vector is about that patch (`dense_map`, `last_block.py`), and patches are averaged later.
"""

import math

import torch
from open_clip.transformer import ResidualAttentionBlock, VisionTransformer
from torch import nn
from torch.nn.functional import interpolate

from captionary.vision.clip.last_block import LastBlock, merge_heads, query_key_value


def is_plain_vit(visual: nn.Module) -> bool:
    """Whether a tower is a transformer that can be run step by step here."""
    return (
        isinstance(visual, VisionTransformer)
        and visual.attn_pool is None
        and visual.pool_type in ("tok", "avg")
        and all(isinstance(block, ResidualAttentionBlock) for block in visual.transformer.resblocks)
    )


def has_class_token(visual: nn.Module) -> bool:
    """Whether a tower reads its vector at a class token, which regions can have copies of."""
    return is_plain_vit(visual) and visual.pool_type == "tok"


def embed_patches(vit: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    """Embed patches for the first block, (N, 3, H, W) -> (N, 1 + h w, width), class token first.

    Positions are interpolated (bicubic) where the picture has another size than the model's.
    """
    patches = vit.conv1(pixels)
    grid_hw = (patches.shape[2], patches.shape[3])
    first = vit.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
    tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], dim=1)
    learned = vit.positional_embedding
    of_patches = resize_positions(learned[1:], tuple(vit.grid_size), grid_hw)
    # The class token's position belongs to no place, and is not interpolated.
    positions = torch.cat([learned[:1].to(of_patches), of_patches])
    hidden: torch.Tensor = vit.ln_pre(tokens + positions.to(tokens.dtype))
    return hidden


def resize_positions(
    learned: torch.Tensor, learned_hw: tuple[int, int], grid_hw: tuple[int, int]
) -> torch.Tensor:
    """Interpolate positions of patches to another grid (bicubic), (h w, D) -> (h' w', D)."""
    if learned_hw == grid_hw:
        return learned
    # In float32: torch has no such interpolation of bfloat16 on a CPU.
    plane = learned.float().reshape(1, *learned_hw, -1).permute(0, 3, 1, 2)
    resized = interpolate(plane, grid_hw, mode="bicubic", antialias=True)
    return resized.flatten(2)[0].T


def project(vit: VisionTransformer, hidden: torch.Tensor) -> torch.Tensor:
    """Apply final norm and projection, (..., width) -> (..., D)."""
    normed: torch.Tensor = vit.ln_post(hidden)
    return normed if vit.proj is None else normed @ vit.proj


def picture_vectors(vit: VisionTransformer, pixels: torch.Tensor) -> torch.Tensor:
    """Encode pictures of any size, (N, 3, H, W) -> (N, D), not normalised."""
    hidden = embed_patches(vit, pixels)
    for block in vit.transformer.resblocks:
        hidden = block(hidden)
    if vit.pool_type == "avg":
        return project(vit, hidden[:, 1:]).mean(dim=1)
    return project(vit, hidden[:, 0])


def dense_map(vit: VisionTransformer, pixels: torch.Tensor, last_block: LastBlock) -> torch.Tensor:
    """Encode each patch, (N, 3, H, W) -> (N, h, w, D), not normalised."""
    grid_hw = (pixels.shape[2] // vit.patch_size[0], pixels.shape[3] // vit.patch_size[1])
    hidden = embed_patches(vit, pixels)
    *blocks, last = vit.transformer.resblocks
    for block in blocks:
        hidden = block(hidden)
    vectors = project(vit, last_block(last, hidden, grid_hw)[:, 1:])
    return vectors.view(len(vectors), *grid_hw, -1)


def region_tokens(
    vit: VisionTransformer, pixels: torch.Tensor, coverage: torch.Tensor
) -> torch.Tensor:
    """Encode each region by a class token of its own, to (N, R, D), not normalised.

    The token is a copy of the picture's as it enters the first block. It attends to itself and to
    the patches of its region, and no other token attends to it. A patch weighs as much as the
    region covers of it, relative to the patch that it covers most of. So a region that covers
    everything has the picture's own vector.

    Args:
        pixels:   (N, 3, H, W).
        coverage: (N, R, h w) in [0, 1]: share of each patch that is in the region, > 0 somewhere.
    """
    # A bias of log w on a logit multiplies the softmax weight by w, and log 0 hides a patch. It is
    # relative to the most, for a region smaller than a patch would else attend to itself only.
    most = coverage.amax(dim=2, keepdim=True)
    bias = (coverage / most).log().to(pixels.dtype)[:, None]
    hidden = embed_patches(vit, pixels)
    regions = hidden[:, :1].expand(-1, coverage.shape[1], -1)
    for block in vit.transformer.resblocks:
        hidden, regions = _run_block(block, hidden, regions, bias)
    return project(vit, regions)


def _run_block(
    block: ResidualAttentionBlock, hidden: torch.Tensor, regions: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a block on the picture's and the regions' tokens; all but attention is done at once."""
    count = hidden.shape[1]
    both = torch.cat([hidden, regions], dim=1)
    query, key, value = query_key_value(block, both)
    own = nn.functional.scaled_dot_product_attention(
        query[:, :, :count], key[:, :, :count], value[:, :, :count]
    )
    attended = _attend_to_patches(
        query[:, :, count:],
        key[:, :, 1:count],
        value[:, :, 1:count],
        key[:, :, count:],
        value[:, :, count:],
        bias,
    )
    both = both + block.ls_1(merge_heads(block, torch.cat([own, attended], dim=2)))
    both = both + block.ls_2(block.mlp(block.ln_2(both)))
    return both[:, :count], both[:, count:]


def _attend_to_patches(
    query: torch.Tensor,
    patch_key: torch.Tensor,
    patch_value: torch.Tensor,
    own_key: torch.Tensor,
    own_value: torch.Tensor,
    bias: torch.Tensor,
) -> torch.Tensor:
    """Attention of each region's token to itself and to its patches, (N, heads, R, d).

    bias: (N, 1, R, h w), added to the logits of patches; -inf hides one.
    """
    # By hand: each region has a key of its own beside the shared ones, and a mask that hides all
    # others would have R^2 entries.
    query = query / math.sqrt(query.shape[-1])
    patches = query @ patch_key.transpose(2, 3) + bias
    own = (query * own_key).sum(dim=3, keepdim=True)
    weight = torch.cat([patches, own], dim=3).softmax(dim=3)
    return weight[..., :-1] @ patch_value + weight[..., -1:] * own_value
