import pytest

from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import Kind, Noun, choose_nouns, read_nouns
from captionary.pictograms.sprites import read_sprites
from captionary.schemas.errors import WrongInput

WORDS = [
    *(word for ground in GROUNDS for word in ground.words),
    *(word for noun in read_nouns() for word in noun.words),
]


def test_every_noun_has_sprites_of_its_own() -> None:
    numbers = [number for noun in read_nouns() for number in noun.sprites]
    assert numbers == list(range(len(read_sprites())))
    assert all(noun.sprites for noun in read_nouns())


def test_no_character_and_no_drawing_stands_for_two_nouns() -> None:
    points = [point for noun in read_nouns() for point in noun.code_points]
    assert len(set(points)) == len(points)
    assert len({sprite.tobytes() for sprite in read_sprites()}) == len(points)


def test_no_form_belongs_to_two_words() -> None:
    forms = [form for word in WORDS for form in {word.singular, word.plural} if form]
    assert sorted(set(forms)) == sorted(forms)
    assert all(form == " ".join(form.lower().split()) for form in forms)


def test_seen_and_novel_share_nothing() -> None:
    seen, novel = choose_nouns("seen"), choose_nouns("novel")
    assert not forms_of(seen) & forms_of(novel)
    assert not points_of(seen) & points_of(novel)


def forms_of(nouns: tuple[Noun, ...]) -> set[str]:
    words = [word for noun in nouns for word in noun.words]
    return {form for word in words for form in (word.singular, word.plural) if form}


def points_of(nouns: tuple[Noun, ...]) -> set[int]:
    return {point for noun in nouns for point in noun.code_points}


@pytest.mark.parametrize(("kind", "least"), [("seen", 300), ("novel", 50), ("all", 350)])
def test_kinds(kind: Kind, least: int) -> None:
    nouns = choose_nouns(kind)
    assert len(nouns) >= least
    assert {noun.novel for noun in nouns} == {"seen": {False}, "novel": {True}}.get(
        kind, {False, True}
    )


def test_seen_and_novel_make_all() -> None:
    assert {*choose_nouns("seen"), *choose_nouns("novel")} == set(choose_nouns("all"))
    assert choose_nouns("all") == read_nouns()


def test_an_unknown_kind() -> None:
    with pytest.raises(WrongInput, match="unknown nouns 'old'; choose one of seen, novel, all"):
        choose_nouns("old")


def test_a_class_is_its_name_with_its_synonyms() -> None:
    dog = read_nouns()[0]
    assert (dog.name, dog.class_name.name) == ("dog", "dog")
    assert dog.class_name.prompts == ("dog", "hound", "puppy")
