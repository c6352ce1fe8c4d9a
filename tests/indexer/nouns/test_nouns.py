from collections.abc import Iterator
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from captionary.indexer.nouns import LONGEST_CAPTION, LONGEST_NOUN, NounExtractor, read_stop_list
from captionary.schemas.errors import WrongInput

EXTRACTOR = NounExtractor()


def nouns(caption: str) -> tuple[str, ...]:
    return next(EXTRACTOR.nouns([caption]))


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A man walks his dog on the beach .", ("man", "dog", "beach")),
        ("Two men and three women sit on benches.", ("man", "woman", "bench")),
        ("a woman poses with her children", ("woman", "child")),
        ("The boy jumps into the water", ("boy", "water")),
        ("people watch the horses", ("people", "horse")),
        ("A dog running on grass", ("dog", "grass")),
        ("A black and white cat sleeping on a couch", ("cat", "couch")),
    ],
)
def test_plain_captions(caption: str, expected: tuple[str, ...]) -> None:
    assert nouns(caption) == expected


@pytest.mark.parametrize(
    ("caption", "compound"),
    [
        ("A red fire hydrant on the sidewalk", "fire hydrant"),
        ("Three teddy bears on a bed", "teddy bear"),
        ("A woman holding a tennis racket", "tennis racket"),
    ],
)
def test_a_compound_stands_before_its_head(caption: str, compound: str) -> None:
    found = nouns(caption)
    assert found[found.index(compound) + 1] == compound.split()[-1]


@pytest.mark.parametrize(
    ("plural", "singular"),
    [
        ("dogs", "dog"),
        ("boxes", "box"),
        ("knives", "knife"),
        ("geese", "goose"),
        ("feet", "foot"),
        ("skis", "ski"),
        ("shelves", "shelf"),
        ("cherries", "cherry"),
        ("benches", "bench"),
        ("buses", "bus"),
        ("horses", "horse"),
        ("glasses", "glasses"),
        ("grass", "grass"),
        ("dresses", "dress"),
        ("dress", "dress"),
        ("bus", "bus"),
        ("sunglasses", "sunglasses"),
        ("jeans", "jeans"),
        ("scissors", "scissors"),
        ("sheep", "sheep"),
        ("firemen", "fireman"),
    ],
)
def test_singular(plural: str, singular: str) -> None:
    assert singular in nouns(f"a boy looks at the {plural} near the tree")


def test_words_that_name_nothing_visible_are_left_out() -> None:
    assert nouns("A photo of a group of people in the background") == ("people",)
    assert nouns("a picture of the kitchen area") == ("kitchen",)


def test_a_colour_is_no_part_of_a_compound() -> None:
    assert nouns("tan dog on a khaki sofa") == ("dog", "sofa")


def test_a_compound_may_be_kept_in_spite_of_its_head() -> None:
    assert nouns("a truck in the parking lot") == ("truck", "parking lot")


def test_the_stop_list_is_lower_case_and_without_comments() -> None:
    stop = read_stop_list()
    assert {"photo", "view", "couple", "background"} <= stop.words
    assert all(word == word.lower() and word.isalpha() for word in stop.words)
    assert stop.leading < stop.words
    assert all(len(compound.split()) == 2 for compound in stop.kept)


def test_numbers_possessives_and_hyphens() -> None:
    assert nouns("The man's hat and 2 dogs") == ("man", "hat", "dog")
    assert nouns("a boy in a t-shirt") == ("boy", "t-shirt", "shirt")
    assert nouns("a boy in a T shirt") == ("boy", "t-shirt", "shirt")
    assert nouns("two Teddy-Bears") == nouns("two teddy bears") == ("teddy bear", "bear")


def test_capitals_make_no_difference() -> None:
    caption = "Two Brown Dogs Play With a Tennis Ball"
    assert nouns(caption) == nouns(caption.lower()) == nouns(caption.upper())


def test_nouns_are_given_once_in_order_of_occurrence() -> None:
    assert nouns("a dog and a cat and another dog") == ("dog", "cat")


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\u200b", "...", "42", "\x00"])
def test_blank_captions_have_no_nouns(blank: str) -> None:
    assert nouns(blank) == ()


def test_addresses_and_markup_are_no_nouns() -> None:
    assert nouns("dog https://example.org/a.jpg someone@example.org <b>") == ("dog",)


@pytest.mark.parametrize(
    "strange",
    [
        "\U0001f436\U0001f415 on the \U0001f3d6\ufe0f",
        "\ud83d half of a pair",
        "Ein Hund läuft über die Wiese.",
        "一只狗在草地上",
        "dog " * 5000,
        "x" * 100_000,
        "https://example.org/a.jpg#dog <b>cat</b> {{}} %s",
        "--- - -- -",
    ],
)
def test_strange_input_is_survived(strange: str) -> None:
    check(nouns(strange))


def test_a_long_caption_is_cut() -> None:
    assert "zebra" not in nouns("a dog. " * LONGEST_CAPTION + "a zebra")


def check(found: tuple[str, ...]) -> None:
    assert len(set(found)) == len(found)
    for noun in found:
        assert noun == noun.strip().lower()
        assert any(map(str.isalpha, noun))
        assert len(noun) <= 3 * (LONGEST_NOUN + 1)


ANYTHING = st.text(alphabet=st.characters(exclude_categories=()), max_size=80)
WORDS = st.sampled_from(
    (
        "a",
        "the",
        "two",
        "dogs",
        "bus",
        "fire",
        "hydrant",
        "man's",
        "-",
        "t-shirt",
        ",",
        "photo",
        "of",
    )
)
CAPTIONS = st.one_of(ANYTHING, st.lists(WORDS, max_size=12).map(" ".join))


@settings(max_examples=150)
@given(CAPTIONS)
def test_any_text_gives_lower_case_nouns_none_twice(caption: str) -> None:
    check(nouns(caption))


@settings(max_examples=40)
@given(st.lists(CAPTIONS, max_size=12))
def test_a_caption_has_the_same_nouns_in_any_company(captions: list[str]) -> None:
    assert list(EXTRACTOR.nouns(captions)) == [nouns(caption) for caption in captions]


def test_captions_are_read_as_they_are_needed() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"dog number {read}"

    stream = EXTRACTOR.nouns(endless())
    assert [next(stream) for _ in range(3)] == [("dog",)] * 3
    assert read < 2000


def test_two_streams_may_be_read_in_turns() -> None:
    cats, dogs = EXTRACTOR.nouns(["a cat"] * 1500), EXTRACTOR.nouns(["a dog"] * 1500)
    assert set(zip(cats, dogs, strict=True)) == {(("cat",), ("dog",))}


def test_loading_afresh_changes_nothing() -> None:
    captions = [f"a dog beside thing{i} and a fire hydrant" for i in range(1100)]  # three chunks
    forgetful = NounExtractor(remembered=10)
    assert list(forgetful.nouns(captions)) == list(EXTRACTOR.nouns(captions))


def test_a_missing_pipeline_names_the_remedy() -> None:
    with pytest.raises(WrongInput, match="python -m spacy download no_such_pipeline"):
        NounExtractor("no_such_pipeline")


def test_a_pipeline_without_a_tagger_is_refused(tmp_path: Path) -> None:
    spacy.blank("en").to_disk(tmp_path)
    with pytest.raises(WrongInput, match="no parts of speech"):
        NounExtractor(str(tmp_path))


def test_another_pipeline_can_be_used(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("attribute_ruler")
    everything = {"patterns": [[{"IS_ALPHA": True}]], "attrs": {"POS": "NOUN", "LEMMA": "thingy"}}
    ruler.initialize(lambda: [], nlp=nlp, patterns=[everything])  # type: ignore[attr-defined]
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path)
    assert list(NounExtractor(str(tmp_path)).nouns(["dog", "7"])) == [("thingy",), ()]


def test_the_carried_tagger_is_small() -> None:
    folder = Path(__file__).parents[3] / "captionary" / "indexer" / "tagger"
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 8e6
