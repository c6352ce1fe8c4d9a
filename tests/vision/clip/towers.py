"""Small image towers of random weights, of the kinds that open_clip has."""

import torch
from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import VisionTransformer


def random_vit(*, pool_type: str = "tok", attentional_pool: bool = False) -> VisionTransformer:
    """Three blocks of four heads on a grid of 4 x 4 patches; vectors of 12 numbers."""
    torch.manual_seed(0)
    tower = VisionTransformer(
        image_size=16,
        patch_size=4,
        width=32,
        layers=3,
        heads=4,
        mlp_ratio=2,
        ls_init_value=0.5,
        output_dim=12,
        pool_type=pool_type,
        attentional_pool=attentional_pool,
        attn_pooler_heads=4,
    )
    for parameter in tower.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return tower.eval().requires_grad_(False)


def random_resnet() -> ModifiedResNet:
    """One block a layer, for pictures of 64 pixels; vectors of 12 numbers."""
    torch.manual_seed(0)
    return ModifiedResNet([1, 1, 1, 1], 12, heads=4, image_size=64, width=8).eval()
