"""Services, started once for all tests of the page, and a browser for each file of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from captionary import Dictionary
from captionary.indexer.readers import read_pairs
from tests.e2e.browsing import ARGUMENTS, CHROMIUM, KEY, SECONDS, WatchedTab, services, tab

PICTURES = 10


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, scenes: Path) -> Iterator[str]:
    """Both services, on a dictionary of some drawn scenes."""
    store = tmp_path_factory.mktemp("page") / "store"
    with Dictionary(store, encoder="mini", workers=1) as dictionary:
        job = dictionary.index(islice(read_pairs(str(scenes / "captions.jsonl")), PICTURES))
    assert job.added == PICTURES
    with services(store) as opened:
        yield opened


@pytest.fixture(scope="session")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Both services behind an API key, on an empty dictionary."""
    with services(tmp_path_factory.mktemp("locked") / "store", keys=(KEY,)) as opened:
        yield opened


@pytest.fixture(scope="session")
def without(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A segmenter that waits for a dictionary, and knows no indexer."""
    with services(tmp_path_factory.mktemp("without") / "store", "segmenter") as opened:
        yield opened


# For a file and not for all: while it is open an event loop runs in this thread, and no other may.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with ExitStack() as stack:
        driver = stack.enter_context(sync_playwright())
        expect.set_options(timeout=1000 * SECONDS)
        started = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        stack.callback(started.close)
        yield started


@pytest.fixture
def watched(browser: Browser, address: str) -> Iterator[WatchedTab]:
    with tab(browser, address) as opened:
        yield opened
        assert not opened.error_statuses


@pytest.fixture
def page(watched: WatchedTab) -> Page:
    return watched.page


@pytest.fixture
def picture(scenes: Path) -> Path:
    """A scene that is not in the dictionary."""
    return scenes / "images" / "00030.png"
