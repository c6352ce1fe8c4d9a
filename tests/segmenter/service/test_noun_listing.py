"""A dictionary is counted when it has changed, and not too often."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from captionary.schemas.dictionary import Picture
from captionary.segmenter.service import noun_listing as counting_module
from captionary.segmenter.service.nearest import Wanted, near_json
from captionary.segmenter.service.noun_listing import PAUSE, PAUSE_BY_COUNT, Counted, Listing
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.segmenter.service.served import Looking, Taught, teach, until


@pytest.fixture
def small(looking: Looking, scenes: Path, tmp_path: Path) -> Iterator[Taught]:
    """A dictionary of two pictures, to be changed."""
    with teach(looking, scenes, tmp_path / "store", pictures=2) as taught:
        yield taught


def change(dictionary: StoredDictionary) -> None:
    """Have the revision rise."""
    noun = dictionary.entries()[0].noun
    found = dictionary.prototypes([noun])
    assert found
    generation = f"{dictionary.revision}"
    dictionary.replace_prototypes(noun, [replace(one, generation=generation) for one in found])


def test_an_unchanged_dictionary_is_counted_once(small: Taught) -> None:
    numbers = count()
    counted = Counted(small.dictionary, lambda: next(numbers))

    first, again = counted.get(), counted.get()
    time.sleep(PAUSE)

    assert first == again == counted.get() == (small.dictionary.revision, 0)


def test_a_dictionary_that_changes_all_the_time_is_counted_now_and_then(small: Taught) -> None:
    numbers = count()
    counted = Counted(small.dictionary, lambda: next(numbers))
    start = time.monotonic()

    for _ in range(30):
        change(small.dictionary)
        counted.get()

    took = time.monotonic() - start
    assert next(numbers) <= 2 + took / PAUSE
    until(lambda: counted.get()[0] == small.dictionary.revision)


def test_a_count_that_takes_long_is_made_less_often(small: Taught) -> None:
    def slow() -> float:
        time.sleep(0.3)
        return time.monotonic()

    counted = Counted(small.dictionary, slow)
    _, first = counted.get()
    change(small.dictionary)
    time.sleep(PAUSE + 0.1)

    assert counted.get()[1] == first
    until(lambda: counted.get()[1] != first)
    assert counted.get()[1] - first >= PAUSE_BY_COUNT * 0.3


def test_nobody_waits_for_a_new_count_who_can_have_an_old_one(small: Taught) -> None:
    go_on, counting = threading.Event(), threading.Event()
    numbers = count()

    def held() -> int:
        if (number := next(numbers)) > 0:
            counting.set()
            assert go_on.wait(30)
        return number

    counted = Counted(small.dictionary, held)
    assert counted.get()[1] == 0
    change(small.dictionary)
    time.sleep(PAUSE)
    with ThreadPoolExecutor(1) as pool:
        newer = pool.submit(counted.get)
        assert counting.wait(30)
        old = counted.get()
        go_on.set()

    assert (old[1], newer.result()[1]) == (0, 1)


def test_a_new_noun_is_listed_soon(small: Taught, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting_module, "PAUSE_BY_COUNT", 0)
    listing = Listing(small.dictionary)
    before, stats = len(listing.entries()), listing.stats()
    assert listing.counted == stats
    small.index(2, 6)

    until(lambda: len(listing.entries()) > before)

    assert listing.counted == stats


class Asked(StoredDictionary):
    """Notes how often pictures are asked for."""

    asked = 0

    def pictures_named(self, image_ids: Sequence[str]) -> list[Picture]:
        self.asked += 1
        return super().pictures_named(image_ids)


def test_the_pictures_of_near_regions_are_asked_for_at_once(
    looking: Looking, scenes: Path, tmp_path: Path
) -> None:
    with teach(looking, scenes, tmp_path / "store") as taught:
        vector = looking.extractor.extract(load_picture(taught.picture(0))).table.vectors[0]
    extractor = looking.extractor
    with Asked(
        EdgeEngine(tmp_path / "store"), fingerprint=extractor.fingerprint, dim=extractor.dim
    ) as dictionary:
        retriever = Retriever(dictionary)
        retriever.sample_vectors()
        dictionary.asked = 0
        found = near_json(retriever, vector, Wanted(20))["regions"]

    assert len({region["image_id"] for region in found}) > 1
    assert dictionary.asked == 1
