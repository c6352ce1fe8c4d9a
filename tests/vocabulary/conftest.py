"""Dictionaries for tests, over Qdrant Edge and over the exact oracle."""

from collections.abc import Iterator
from typing import get_args

import pytest

from tests.contract.exact_engine import ExactEngine
from tests.vocabulary.made import DIM, FINGERPRINT
from vocabulary.edge import EdgeEngine
from vocabulary.engine import CollectionName, Engine, Where
from vocabulary.vocabulary import Vocabulary


@pytest.fixture(scope="module", params=["edge", "exact"])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """One engine a module: making a store waits for the disk many times."""
    folder = tmp_path_factory.mktemp("vocabulary") / "store"
    made: Engine = EdgeEngine(folder) if request.param == "edge" else ExactEngine()
    made.create(dim=DIM)
    yield made
    made.close()


@pytest.fixture
def vocabulary(engine: Engine) -> Vocabulary:
    """A dictionary with nothing in it."""
    names: tuple[CollectionName, ...] = get_args(CollectionName)
    for name in names:
        engine.collection(name).delete(Where())
    meta = {"fingerprint": FINGERPRINT, "dim": DIM, "revision": 0, "sample": None}
    engine.write_meta(meta)
    return Vocabulary(engine, fingerprint=FINGERPRINT, dim=DIM)
