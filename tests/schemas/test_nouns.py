from string import ascii_letters

import hypothesis.strategies as st
import pytest
from hypothesis import given

from captionary.schemas.nouns import forms


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
    ],
)
def test_a_plural_finds_its_singular(word: str, noun: str) -> None:
    assert noun in forms(word)


@pytest.mark.parametrize("word", ["grass", "glass", "bus", "Scissors"])
def test_the_word_itself_comes_first(word: str) -> None:
    assert forms(word)[0] == word.lower()


@pytest.mark.parametrize("word", ["grass", "sheep", "tree"])
def test_what_is_no_plural_has_one_form(word: str) -> None:
    assert forms(word) == (word,)


@given(st.text(ascii_letters + " ", max_size=12))
def test_forms_are_distinct_and_ignore_case_and_spaces(word: str) -> None:
    found = forms(word)

    assert len(set(found)) == len(found)
    assert forms(f"  {word.upper()} ") == found
    assert word.strip() == "" or all(found)
