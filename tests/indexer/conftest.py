"""Fixtures of the indexer's tests."""

import pytest

from captionary.indexer.nouns import NounExtractor


@pytest.fixture(scope="session")
def nouns() -> NounExtractor:
    """The carried noun extractor, loaded once."""
    return NounExtractor()
