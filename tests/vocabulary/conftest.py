"""Dictionaries for tests, over every engine and over the exact oracle."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from captionary.vocabulary.engines.engine import NAMES, Engine, Where
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.engines import RULE_ENGINES, opener
from tests.vocabulary.made_up_records import DIM, FINGERPRINT


@pytest.fixture(scope="module")
def look_dim() -> int:
    """The size of look vectors, none unless a module says otherwise."""
    return 0


@pytest.fixture(scope="module", params=RULE_ENGINES)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, look_dim: int
) -> Iterator[Engine]:
    """One engine a module: making a store waits for the disk many times."""
    folder = tmp_path_factory.mktemp("vocabulary")
    with opener(request.param, folder) as open_engine, closing(open_engine()) as made:
        made.create(dim=DIM, look_dim=look_dim)
        yield made


@pytest.fixture
def dictionary(engine: Engine, look_dim: int) -> StoredDictionary:
    """A dictionary with nothing in it."""
    for name in NAMES:
        engine.collection(name).delete(Where())
    dims = {"dim": DIM, "look_dim": look_dim}
    meta = {"fingerprint": FINGERPRINT, "models": {}, "revision": 0, "sample": None}
    engine.write_meta({**dims, **meta, "made": "here"})
    return StoredDictionary(engine, fingerprint=FINGERPRINT, dim=DIM)
