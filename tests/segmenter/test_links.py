"""How much captions and pointing count for a class, by their numbers."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.dictionary import Prototype, PrototypeKind
from captionary.segmenter.links import GUESSED, against, speaking
from tests.vocabulary.made_up_records import prototypes

COUNTS = st.integers(1, 40)


def made(noun: str, *, guessed: int = 0, pointed: int = 0, refused: int = 0) -> list[Prototype]:
    found: list[tuple[PrototypeKind, int]] = [("guessed", guessed)] * bool(guessed)
    found += [("refused", 1)] * refused
    if pointed > 1:  # one of all of them beside one of each
        found.append(("pointed", pointed))
    found += [("pointed", 1)] * pointed
    own = zip(prototypes(noun, len(found)), found, strict=True)
    return [replace(item, kind=kind, size=size) for item, (kind, size) in own]


def share_of_pointing(found: list[Prototype], *nouns: str) -> float:
    column, _, weight = speaking([dict.fromkeys(nouns, 1.0)], found)
    pointed = [w for c, w in zip(column, weight, strict=True) if found[c].kind == "pointed"]
    return float(sum(pointed) / weight.sum())


@given(guessed=COUNTS, pointed=COUNTS)
def test_a_pointed_region_counts_as_several_guessed_ones(guessed: int, pointed: int) -> None:
    found = made("dog", guessed=guessed, pointed=pointed)
    captions = min(1.0, guessed / GUESSED)
    expected = pointed / (pointed + captions)
    assert abs(share_of_pointing(found, "dog") - expected) < 1e-6


@given(guessed=COUNTS, more=COUNTS)
def test_kinds_do_not_drown_what_was_pointed_at(guessed: int, more: int) -> None:
    found = [*made("dog", guessed=guessed, pointed=1), *made("puppy", guessed=more)]
    assert share_of_pointing(found, "dog", "puppy") >= 0.5 - 1e-6


@given(guessed=COUNTS, more=COUNTS)
def test_without_pointing_nouns_count_alike(guessed: int, more: int) -> None:
    found = [*made("dog", guessed=guessed), *made("puppy", guessed=more)]
    _, _, weight = speaking([{"dog": 1.0, "puppy": 1.0}], found)
    assert weight.tolist() == [1.0, 1.0]


def test_what_is_refused_speaks_against_its_classes_only() -> None:
    found = [*made("cat", guessed=3), *made("dog", guessed=3, refused=2)]
    classes = [{"cat": 1.0}, {"dog": 1.0}, {"cat": 1.0, "dog": 1.0}]
    column, owner = against(classes, found)
    assert list(zip(column.tolist(), owner.tolist(), strict=True)) == [
        (2, 1),
        (3, 1),
        (2, 2),
        (3, 2),
    ]
    assert 2 not in speaking(classes, found)[0]
