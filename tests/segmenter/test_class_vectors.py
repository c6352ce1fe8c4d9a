"""Which nouns of a dictionary speak for a class, and with what weight."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from captionary.schemas.arrays import Vectors
from captionary.schemas.classes import ClassName, parse_classes
from captionary.schemas.dictionary import NounEntry, Prototype
from captionary.schemas.options import Fusion
from captionary.schemas.vectors import unit as to_unit
from captionary.segmenter.class_vectors import (
    ClassEncoder,
    ClassVectors,
    encode_classes_by_dictionary,
    encode_classes_by_text,
)
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.vocabulary.made_up_records import FINGERPRINT, picture, table, tag, unit

NOUNS = (
    *("bench", "boat", "bus", "cat", "chair", "cherry", "cow", "cup", "dog", "fire hydrant"),
    *("horse", "kite", "lamp", "road", "tree", "wolf"),
)
DIM = 128
SELDOM = "unicorn"
"""A noun of two regions only."""

LIKE = {"puppy": "dog", "poodle": "dog", "bicycle": "kite", "mythical horse": SELDOM}
"""What else the encoder below has heard of, and what it holds that to be like."""


class HandMadeText:
    """A text encoder that knows the nouns, each in a direction of its own, and a few words more."""

    dim = DIM
    logit_scale = 20.0

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        assert templates in (None, "plain")
        rows = [self._direction(LIKE.get(name, name)) + (name in LIKE) * 0.05 for name in names]
        return to_unit(np.array(rows, np.float32).reshape(len(names), self.dim))

    def _direction(self, name: str) -> Vectors:
        seed = int.from_bytes(name.encode()) % 2**32
        row: Vectors = unit(1, seed=seed, dim=self.dim)[0]
        return row


def looks(noun: str, sizes: Sequence[int]) -> list[Prototype]:
    rows = unit(len(sizes), seed=len(noun), dim=DIM)
    return [
        Prototype(noun, number, row, size, 0.1, "g1")
        for number, (row, size) in enumerate(zip(rows, sizes, strict=True))
    ]


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    """A dictionary of five pictures in which every noun has three regions, and one has two."""
    engine = EdgeEngine(tmp_path_factory.mktemp("reading") / "store")
    with StoredDictionary(engine, fingerprint=FINGERPRINT, dim=DIM) as dictionary:
        dictionary.add([(picture(n, regions=20), table(n, regions=20, dim=DIM)) for n in range(5)])
        for place, noun in enumerate((*NOUNS, SELDOM)):
            pictures = range(2 if noun == SELDOM else 3)
            dictionary.tag(noun, [tag(noun, number, place) for number in pictures])
            dictionary.replace_prototypes(noun, looks(noun, [3, 1] if noun == "dog" else [3]))
        dictionary.draw_sample()
        dictionary.settle(dictionary.pending())
        yield Retriever(dictionary)


def read(text: str, retriever: Retriever) -> ClassVectors:
    return encode_classes_by_dictionary(parse_classes(text), HandMadeText(), retriever)


def nouns_of(reading: ClassVectors, class_id: int) -> list[str]:
    columns = reading.column[reading.owner == class_id]
    return sorted({reading.prototypes[column].noun for column in columns})


@pytest.mark.parametrize(
    ("name", "nouns"),
    [
        ("dog", ["dog"]),
        ("Dogs", ["dog"]),
        ("FIRE  hydrants", ["fire hydrant"]),
        ("fire_hydrant (red)", ["fire hydrant"]),
        ("a fire-hydrant", ["fire hydrant"]),
        ("buses", ["bus"]),
        ("wolves", ["wolf"]),
        ("cherries", ["cherry"]),
        ("animal: dog | cats | cow", ["cat", "cow", "dog"]),
        ("animal: dog | poodle", ["dog"]),
        ("unicorn", ["unicorn"]),
    ],
)
def test_a_class_takes_the_nouns_among_its_names(
    name: str, nouns: list[str], retriever: Retriever
) -> None:
    assert nouns_of(read(f"road, {name}", retriever), 1) == nouns


@pytest.mark.parametrize(("name", "nouns"), [("puppy", ["dog"]), ("bicycle", ["kite"])])
def test_a_class_that_the_dictionary_lacks_takes_what_is_near(
    name: str, nouns: list[str], retriever: Retriever
) -> None:
    assert nouns_of(read(f"{name}, road", retriever), 0) == nouns


@pytest.mark.parametrize("name", ["zeppelin", "mythical horse"])
def test_a_class_that_nothing_is_near_has_no_prototypes(name: str, retriever: Retriever) -> None:
    reading = read(f"road, {name}", retriever)

    assert nouns_of(reading, 1) == []
    assert nouns_of(reading, 0) == ["road"]


def test_classes_that_no_noun_is_named_by_are_told(retriever: Retriever) -> None:
    """A noun that stands in does not name a class."""
    assert read("puppy, Dogs, zeppelin: gondola, animal: cat", retriever).without_noun == (0, 2)
    assert read("Dogs", retriever).without_noun == ()


def test_a_class_list_of_strangers_has_no_prototypes_at_all(retriever: Retriever) -> None:
    reading = read("zeppelin, gondola", retriever)

    assert reading.prototypes == ()
    assert reading.looks.shape == (0, DIM)
    assert len(reading.column) == len(reading.owner) == len(reading.weight) == 0


def test_a_word_is_trusted_that_text_sees_in_its_prototypes(retriever: Retriever) -> None:
    """The prototypes lie anywhere, so how far text knows them is worked out here by hand."""
    reading = read("dog, cat, zeppelin", retriever)

    spoken = np.exp(20 * reading.looks @ reading.prompts.T)
    for class_id in (0, 1):
        links = reading.owner == class_id
        shares = spoken[reading.column[links], class_id] / spoken[reading.column[links]].max(axis=1)
        expected = (reading.weight[links] * np.minimum(10 * shares, 1)).sum()
        assert reading.trust[class_id] == pytest.approx(expected / reading.weight[links].sum())
    assert reading.trust[2] == 1


def test_a_look_counts_by_its_share_of_the_regions(retriever: Retriever) -> None:
    reading = read("animal: dog | cat", retriever)

    weight = {
        (reading.prototypes[column].noun, reading.prototypes[column].number): float(share)
        for column, share in zip(reading.column, reading.weight, strict=True)
    }
    assert weight == {("cat", 0): 1, ("dog", 0): 0.75, ("dog", 1): 0.25}


def test_a_noun_that_names_a_class_stands_in_for_no_other(retriever: Retriever) -> None:
    """With "dog" in the list, "puppy" goes by text; alone, it is taught by dogs."""
    reading = read("dog, puppy", retriever)

    assert nouns_of(reading, 0) == ["dog"]
    assert nouns_of(reading, 1) == []
    assert nouns_of(read("puppy", retriever), 0) == ["dog"]


def test_prompts_stay_with_their_classes(retriever: Retriever) -> None:
    reading = read("road, animal: dog | cat", retriever)

    assert reading.prompt_owner.tolist() == [0, 1, 1, 1]
    expected = HandMadeText().encode_texts(["road", "animal", "dog", "cat"])
    assert_allclose(reading.prompts, expected)


def test_a_background_without_names_has_neither_prompts_nor_prototypes(
    retriever: Retriever,
) -> None:
    classes = (*parse_classes("road"), ClassName("background", ()))

    reading = encode_classes_by_dictionary(classes, HandMadeText(), retriever)

    assert reading.prompt_owner.tolist() == [0]
    assert nouns_of(reading, 1) == []


def test_the_common_part_is_that_of_the_sample(retriever: Retriever) -> None:
    reading = read("road", retriever)

    assert reading.revision == retriever.revision
    assert reading.common is retriever.common_parts()
    assert np.linalg.norm(reading.common.vector) > 0


def test_by_text_alone_there_is_nothing_but_prompts() -> None:
    reading = encode_classes_by_text(parse_classes("road, animal: dog"), HandMadeText())

    assert reading.prompts.shape == (3, HandMadeText.dim)
    assert reading.revision is None
    assert reading.prototypes == ()
    assert not reading.common.vector.any()


class OnePassText(HandMadeText):
    """Notes how many names it is given at a time."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        self.asked.append(len(names))
        return super().encode_texts(names, templates=templates)


@pytest.mark.parametrize("fusion", ["text", "both"])
def test_names_are_counted_from_the_first_to_the_last(fusion: Fusion, retriever: Retriever) -> None:
    classes = parse_classes(", ".join(f"stranger {number}" for number in range(150)))
    counts: list[tuple[int, int]] = []
    encoder = ClassEncoder(HandMadeText(), retriever)
    encoder.encode(classes, fusion, lambda *count: counts.append(count))
    done, known = zip(*counts, strict=True)
    assert counts[:2] == [(128, 150), (150, 150)]
    assert sorted(set(done)) == list(done)
    assert done[-1] == known[-1]
    counts.clear()
    again = encoder.encode(classes, fusion, lambda *count: counts.append(count))
    assert not counts, "a list that was encoded lately is not encoded again"
    assert again is encoder.encode(classes, fusion)


def test_strangers_are_compared_with_the_nouns_in_few_passes(retriever: Retriever) -> None:
    text = OnePassText()
    names = ", ".join(f"stranger {number}" for number in range(30))
    encode_classes_by_dictionary(parse_classes(names), text, retriever)
    assert text.asked[:3] == [30, len(NOUNS), 30]


def test_nouns_are_counted_once_a_revision(retriever: Retriever) -> None:
    class Counting(StoredDictionary):
        counts = 0

        def entries(self) -> list[NounEntry]:
            self.counts += 1
            return super().entries()

    known = retriever.dictionary
    counting = Counting(known.engine, fingerprint=FINGERPRINT, dim=DIM)
    own = Retriever(counting)
    assert read("puppy, cat", own).revision == read("poodle", own).revision
    assert nouns_of(read("bicycle", own), 0) == nouns_of(read("bicycle", retriever), 0) == ["kite"]
    assert counting.counts == 1
    counting.replace_prototypes("kite", [replace(looks("kite", [3])[0], generation="g2")])
    assert nouns_of(read("bicycle", own), 0) == ["kite"]
    assert counting.counts == 2
