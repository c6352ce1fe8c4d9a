"""Neighbours against brute force over all stored regions."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from captionary.schemas.dictionary import Picture
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import unit as scaled
from captionary.vocabulary import neighbours
from captionary.vocabulary.candidates import SMALLEST
from captionary.vocabulary.centring import CommonParts, centred
from captionary.vocabulary.neighbours import Neighbours
from captionary.vocabulary.records.point_ids import region_point_id
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.exact_engine import ExactEngine
from tests.vocabulary.made_up_records import (
    DIM,
    FINGERPRINT,
    LOOK_DIM,
    NOUNS,
    pair,
    prototypes,
    table,
)

NEAREST = 4


@pytest.fixture(params=[0, LOOK_DIM])
def dictionary(request: pytest.FixtureRequest) -> StoredDictionary:
    """A dictionary of seven pictures, with and without look vectors."""
    stored = StoredDictionary(
        ExactEngine(), fingerprint=FINGERPRINT, dim=DIM, look_dim=request.param
    )
    stored.add([pair(number, look_dim=request.param) for number in range(7)])
    stored.draw_sample(5)
    return stored


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "NEIGHBOURS", NEAREST)


def brute_force(
    asked: RegionTable, stored: StoredDictionary, common: CommonParts
) -> tuple[list[np.ndarray[tuple[int], np.dtype[np.float64]]], list[dict[str, float]]]:
    """The formula, region by region: mean words, and the weight of each noun's pictures."""
    pictures = stored.pictures_named(stored.sample())
    rows = [
        (picture, words, look)
        for picture, own in zip(pictures, stored.region_tables(pictures), strict=True)
        for words, look, area in zip(
            centred(own.vectors, common.vector),
            centred(own.looks, common.look),
            own.areas,
            strict=True,
        )
        if area >= SMALLEST
    ]
    means, votes = [], []
    for query in centred(asked.looks, common.look):
        ranked = sorted(rows, key=lambda row: -float(row[2] @ query))[:NEAREST]
        cosines = np.array([look @ query for _, _, look in ranked], np.float64)
        share = np.exp(neighbours.SHARPNESS * (cosines - cosines.max()))
        share /= share.sum()
        means.append(np.mean([words for _, words, _ in ranked], axis=0))
        vote = dict.fromkeys(NOUNS, 0.0)
        for (picture, _, _), weight in zip(ranked, share, strict=True):
            for noun in picture.all_nouns:
                vote[noun] += weight
        votes.append(vote)
    return means, votes


def vote_of(found: Neighbours, row: int, noun: str) -> float:
    named = np.array([noun in nouns for nouns in found.nouns])
    return float(found.weight[row] @ named)


def test_neighbours_equal_brute_force(dictionary: StoredDictionary) -> None:
    retriever = Retriever(dictionary)
    asked = table(99, look_dim=dictionary.look_dim)

    found = retriever.neighbours(asked)

    means, votes = brute_force(asked, dictionary, retriever.common_parts())
    assert_allclose(found.words, scaled(np.array(means, np.float32)), atol=1e-5)
    for row, expected in enumerate(votes):
        for noun, vote in expected.items():
            assert vote_of(found, row, noun) == pytest.approx(vote, abs=1e-5)
    assert_allclose(found.weight.sum(axis=1), 1, atol=1e-5)


def test_an_empty_dictionary_has_none() -> None:
    empty = StoredDictionary(ExactEngine(), fingerprint=FINGERPRINT, dim=DIM)
    found = Retriever(empty).neighbours(table(1))
    assert found.nouns == ()
    assert_allclose(found.words, table(1).vectors, atol=1e-6)
    assert found.weight.shape == (5, 0)


class Reads(StoredDictionary):
    """Knows whose regions were read."""

    read: list[str]

    def region_tables(self, pictures: Sequence[Picture]) -> list[RegionTable]:
        self.read += [picture.id for picture in pictures]
        return super().region_tables(pictures)


def test_regions_are_read_once_and_captions_when_they_come(dictionary: StoredDictionary) -> None:
    counting = Reads(dictionary.engine, fingerprint=FINGERPRINT, dim=DIM)
    counting.read = []
    retriever, asked = Retriever(counting), table(99, look_dim=counting.look_dim)
    before = retriever.neighbours(asked)
    _ = retriever.common_parts()
    assert sorted(counting.read) == sorted(counting.sample())

    counting.read.clear()
    (amended,) = counting.pictures_named([counting.sample()[0]])
    captions, nouns = (*amended.captions, "a zebra"), (*amended.nouns, ("zebra",))
    counting.amend([replace(amended, captions=captions, nouns=nouns)])
    looked = prototypes("zebra", 1, look_dim=counting.look_dim)
    counting.replace_prototypes("zebra", looked)
    after = retriever.neighbours(asked)
    assert counting.read == []
    assert after.nouns[0] == before.nouns[0] | {"zebra"}
    assert_allclose(after.words, before.words)


def assert_equal(found: Neighbours, expected: Neighbours) -> None:
    """The same neighbours, bit for bit."""
    assert_array_equal(found.words, expected.words)
    assert_array_equal(found.weight, expected.weight)
    assert found.nouns == expected.nouns


def refresh(dictionary: StoredDictionary, generation: str) -> None:
    """What a refresh does, as far as a reader can tell."""
    dictionary.draw_sample()
    look_dim = dictionary.look_dim
    found = prototypes("dog", 1, generation=generation, look_dim=look_dim)
    dictionary.replace_prototypes("dog", found)
    dictionary.settle(list(dictionary.pending()))


def test_the_pool_follows_the_dictionary(dictionary: StoredDictionary) -> None:
    """What is kept in memory changes nothing as pictures come, go, and come again."""
    look_dim = dictionary.look_dim
    lasting, asked = Retriever(dictionary), table(99, look_dim=look_dim)
    sizes = []
    for step in range(5):
        if step == 1:
            dictionary.add([pair(number, look_dim=look_dim) for number in range(7, 20)])
        if step == 2:
            dictionary.retire(["p0003", "p0011"])
        if step == 3:  # too few for another sample
            dictionary.add([pair(3, look_dim=look_dim)])
        if step == 4:
            dictionary.retire(["p0003", "p0004"])
        refresh(dictionary, f"g{step}")
        found, fresh = lasting.neighbours(asked), Retriever(dictionary).neighbours(asked)
        assert_equal(found, fresh)
        sizes.append(len(found.nouns))
    assert sizes == [5, 20, 18, 18, 17]


def test_other_pictures_of_the_same_ids_are_read_anew(dictionary: StoredDictionary) -> None:
    """Also where nobody asked between their removal and their coming again."""
    look_dim, ids = dictionary.look_dim, [picture.id for picture in dictionary.pictures()]
    lasting, asked = Retriever(dictionary), table(99, look_dim=look_dim)
    before, sample = lasting.neighbours(asked), dictionary.sample()
    dictionary.retire(ids)
    refresh(dictionary, "g2")
    others = [
        (replace(pair(number)[0], sha256="f" * 64), table(100 + number, look_dim=look_dim))
        for number in range(len(ids))
    ]
    dictionary.add(others)
    dictionary.draw_sample(5)
    refresh(dictionary, "g3")
    assert dictionary.sample() == sample
    after = lasting.neighbours(asked)
    assert np.abs(after.words - before.words).max() > 0.01
    assert_equal(after, Retriever(dictionary).neighbours(asked))


def test_threads_see_the_same_while_it_is_read(dictionary: StoredDictionary) -> None:
    expected = Retriever(dictionary).neighbours(table(99, look_dim=dictionary.look_dim))
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            shared, asked = Retriever(dictionary), table(99, look_dim=dictionary.look_dim)
            futures = [pool.submit(shared.neighbours, asked) for _ in range(4)]
            for future in futures:
                assert_equal(future.result(timeout=60), expected)


def test_a_picture_whose_regions_are_lost_is_left_out(dictionary: StoredDictionary) -> None:
    lost = region_point_id(dictionary.sample()[0], 1, fingerprint=FINGERPRINT)
    dictionary.engine.collection("regions").delete([lost])
    found = Retriever(dictionary).neighbours(table(99, look_dim=dictionary.look_dim))
    assert len(found.nouns) == 4
    assert_allclose(found.weight.sum(axis=1), 1, atol=1e-5)
