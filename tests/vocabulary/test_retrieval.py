"""Reading the dictionary: the two ways of reading similarities are one."""

import numpy as np
import pytest

from captionary.schemas.errors import CaptionaryError
from captionary.vocabulary.points import region_points
from captionary.vocabulary.retrieval import RecentlyUsed, Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.vocabulary.made import DIM, FINGERPRINT, pair, prototypes, table, tag, unit


@pytest.fixture
def filled(dictionary: StoredDictionary) -> StoredDictionary:
    for number in range(40):
        noun = f"noun {number:02d}"
        dictionary.replace_prototypes(noun, prototypes(noun, 1 + number % 4))
    return dictionary


def test_by_query_and_by_matrix_are_equal(filled: StoredDictionary) -> None:
    retriever, regions = Retriever(filled), unit(12, seed=99)
    for nouns in (
        [f"noun {number:02d}" for number in range(3, 33)],
        ["noun 07"],
        ["noun 09", "unheard of", "noun 02", "noun 09"],
        retriever.nouns(),
    ):
        kept, by_matrix = retriever.similarities(regions, nouns)
        asked, by_query = retriever.by_query(regions, nouns)
        assert [(p.noun, p.number) for p in kept] == sorted((p.noun, p.number) for p in kept)
        assert asked == kept == retriever.prototypes(nouns)
        assert by_matrix.shape == by_query.shape == (12, len(kept))
        assert by_matrix.dtype == by_query.dtype == np.float32
        np.testing.assert_allclose(by_query, by_matrix, atol=1e-6)
        exact = regions.astype(np.float64) @ np.array([p.vector for p in kept], np.float64).T
        np.testing.assert_allclose(by_query, exact, atol=1e-6)


@pytest.mark.parametrize("nouns", [[], ["unheard of"]])
def test_no_prototypes(filled: StoredDictionary, nouns: list[str]) -> None:
    retriever = Retriever(filled)
    for found, scores in (
        retriever.similarities(unit(3), nouns),
        retriever.by_query(unit(3), nouns),
    ):
        assert found == ()
        assert scores.shape == (3, 0)


def test_no_regions(filled: StoredDictionary) -> None:
    retriever = Retriever(filled)
    assert retriever.similarities(unit(0), ["noun 03"])[1].shape == (0, 4)
    assert retriever.by_query(unit(0), ["noun 03"])[1].shape == (0, 4)


def test_vectors_of_another_encoder_are_refused(filled: StoredDictionary) -> None:
    with pytest.raises(CaptionaryError, match=r"shape \(16,\)"):
        Retriever(filled).similarities(unit(1, dim=8), ["noun 03"])


def test_a_new_revision_is_read(filled: StoredDictionary) -> None:
    retriever = Retriever(filled)
    before = retriever.prototypes(["noun 01"])
    assert retriever.prototypes(["noun 01"]) is before
    filled.replace_prototypes("noun 01", prototypes("noun 01", 3, generation="g2"))
    filled.replace_prototypes("zebra", prototypes("zebra", 1))
    assert [p.generation for p in retriever.prototypes(["noun 01"])] == ["g2"] * 3
    assert retriever.by_query(unit(2), ["noun 01"])[1].shape == (2, 3)
    assert "zebra" in retriever.nouns()


def test_the_cache_is_bounded() -> None:
    made: list[int] = []
    cache: RecentlyUsed[int] = RecentlyUsed(2)

    def noted(key: int) -> int:
        made.append(key)
        return key

    def value(key: int) -> int:
        return cache.get(key, lambda: noted(key))

    assert [value(key) for key in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert made == [1, 2, 3, 2]


def test_sample_vectors_follow_the_sample(dictionary: StoredDictionary) -> None:
    retriever = Retriever(dictionary)
    assert retriever.sample_vectors().shape == (0, DIM)
    dictionary.add([pair(number) for number in range(6)])
    drawn = dictionary.draw_sample(3)
    expected = np.concatenate([table(int(name[1:])).vectors for name in drawn])
    assert np.array_equal(retriever.sample_vectors(), expected)
    assert retriever.sample_vectors() is retriever.sample_vectors()
    dictionary.retire([drawn[0]])
    dictionary.draw_sample(3)
    assert not np.array_equal(retriever.sample_vectors(), expected)


def test_near_regions_are_exact_and_filtered(dictionary: StoredDictionary) -> None:
    items = [pair(number, source="ab"[number % 2]) for number in range(8)]
    dictionary.add(items)
    dictionary.tag("dog", [tag("dog", 2, 1), tag("dog", 5, 0)])
    retriever, vector = Retriever(dictionary), unit(1, seed=77)[0]
    cosines = {
        (picture.id, index): float(row @ vector)
        for picture, rows in items
        for index, row in enumerate(rows.vectors)
    }
    best = sorted(cosines, key=lambda key: -cosines[key])
    found = retriever.nearest_regions(vector, limit=7)
    assert [(near.image_id, near.index) for near in found] == best[:7]
    np.testing.assert_allclose(
        [near.similarity for near in found], [cosines[k] for k in best[:7]], atol=1e-6
    )
    dogs = retriever.nearest_regions(vector, limit=7, noun="dog")
    assert [(n.image_id, n.index) for n in dogs] == [
        key for key in best if key in {("p0002", 1), ("p0005", 0)}
    ]
    assert {near.nouns for near in dogs} == {("dog",)}
    assert dogs[0].box_xyxy == tuple(table(int(dogs[0].image_id[1:])).boxes_xyxy[dogs[0].index])
    assert {n.source for n in retriever.nearest_regions(vector, limit=99, source="a")} == {"a"}
    odd = retriever.nearest_regions(vector, limit=99, tag="odd", source="b")
    assert len(odd) == 20
    assert retriever.nearest_regions(vector, limit=99, tag="odd", source="a") == []


def test_regions_of_no_picture_are_not_near(dictionary: StoredDictionary) -> None:
    dictionary.add([pair(1), pair(2), pair(3)])
    stray, rows = pair(4)
    points = region_points(stray, rows, fingerprint=FINGERPRINT)
    dictionary.engine.collection("regions").upsert(points)
    dictionary.retire(["p0003"])
    found = Retriever(dictionary).nearest_regions(rows.vectors[0], limit=6)
    assert len(found) == 6
    assert {near.image_id for near in found} == {"p0001", "p0002"}
