"""Vectors of texts that are kept from run to run: the same bits, and none of another model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from captionary.files.cache import CacheFile
from captionary.schemas.arrays import Vectors
from captionary.vision.clip.text_encoder import ClipTextEncoder

DIM, CONTEXT = 16, 12


def tokenize(sentences: Sequence[str]) -> torch.Tensor:
    rows = [[*sentence.encode()[-CONTEXT + 1 :], 999] for sentence in sentences]
    return torch.tensor([row + [0] * (CONTEXT - len(row)) for row in rows])


class Model(torch.nn.Module):
    """Encodes by fixed random numbers, and counts its passes."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.logit_scale = torch.nn.Parameter(torch.zeros(()))
        self.table = torch.randn(1000, DIM, generator=torch.Generator().manual_seed(seed))
        self.seed, self.passes = seed, 0

    def encode_text(self, tokens: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        return self.table[tokens].cumsum(1)[:, -1].sin()


def encoder(path: Path | None, model: Model) -> ClipTextEncoder:
    """An encoder of another process, as it were: it has nothing in its memory."""
    cache = None if path is None else CacheFile(path)
    return ClipTextEncoder(model, tokenize, dim=DIM, cache=cache, fingerprint=str(model.seed))


def encode(path: Path | None, names: Sequence[str], templates: str, *, seed: int = 0) -> Vectors:
    return encoder(path, Model(seed)).encode(names, templates)


NAMES = ["dog", "fire hydrant", "犬"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "texts"


@pytest.mark.parametrize("templates", ["80", "7", "plain"])
def test_the_same_bits_without_a_pass(path: Path, templates: str) -> None:
    computed = encode(None, NAMES, templates)
    np.testing.assert_array_equal(encode(path, NAMES, templates), computed)
    model = Model()
    np.testing.assert_array_equal(encoder(path, model).encode(NAMES, templates), computed)
    assert model.passes == 0


def test_what_is_new_is_computed(path: Path) -> None:
    encode(path, NAMES[:2], "plain")
    model = Model()
    vectors = encoder(path, model).encode(NAMES[1:], "plain")
    np.testing.assert_array_equal(vectors, encode(None, NAMES[1:], "plain"))
    assert model.passes == 1


def test_templates_and_models_are_told_apart(path: Path) -> None:
    for _ in range(2):
        for templates in ("80", "7", "plain"):
            for seed in (0, 1):
                vectors = encode(path, NAMES, templates, seed=seed)
                computed = encode(None, NAMES, templates, seed=seed)
                np.testing.assert_array_equal(vectors, computed)


def test_other_kernels_are_told_apart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode(path, NAMES, "plain")
    module = "captionary.vision.clip.text_encoder.describe_kernels"
    monkeypatch.setattr(module, lambda _device: "another processor")
    model = Model()
    encoder(path, model).encode(NAMES, "plain")
    assert model.passes > 0


def test_a_vector_of_another_length_is_not_taken(path: Path) -> None:
    text = encoder(path, Model())
    (key,) = text._keys(tokenize(["a photo of a dog."])[None])
    CacheFile(path).write({key: b"1234"})
    np.testing.assert_array_equal(text.encode(["dog"], "plain"), encode(None, ["dog"], "plain"))
