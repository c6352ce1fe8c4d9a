"""A dictionary of drawn scenes, made once, and the segmenter's service on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from captionary.segmenter.service import live_segmenter
from tests.segmenter.service.served import (
    SHORT,
    FilledDictionary,
    LoadedModels,
    fill_dictionary,
    running_service,
)
from tests.stores import copy_store


@pytest.fixture(scope="session")
def models(mini: str) -> LoadedModels:
    """The bundled models, as they are used where nobody says how."""
    return LoadedModels.load(mini)


@pytest.fixture(scope="session")
def filled(
    models: LoadedModels, scenes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FilledDictionary]:
    """To be read only."""
    with fill_dictionary(models, scenes, tmp_path_factory.mktemp("served") / "store") as filled:
        yield filled


@pytest.fixture(scope="session")
def client(filled: FilledDictionary) -> Iterator[TestClient]:
    """Asks a service that has opened."""
    with running_service(lambda: filled.segmenter) as client:
        yield client


@pytest.fixture(scope="session")
def small_store(
    models: LoadedModels, scenes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The store of a dictionary of two pictures, closed, to be copied."""
    store = tmp_path_factory.mktemp("small") / "store"
    with fill_dictionary(models, scenes, store, pictures=2):
        pass
    return store


@pytest.fixture
def small(
    models: LoadedModels, scenes: Path, small_store: Path, tmp_path: Path
) -> Iterator[FilledDictionary]:
    """A dictionary of two pictures, to be changed."""
    store = copy_store(small_store, tmp_path / "store")
    with models.open_dictionary(store) as dictionary:
        yield FilledDictionary(models, dictionary, scenes, store)


@pytest.fixture
def short_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dictionary is checked and counted more often than in use, so that tests wait less."""
    monkeypatch.setattr(live_segmenter, "CHECK_INTERVAL", SHORT)
    monkeypatch.setattr(live_segmenter, "COUNT_INTERVAL", SHORT)
