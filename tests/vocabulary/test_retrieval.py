"""Reading the dictionary: what is cached, and what is near."""

import numpy as np
import pytest

from captionary.vocabulary.centring import centred, common_part
from captionary.vocabulary.records.points import region_points
from captionary.vocabulary.retrieval import NOUN_SETS, NearNoun, Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.vocabulary.made_up_records import DIM, FINGERPRINT, pair, prototypes, table, tag, unit


@pytest.fixture
def filled(dictionary: StoredDictionary) -> StoredDictionary:
    for number in range(16):
        noun = f"noun {number:02d}"
        dictionary.replace_prototypes(noun, prototypes(noun, 1 + number % 4))
    return dictionary


def nouns_numbered(*numbers: int) -> list[str]:
    return [f"noun {number:02d}" for number in numbers]


def test_the_matrix_has_the_prototypes_of_the_nouns(filled: StoredDictionary) -> None:
    retriever = Retriever(filled)
    for nouns in (
        nouns_numbered(*range(3, 13)),
        ["noun 07"],
        ["noun 09", "unheard of", "noun 02", "noun 09"],
        retriever.nouns(),
    ):
        matrix = retriever.matrix(nouns)
        expected = [item for noun in sorted(set(nouns)) for item in filled.prototypes([noun])]
        assert [(p.noun, p.number) for p in matrix.prototypes] == [
            (p.noun, p.number) for p in expected
        ]
        assert matrix.vectors.dtype == np.float32
        assert np.array_equal(matrix.vectors, [p.vector for p in expected])


@pytest.mark.parametrize("nouns", [[], ["unheard of"]])
def test_no_prototypes(filled: StoredDictionary, nouns: list[str]) -> None:
    matrix = Retriever(filled).matrix(nouns)
    assert matrix.prototypes == ()
    assert matrix.vectors.shape == (0, DIM)


def test_a_new_revision_is_read(filled: StoredDictionary) -> None:
    retriever = Retriever(filled)
    before, nouns = retriever.matrix(["noun 01"]), retriever.nouns()
    assert retriever.matrix(iter(["noun 01"])) is before
    assert retriever.nouns() is nouns
    assert retriever.entries() is retriever.entries()
    filled.replace_prototypes("noun 01", prototypes("noun 01", 3, generation="g2"))
    filled.replace_prototypes("zebra", prototypes("zebra", 1))
    assert [p.generation for p in retriever.matrix(["noun 01"]).prototypes] == ["g2"] * 3
    assert retriever.nouns() == (*nouns, "zebra")
    assert retriever.entries()[-1].noun == "zebra"


def test_the_cache_is_bounded(filled: StoredDictionary) -> None:
    retriever = Retriever(filled)
    first = retriever.matrix(["noun 00"])
    for number in range(1, NOUN_SETS):
        retriever.matrix([f"noun {number}"])
    assert retriever.matrix(["noun 00"]) is first  # and so the last to go
    retriever.matrix(["one more"])
    assert retriever.matrix(["noun 00"]) is first
    for number in range(NOUN_SETS):
        retriever.matrix([f"another {number}"])
    assert retriever.matrix(["noun 00"]) is not first


def test_common_parts_follow_the_sample(dictionary: StoredDictionary) -> None:
    retriever = Retriever(dictionary)
    assert not retriever.common_parts().vector.any()
    dictionary.add([pair(number) for number in range(6)])
    drawn = dictionary.draw_sample(3)
    dictionary.replace_prototypes("dog", prototypes("dog", 1))
    expected = np.concatenate([table(int(name[1:])).vectors for name in drawn])
    common = retriever.common_parts()
    assert np.array_equal(common.vector, common_part(expected, pictures=3))
    assert common.look is common.vector
    assert retriever.common_parts() is common
    dictionary.retire([drawn[0]])
    dictionary.draw_sample(3)
    dictionary.replace_prototypes("dog", [])
    assert not np.array_equal(retriever.common_parts().vector, common.vector)


def test_near_nouns_are_exact_and_centred(filled: StoredDictionary) -> None:
    filled.add([pair(number) for number in range(6)])
    filled.draw_sample(3)
    retriever, vector = Retriever(filled), unit(1, seed=77)[0]
    query = centred(vector[None], retriever.common_parts().vector)[0]
    best: dict[str, NearNoun] = {}
    for prototype in filled.prototypes(retriever.nouns()):
        near = NearNoun(prototype.noun, prototype.number, float(prototype.vector @ query))
        if near.noun not in best or near.similarity > best[near.noun].similarity:
            best[near.noun] = near
    expected = sorted(best.values(), key=lambda near: -near.similarity)

    for limit in (1, 7, 16, 99):
        found = retriever.nearest_nouns(vector, limit=limit)
        assert [(n.noun, n.number) for n in found] == [(n.noun, n.number) for n in expected[:limit]]
        np.testing.assert_allclose(
            [n.similarity for n in found], [n.similarity for n in expected[:limit]], atol=1e-6
        )
    assert retriever.nearest_nouns(vector, limit=3, noun="unheard of") == []
    (only,) = retriever.nearest_nouns(vector, limit=3, noun="noun 07")
    assert (only.noun, only.number) == ("noun 07", best["noun 07"].number)


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
