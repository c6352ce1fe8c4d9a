import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transformer import VisionTransformer

from captionary.vision.clip.catalogue import BUNDLED
from captionary.vision.clip.last_block import LAST_BLOCKS
from captionary.vision.clip.vit import (
    dense_map,
    embed_patches,
    has_class_token,
    is_plain_vit,
    picture_vectors,
    region_tokens,
)
from tests.vision.clip.towers import random_resnet, random_vit

PLAIN = LAST_BLOCKS["plain"]


@pytest.fixture(scope="module", params=["random", "mini"])
def vit(request: pytest.FixtureRequest) -> VisionTransformer:
    if request.param == "random":
        return random_vit()
    model = open_clip.create_model(f"local-dir:{BUNDLED['mini']}")
    tower: VisionTransformer = model.visual.eval().requires_grad_(False)
    return tower


def pictures(vit: VisionTransformer, count: int = 2, *, times: float = 1) -> torch.Tensor:
    side = int(vit.image_size[0] * times)
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(2))


def patches(vit: VisionTransformer) -> int:
    return int(vit.grid_size[0] * vit.grid_size[1])


def test_unaltered_patches_equal_open_clips(vit: VisionTransformer) -> None:
    vit.output_tokens = True
    try:
        _, tokens = vit(pictures(vit))
    finally:
        vit.output_tokens = False
    own = dense_map(vit, pictures(vit), PLAIN)
    assert own.shape == (2, *vit.grid_size, vit.output_dim)
    torch.testing.assert_close(own.flatten(1, 2), tokens @ vit.proj, rtol=1e-4, atol=1e-4)


def test_the_pictures_vector_is_open_clips(vit: VisionTransformer) -> None:
    own = picture_vectors(vit, pictures(vit))
    torch.testing.assert_close(own, vit(pictures(vit)), rtol=1e-4, atol=1e-4)


def test_a_region_of_everything_is_the_picture(vit: VisionTransformer) -> None:
    coverage = torch.ones(2, 3, patches(vit))
    regions = region_tokens(vit, pictures(vit), coverage)
    whole = vit(pictures(vit))
    for number in range(3):
        torch.testing.assert_close(regions[:, number], whole, rtol=1e-4, atol=1e-4)


def test_how_much_is_covered_counts_relative_to_the_most(vit: VisionTransformer) -> None:
    shares = torch.rand(1, 2, patches(vit), generator=torch.Generator().manual_seed(3))
    full = region_tokens(vit, pictures(vit, 1), shares)
    tiny = region_tokens(vit, pictures(vit, 1), shares * 1e-6)
    torch.testing.assert_close(full, tiny, rtol=1e-4, atol=1e-4)


def test_a_region_does_not_attend_to_the_rest() -> None:
    """With all blocks restricted, pixels outside reach a region through patches inside only."""
    vit = random_vit()
    vit.transformer.resblocks = vit.transformer.resblocks[:1]
    one, other = pictures(vit, 1), pictures(vit, 1)
    other[:, :, 8:] = 0.3  # the lower half of the picture
    upper = torch.zeros(1, 1, 16)
    upper[:, :, :8] = 1
    torch.testing.assert_close(region_tokens(vit, one, upper), region_tokens(vit, other, upper))
    assert (region_tokens(vit, one, 1 - upper) - region_tokens(vit, other, 1 - upper)).norm() > 0.01


@settings(max_examples=15)
@given(seed=st.integers(0, 99))
def test_region_tokens_equal_a_masked_pass(seed: int) -> None:
    """The same from open_clip's own blocks, with a mask over the tokens of picture and regions."""
    vit = random_vit()
    random = torch.Generator().manual_seed(seed)
    pixels = torch.rand(1, 3, 16, 16, generator=random)
    coverage = torch.rand(1, 3, 16, generator=random) * (
        torch.rand(1, 3, 16, generator=random) > 0.5
    )
    coverage[:, :, seed % 16] = 0.5
    mask = torch.full((20, 20), -torch.inf)
    mask[:17, :17] = 0
    mask[17:, 1:17] = (coverage[0] / coverage[0].amax(dim=1, keepdim=True)).log()
    mask[range(17, 20), range(17, 20)] = 0
    hidden = embed_patches(vit, pixels)
    hidden = torch.cat([hidden, hidden[:, :1].expand(-1, 3, -1)], dim=1)
    for block in vit.transformer.resblocks:
        hidden = block(hidden, attn_mask=mask)
    expected = vit.ln_post(hidden[:, 17:]) @ vit.proj
    actual = region_tokens(vit, pixels, coverage)
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


def test_pictures_of_any_size(vit: VisionTransformer) -> None:
    rows, columns = vit.grid_size
    wide = torch.rand(1, 3, vit.patch_size[0] * (rows + 3), vit.patch_size[0] * (2 * columns))
    for altered in LAST_BLOCKS.values():
        dense = dense_map(vit, wide, altered)
        assert dense.shape == (1, rows + 3, 2 * columns, vit.output_dim)
        assert dense.isfinite().all()


def test_positions_are_interpolated_between_their_neighbours() -> None:
    vit = random_vit()
    rising = torch.arange(4.0)[:, None, None].expand(4, 4, 32).reshape(16, 32)
    vit.positional_embedding.copy_(torch.cat([torch.zeros(1, 32), rising]))
    vit.conv1.weight.zero_()
    vit.ln_pre = torch.nn.Identity()
    tokens = embed_patches(vit, torch.zeros(1, 3, 32, 32))
    grid = tokens[0, 1:, 0].view(8, 8)
    np.testing.assert_allclose(grid.std(dim=1), 0, atol=1e-5)
    assert (grid[:, 0].diff() > 0).all()
    np.testing.assert_allclose(grid[3, 0] + grid[4, 0], 3, atol=1e-4)


def test_kinds_of_towers() -> None:
    assert has_class_token(random_vit())
    average = random_vit(pool_type="avg")
    assert is_plain_vit(average)
    assert not has_class_token(average)
    assert not is_plain_vit(random_vit(attentional_pool=True))
    assert not is_plain_vit(random_resnet())
