"""The bundled CLIP, which has a ViT, and the small photographic one, which is convolutional."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from captionary.schemas.arrays import Rgb
from captionary.vision.clip.catalogue import BUNDLED
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.clip.files import LOCAL_DIR
from captionary.vision.pictures.loading import LoadedPicture


@pytest.fixture(scope="session", params=["mini", "photo_mini"])
def model(request: pytest.FixtureRequest) -> str:
    """Name of a model; every test of an encoder is made on both, where they are."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture(scope="session")
def folder(model: str) -> Path:
    """Where the model's files are."""
    return BUNDLED.get(model, Path(model.removeprefix(LOCAL_DIR)))


@pytest.fixture(scope="session")
def encoder(model: str) -> ClipEncoder:
    """In float32, to be compared with references."""
    return ClipEncoder(model, device="cpu", precision="float32", templates="7")


@pytest.fixture(scope="session")
def fast_encoder(model: str) -> ClipEncoder:
    """In bfloat16, as most users run it."""
    return ClipEncoder(model, device="cpu", precision="bfloat16", templates="plain")


@pytest.fixture(scope="session")
def make_picture() -> Callable[[int, int, int], LoadedPicture]:
    """Make a picture of smooth blobs from height, width and seed."""

    def make(height: int, width: int, seed: int = 0) -> LoadedPicture:
        return LoadedPicture(blobs(height, width, seed), f"blobs{seed}")

    return make


def blobs(height: int, width: int, seed: int) -> Rgb:
    """Rectangles of random colours with a little noise, (H, W, 3) uint8."""
    random = np.random.default_rng(seed)
    pixels = np.full((height, width, 3), random.integers(0, 256, 3), dtype=np.int64)
    for _ in range(6):
        top, left = random.integers(0, height), random.integers(0, width)
        bottom, right = top + 1 + height // 3, left + 1 + width // 3
        pixels[top:bottom, left:right] = random.integers(0, 256, 3)
    noise = random.integers(-6, 7, pixels.shape)
    return np.asarray(np.clip(pixels + noise, 0, 255), dtype=np.uint8)
