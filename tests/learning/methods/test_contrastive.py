import pytest
import torch
from open_clip.loss import ClipLoss

from captionary.learning.methods.contrastive import contrastive_loss


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    images, texts = (torch.randn(6, 8, generator=random) for _ in range(2))
    normal = torch.nn.functional.normalize
    return normal(images, dim=1), normal(texts, dim=1)


def test_equals_open_clip(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    scale = torch.tensor(14.0)

    ours = contrastive_loss(*pair, scale=scale)

    assert float(ours) == pytest.approx(float(ClipLoss()(*pair, scale)), rel=1e-6)


def test_parts_average_to_the_whole(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    images, texts = pair
    scale = torch.tensor(5.0)
    parts = [
        contrastive_loss(
            images[first : first + 2],
            texts[first : first + 2],
            scale=scale,
            all_images=images,
            all_texts=texts,
            offset=first,
        )
        for first in (0, 2, 4)
    ]

    whole = contrastive_loss(images, texts, scale=scale)

    assert float(sum(parts)) / 3 == pytest.approx(float(whole), rel=1e-6)
