"""Any spelling of a name finds the noun that captions have taught."""

import unicodedata
from string import ascii_letters

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from captionary.indexer.nouns import NounExtractor, read_stop_list
from captionary.schemas.nouns import (
    IRREGULAR,
    OTHER_THINGS,
    PLURAL_ONLY,
    NounIndex,
    forms,
    normal_form,
    spelling,
)

STORED = (
    *("traffic light", "teddy-bear", "café", "straße", "t-shirt", "ox", "cactus", "fire hydrant"),
    *("night sky", "crab", "scissors", "glasses", "wine glass", "fireman", "man", "frame"),
)
INDEX = NounIndex(STORED)
EXTRACTOR = NounExtractor()


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("traffic_light", "traffic light"),
        ("Traffic-Light", "traffic light"),
        ("TRAFFIC LIGHTS", "traffic light"),
        ("traffic\N{NON-BREAKING HYPHEN}light", "traffic light"),
        ("traffic\N{EN DASH}light", "traffic light"),
        ("traffic\N{SOFT HYPHEN} light", "traffic light"),
        ("TrafficLight", "traffic light"),
        ("trafficlights", "traffic light"),
        ("teddy bear", "teddy-bear"),
        ("teddy_bears", "teddy-bear"),
        (unicodedata.normalize("NFD", "Cafés"), "café"),
        ("the café", "café"),
        ("STRASSE", "straße"),
        ("Straße", "straße"),
        ("T-Shirts", "t-shirt"),
        ("tshirt", "t-shirt"),
        ("\uff4fxen", "ox"),
        ("cacti", "cactus"),
        ("a fire hydrant", "fire hydrant"),
        ("The Fire Hydrants", "fire hydrant"),
        ("fire hydrant (red)", "fire hydrant"),
        ("crab_(animal)", "crab"),
        ("fire\N{NO-BREAK SPACE}hydrant", "fire hydrant"),
        ('"fire hydrant."', "fire hydrant"),
        ("night_sky", "night sky"),
        ("scissor", "scissors"),
        ("wine glasses", "wine glass"),
        ("firemen", "fireman"),
        ("men", "man"),
    ],
)
def test_a_name_finds_its_noun(name: str, noun: str) -> None:
    assert INDEX.find(name) == (noun,)


@pytest.mark.parametrize("name", ["", "-", "glass", "a", "straw", "cafe", "traffic", "()", "bears"])
def test_what_is_no_noun_finds_none(name: str) -> None:
    assert INDEX.find(name) == ()


def test_nouns_of_one_form_are_found_together() -> None:
    """As in dictionaries that learned "teddy-bear" and "teddy bear" as two nouns."""
    index = NounIndex(["teddy-bear", "bear", "teddy bear"])

    assert set(index.find("Teddy_Bears")) == {"teddy-bear", "teddy bear"}
    assert index.resolve("teddy bear") == ("teddy bear",)
    assert set(index.resolve("teddy_bear")) == {"teddy-bear", "teddy bear"}


def test_other_blanks_find_a_noun_only_where_it_is_the_only_one() -> None:
    assert NounIndex(["car park", "carp ark"]).find("carpark") == ()
    assert NounIndex(["car park", "carpark"]).find("carpark") == ("carpark",)


def test_a_name_is_taken_whole_before_it_is_cut() -> None:
    index = NounIndex(["a-frame", "frame", "bow", "bow (weapon)"])

    assert index.find("A-Frame") == ("a-frame",)
    assert index.find("a frame") == ("a-frame",)
    assert index.find("bow_(weapon)") == ("bow (weapon)",)
    assert index.find("bow (ribbon)") == ("bow",)


def test_every_irregular_plural_finds_what_captions_teach() -> None:
    taught = EXTRACTOR.nouns(f"some {plural} on the left" for plural in IRREGULAR)
    stop_words = read_stop_list().words
    unseen = []
    for (plural, singular), nouns in zip(IRREGULAR.items(), taught, strict=True):
        index = NounIndex(nouns)
        found = {
            index.find(plural),
            index.find(singular),
            index.find(f"toy {plural}") or (singular,),
        }
        if found != {(singular,)}:
            unseen.append((plural, nouns))

    assert {IRREGULAR[plural] for plural, _ in unseen} <= stop_words
    assert all(nouns == () for _, nouns in unseen)


def test_what_has_only_a_plural_is_found_by_both_numbers() -> None:
    pairs = [word for word in PLURAL_ONLY - OTHER_THINGS if word.endswith("s")]
    taught = dict(zip(pairs, EXTRACTOR.nouns(f"some {word}" for word in pairs), strict=True))

    for word, nouns in taught.items():
        if nouns:
            assert NounIndex(nouns).find(word) == NounIndex(nouns).find(word[:-1]) == (word,)


@pytest.mark.parametrize(
    ("word", "noun"),
    [
        ("dogs", "dog"),
        ("Fire  Hydrants", "fire hydrant"),
        ("buses", "bus"),
        ("cherries", "cherry"),
        ("wolves", "wolf"),
        ("knives", "knife"),
        ("SKY", "sky"),
        ("horses", "horse"),
        ("Christmas cacti", "christmas cactus"),
    ],
)
def test_a_plural_finds_its_singular(word: str, noun: str) -> None:
    assert noun in forms(word)


@pytest.mark.parametrize("word", ["grass", "glass", "bus", "Scissors"])
def test_the_word_itself_comes_first(word: str) -> None:
    assert forms(word)[0] == word.lower()


@pytest.mark.parametrize("word", ["grass", "glass", "sheep", "tree", "wood"])
def test_what_is_no_plural_has_one_form(word: str) -> None:
    assert forms(word) == (word,)


@given(st.text(ascii_letters + " ", max_size=12))
def test_forms_are_distinct_and_ignore_case_and_spaces(word: str) -> None:
    found = forms(word)

    assert len(set(found)) == len(found)
    assert forms(f"  {word.upper()} ") == found
    assert word.strip() == "" or all(found)


@given(st.text(max_size=12))
@example("\N{GREEK SMALL LETTER FINAL SIGMA}x\N{COMBINING GREEK YPOGEGRAMMENI}")
@example("- -.")
@example("x\N{ZERO WIDTH SPACE}\N{COMBINING ACUTE ACCENT}")
def test_a_normal_form_is_its_own(text: str) -> None:
    found = normal_form(text)

    assert normal_form(found) == found
    assert normal_form(unicodedata.normalize("NFD", text)) == found
    assert normal_form(f"\N{NO-BREAK SPACE} {text}\t") == found


@given(st.lists(st.text("abß-_ éÉ.'", min_size=1, max_size=6), max_size=6))
def test_what_is_stored_finds_itself(nouns: list[str]) -> None:
    index = NounIndex(nouns)

    for noun in nouns:
        assert index.resolve(noun) == (noun,)
        if normal_form(noun):
            assert noun in index.find(noun)


@pytest.mark.parametrize(
    ("noun", "kept"),
    [
        ("teddy-bear", "teddy bear"),
        ("jack-o'-lantern", "jack o' lantern"),
        ("T-shirt", "t-shirt"),
        ("t shirt", "t-shirt"),
        ("Straße", "straße"),
        ("犬 小屋", "犬 小屋"),
    ],
)
def test_the_dictionary_has_one_spelling(noun: str, kept: str) -> None:
    assert spelling(noun) == kept
    assert normal_form(kept) == normal_form(noun)


@pytest.mark.parametrize(("stored", "other"), [("glass", "glasses"), ("cloth", "clothes")])
def test_a_thing_of_its_own_is_not_found_under_its_singular(stored: str, other: str) -> None:
    assert NounIndex([stored]).find(other) == ()
    assert NounIndex([f"wine {stored}"]).find(f"wine {other}") == (f"wine {stored}",)
