import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import nn

from captionary.vision.clip.batch_norm import fold_batch_norms


def with_statistics(norm: nn.BatchNorm2d) -> nn.BatchNorm2d:
    torch.manual_seed(norm.num_features)
    for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        if tensor is not None:
            nn.init.uniform_(tensor, 0.5, 2.0)
    return norm


class PreNormed(nn.Module):
    """A norm that is listed after a convolution but runs before it: it must not be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.norm = with_statistics(nn.BatchNorm2d(3))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.conv(self.norm(pixels))
        return output


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_folded_tower_is_the_same_function(bias: bool, affine: bool) -> None:
    tower = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=bias),
        with_statistics(nn.BatchNorm2d(8, affine=affine)),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 4, 1, groups=4), with_statistics(nn.BatchNorm2d(4))),
    ).eval()
    pixels = torch.rand(2, 3, 9, 9)
    folded = fold_batch_norms(tower, pixels)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in tower.modules())
    with torch.inference_mode():
        torch.testing.assert_close(folded(pixels), tower(pixels))


def test_towers_that_would_change_are_left_alone() -> None:
    tower = PreNormed().eval()
    assert fold_batch_norms(tower, torch.rand(1, 3, 9, 9)) is tower
    plain = nn.Sequential(nn.Conv2d(3, 3, 3)).eval()
    assert fold_batch_norms(plain, torch.rand(1, 3, 9, 9)) is plain


def test_activations_packed_into_a_norm_stay() -> None:
    norm = BatchNormAct2d(3)
    with_statistics(norm)
    tower = nn.Sequential(nn.Conv2d(3, 3, 3), norm).eval()
    pixels = torch.randn(1, 3, 9, 9)
    folded = fold_batch_norms(tower, pixels)
    assert folded is not tower
    with torch.inference_mode():
        torch.testing.assert_close(folded(pixels), tower(pixels))
