"""Fixtures shared by all tests: the bundled CLIP, scenes that it knows, and ../shared."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.scenes import draw

# On a slow machine a first call may take longer than hypothesis gives an example.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")

# Neither is the user's cache filled, nor does a test find what another has computed.
os.environ["CAPTIONARY_CACHE"] = "off"

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def mini() -> str:
    """Name of the bundled CLIP, which is small and knows pictograms."""
    return "mini"


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 pictogram scenes with captions and masks, to be read only."""
    return draw(tmp_path_factory.mktemp("drawn") / "scenes", 40)


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


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Processes that a test starts heed SIGINT, also where this one was told to ignore it.

    So shells start what runs in the background; a signal with a handler is reset for the child.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
