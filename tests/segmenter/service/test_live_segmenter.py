"""A dictionary is counted when it has changed, and not too often; and it is read in few steps."""

import io
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from fastapi import UploadFile

from captionary.schemas.dictionary import Picture
from captionary.segmenter.service import live_segmenter
from captionary.segmenter.service.forms import RetrieveForm
from captionary.segmenter.service.live_segmenter import (
    COUNT_COST,
    COUNT_INTERVAL,
    CachedCount,
    NounListing,
)
from captionary.segmenter.service.responses import retrieval_body
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.segmenter.service.served import FilledDictionary, LoadedModels
from tests.stores import copy_store


class Clock:
    """A clock that tests set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(live_segmenter, "monotonic", clock)
    return clock


@pytest.fixture(scope="module")
def changing(
    models: LoadedModels, small_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StoredDictionary]:
    """A dictionary whose revision may rise."""
    store = copy_store(small_store, tmp_path_factory.mktemp("changing") / "store")
    with models.open_dictionary(store) as dictionary:
        yield dictionary


def change(dictionary: StoredDictionary) -> None:
    """Have the revision rise."""
    noun = dictionary.entries()[0].noun
    prototypes = dictionary.prototypes([noun])
    assert prototypes
    generation = f"{dictionary.revision}"
    dictionary.replace_prototypes(
        noun, [replace(prototype, generation=generation) for prototype in prototypes]
    )


def test_an_unchanged_dictionary_is_counted_once(changing: StoredDictionary, clock: Clock) -> None:
    numbers = count()
    counted = CachedCount(changing, lambda: next(numbers))

    first, again = counted.get(), counted.get()
    clock.now += COUNT_INTERVAL

    assert first == again == counted.get() == (changing.revision, 0)


def test_a_dictionary_that_changes_all_the_time_is_counted_now_and_then(
    changing: StoredDictionary, clock: Clock
) -> None:
    numbers = count()
    counted = CachedCount(changing, lambda: next(numbers))

    for _ in range(8):
        change(changing)
        counted.get()
        clock.now += COUNT_INTERVAL / 4

    assert next(numbers) == 2
    assert counted.get()[0] == changing.revision


def test_a_count_that_takes_long_is_made_less_often(
    changing: StoredDictionary, clock: Clock
) -> None:
    def slow() -> float:
        clock.now += 0.3
        return clock.now

    counted = CachedCount(changing, slow)
    _, first = counted.get()
    change(changing)

    clock.now = first + COUNT_COST * 0.3 - 0.01
    assert counted.get()[1] == first
    clock.now += 0.02
    assert counted.get()[1] > first


def test_nobody_waits_for_a_new_count_who_can_have_an_old_one(
    changing: StoredDictionary, clock: Clock
) -> None:
    go_on, counting = threading.Event(), threading.Event()
    numbers = count()

    def held() -> int:
        if (number := next(numbers)) > 0:
            counting.set()
            assert go_on.wait(30)
        return number

    counted = CachedCount(changing, held)
    assert counted.get()[1] == 0
    change(changing)
    clock.now += COUNT_INTERVAL
    with ThreadPoolExecutor(1) as pool:
        newer = pool.submit(counted.get)
        assert counting.wait(30)
        old = counted.get()
        go_on.set()

    assert (old[1], newer.result()[1]) == (0, 1)


def test_a_new_noun_is_listed_after_the_pause(small: FilledDictionary, clock: Clock) -> None:
    listing = NounListing(small.dictionary)
    before, stats = len(listing.entries()), listing.stats()
    assert listing.last_stats == stats
    small.index(2, 6)

    assert len(listing.entries()) == before
    clock.now += COUNT_INTERVAL

    assert len(listing.entries()) > before
    assert listing.last_stats == stats
    assert listing.stats() != stats


class CountingDictionary(StoredDictionary):
    """Counts the reads of pictures."""

    reads = 0

    def pictures_named(self, image_ids: Sequence[str]) -> list[Picture]:
        self.reads += 1
        return super().pictures_named(image_ids)


def test_the_pictures_of_near_regions_are_read_at_once(
    models: LoadedModels, scenes: Path, small_store: Path, tmp_path: Path
) -> None:
    store = copy_store(small_store, tmp_path / "store")
    vector = models.extractor.extract(load_picture(scenes / "images/00000.png")).table.vectors[0]
    extractor = models.extractor
    with CountingDictionary(
        EdgeEngine(store), fingerprint=extractor.fingerprint, dim=extractor.dim
    ) as dictionary:
        retriever = Retriever(dictionary)
        retriever.common_parts()
        dictionary.reads = 0
        form = RetrieveForm(image=UploadFile(io.BytesIO()), limit=100)
        regions = retrieval_body(retriever, vector, form).regions

    assert len({region.image_id for region in regions}) > 1
    assert dictionary.reads == 1
