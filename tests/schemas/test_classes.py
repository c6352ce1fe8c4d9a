from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.classes import ClassName, parse_classes, read_classes
from captionary.schemas.errors import WrongInput

WORD = st.text("abcdeÄß", min_size=1, max_size=6)
GROUPS = st.lists(WORD, min_size=1, max_size=9, unique_by=str.casefold).map(
    lambda words: [words[start : start + 3] for start in range(0, len(words), 3)]
)


@given(GROUPS)
def test_text_and_file_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[str]]
) -> None:
    expected = tuple(ClassName(words[0], tuple(words)) for words in groups)
    text = ", ".join(f"{first}: {' | '.join(rest)}" for first, *rest in groups)
    assert parse_classes(text) == expected
    path = tmp_path_factory.getbasetemp() / "classes.txt"
    path.write_text("\n".join("|".join(words) for words in groups) + "\n\n", "utf-8")
    assert read_classes(path) == expected
    assert parse_classes(f"@{path}") == expected


def test_blanks_around_and_within_names_do_not_count() -> None:
    assert parse_classes(" road,  fire   hydrant, person : man|  old   woman ,") == (
        ClassName("road", ("road",)),
        ClassName("fire hydrant", ("fire hydrant",)),
        ClassName("person", ("person", "man", "old woman")),
    )


def test_a_synonym_that_repeats_the_name_counts_once() -> None:
    assert parse_classes("cat: cat | kitten | kitten") == (ClassName("cat", ("cat", "kitten")),)


@pytest.mark.parametrize("text", ["", " ", ",", " , ,"])
def test_an_empty_list(text: str) -> None:
    with pytest.raises(WrongInput, match="the class list is empty"):
        parse_classes(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [("sky, road, sky", "sky"), ("sky, Sky", "Sky"), ("a: b | c, d: C", "C"), ("a: b, b", "b")],
)
def test_a_name_given_twice(text: str, name: str) -> None:
    with pytest.raises(WrongInput, match=f"'{name}' stands twice"):
        parse_classes(text)


def test_synonyms_of_nothing() -> None:
    with pytest.raises(WrongInput, match="has synonyms but no class name"):
        parse_classes("sky, : man | woman")


def test_files_that_are_no_class_list(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    with pytest.raises(WrongInput, match="cannot read the class list"):
        read_classes(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongInput, match="cannot read the class list"):
        read_classes(path)
    path.write_text("cat\n\ndog\n")
    with pytest.raises(WrongInput, match=r"classes\.txt:2 is blank"):
        read_classes(path)
    path.write_text("\n\n")
    with pytest.raises(WrongInput, match="the class list is empty"):
        read_classes(path)
