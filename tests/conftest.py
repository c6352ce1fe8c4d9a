"""Fixtures shared by all tests: where the development data and models are, if they are."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of development data and models that stands beside a checkout."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder ../shared (development data and models)")
    return SHARED


@pytest.fixture(scope="session")
def photo_mini(shared: Path) -> str:
    """Name of the small photographic CLIP."""
    return f"local-dir:{shared / 'models' / 'photo-mini'}"
