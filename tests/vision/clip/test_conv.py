import open_clip
import pytest
import torch

from captionary.vision.clip.conv import dense_map, dense_stride
from tests.vision.clip.towers import random_resnet, random_vit


@pytest.fixture(scope="module")
def convnext() -> torch.nn.Module:
    """A tower of timm with a norm between pooling and projection."""
    vision = {"timm_model_name": "convnext_atto", "timm_pool": "", "timm_proj": "linear"}
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(
        embed_dim=12,
        vision_cfg={**vision, "image_size": 64},
        text_cfg={"context_length": 8, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1},
    )
    tower: torch.nn.Module = model.visual.eval().requires_grad_(False)
    return tower


def test_one_place_is_the_picture(convnext: torch.nn.Module) -> None:
    """A picture of one patch has one place, which has the picture's own vector."""
    pixels = torch.rand(2, 3, 32, 32)
    dense = dense_map(convnext, pixels)
    assert dense.shape == (2, 1, 1, 12)
    torch.testing.assert_close(dense[:, 0, 0], convnext(pixels))


def test_the_mean_of_the_places_is_the_picture(photo_mini: str) -> None:
    tower = open_clip.create_model(photo_mini).visual.eval().requires_grad_(False)
    pixels = torch.rand(2, 3, 96, 64)
    assert dense_stride(tower, torch.rand(1, 3, 64, 64)) == 32
    dense = dense_map(tower, pixels)
    assert dense.shape == (2, 3, 2, 512)
    torch.testing.assert_close(dense.mean(dim=(1, 2)), tower(pixels), rtol=1e-4, atol=1e-4)


def test_attention_pooling_is_taken_apart() -> None:
    """With one place, attention has nothing to choose between but the mean, which is the same."""
    tower = random_resnet()
    pixels = torch.rand(1, 3, 64, 96)
    dense = dense_map(tower, pixels)
    assert dense.shape == (1, 2, 3, 12)
    single = tower.layer4(tower.layer3(tower.layer2(tower.layer1(tower.stem(pixels)))))[0, :, 1, 2]
    expected = tower.attnpool.c_proj(tower.attnpool.v_proj(single))
    torch.testing.assert_close(dense[0, 1, 2], expected)


def test_kinds_of_towers(convnext: torch.nn.Module) -> None:
    assert dense_stride(convnext, torch.rand(1, 3, 64, 64)) == 32
    assert dense_stride(convnext, torch.rand(1, 3, 80, 80)) == 32
    assert dense_stride(random_resnet(), torch.rand(1, 3, 64, 64)) == 32
    assert dense_stride(random_vit(), torch.rand(1, 3, 16, 16)) is None
    transformer = open_clip.timm_model.TimmModel("vit_tiny_patch16_224", 12, 224, pool="token")
    assert dense_stride(transformer.eval(), torch.rand(1, 3, 224, 224)) is None
