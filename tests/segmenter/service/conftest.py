"""A dictionary of drawn scenes, made once, and the segmenter's service on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.segmenter.service.served import Looking, Taught, started, teach


@pytest.fixture(scope="session")
def looking(mini: str) -> Looking:
    """The bundled models, as they are used where nobody says how."""
    return Looking.load(mini)


@pytest.fixture(scope="session")
def taught(
    looking: Looking, scenes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Taught]:
    """To be read only."""
    with teach(looking, scenes, tmp_path_factory.mktemp("served") / "store") as taught:
        yield taught


@pytest.fixture(scope="session")
def client(taught: Taught) -> Iterator[TestClient]:
    """Asks a service that has opened."""
    with started(lambda: taught.segmenter) as client:
        yield client
