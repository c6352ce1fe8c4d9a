import torch
from hypothesis import given
from hypothesis import strategies as st

from captionary.learning.metrics import accuracy, recall


def plain_recall(scores: torch.Tensor, text_of: torch.Tensor, at: int) -> tuple[float, float]:
    pictures, texts = scores.shape
    found_texts = [
        int(text_of[row]) in scores[row].argsort(descending=True)[:at].tolist()
        for row in range(pictures)
    ]
    found_pictures = [
        any(text_of[row] == text for row in scores[:, text].argsort(descending=True)[:at].tolist())
        for text in range(texts)
    ]
    return sum(found_texts) / pictures, sum(found_pictures) / texts


@given(st.integers(1, 8), st.integers(0, 6), st.integers(1, 5), st.integers(0, 1000))
def test_recall_equals_sorting(texts: int, more: int, at: int, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    text_of = torch.cat([torch.arange(texts), torch.randint(texts, (more,), generator=random)])
    scores = torch.rand(texts + more, texts, generator=random, dtype=torch.float64)

    assert recall(scores, text_of, at=at) == plain_recall(scores, text_of, at)


def test_perfect_and_worst() -> None:
    own = torch.arange(3)

    assert recall(torch.eye(3), own, at=1) == (1.0, 1.0)
    assert recall(-torch.eye(3), own, at=1) == (0.0, 0.0)
    assert recall(-torch.eye(3), own, at=3) == (1.0, 1.0)


def test_accuracy_counts_the_best_name() -> None:
    scores = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])

    assert accuracy(scores, torch.tensor([1, 0, 0, 0])) == 0.75
