import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.classes import (
    ClassName,
    format_classes,
    parse_classes,
    read_classes,
    to_classes,
)
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
    written_out = tuple(replace(item, written_out=True) for item in expected)
    assert parse_classes(text) == written_out
    path = tmp_path_factory.getbasetemp() / "classes.txt"
    path.write_text("\n".join("|".join(words) for words in groups) + "\n\n", "utf-8")
    assert read_classes(path) == expected
    assert parse_classes(f"@{path}") == expected
    path.write_text(text, "utf-8")
    assert parse_classes(f"@{path}") == written_out
    for classes in (expected, written_out):
        path.write_text(format_classes(classes), "utf-8")
        assert read_classes(path) == parse_classes(f"@{path}") == classes
    by_item = [" | ".join(words) for words in groups]
    assert to_classes(by_item) == parse_classes(json.dumps(by_item)) == expected


def test_blanks_around_and_within_names_do_not_count() -> None:
    assert parse_classes(" road,  fire   hydrant, person : man|  old   woman ,") == (
        ClassName("road", ("road",)),
        ClassName("fire hydrant", ("fire hydrant",)),
        ClassName("person", ("person", "man", "old woman"), written_out=True),
    )


def test_a_synonym_that_repeats_the_name_counts_once() -> None:
    assert parse_classes("cat: cat | kitten | kitten") == (
        ClassName("cat", ("cat", "kitten"), written_out=True),
    )


@pytest.mark.parametrize("text", ["", " ", ",", " , ,"])
def test_an_empty_list(text: str) -> None:
    with pytest.raises(WrongInput, match="the class list is empty"):
        parse_classes(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("sky, road, sky", "sky"),
        ("sky, Sky", "Sky"),
        ("a: b | c, d: C", "C"),
        ("a: b, b", "b"),
        ("teddy bear, teddy_bear", "teddy_bear"),
        ("straße, STRASSE", "STRASSE"),
        ("dog, a dog", "a dog"),
    ],
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


THREE = ["dog", "cat", "fire hydrant"]


@pytest.mark.parametrize(
    "text",
    [
        "dog\ncat\nfire hydrant",
        "\ufeffdog\r\ncat\r\n\r\nfire hydrant\r\n",
        "dog,\ncat,\nfire hydrant",
        "dog, cat,\nfire hydrant,\n",
        "dog, , cat,\tfire  hydrant,",
        '["dog", "cat", "fire hydrant"]',
        '[\n "dog",\n "cat",\n "fire hydrant"\n]\n',
        "['dog', 'cat', \"fire hydrant\"]",
        "('dog', 'cat', 'fire hydrant')",
        '{"0": "dog", "1": "cat", "2": "fire hydrant"}',
        '"dog", "cat" ,"fire hydrant"',
        'dog\n"cat"\nfire hydrant',
    ],
)
def test_what_is_plainly_a_list_is_split(text: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(text.encode())

    assert [item.name for item in parse_classes(text)] == THREE
    assert [item.name for item in parse_classes(f"@{tmp_path / 'list'}")] == THREE


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"traffic light, red", dog', ["traffic light, red", "dog"]),
        ('["traffic light, red"]', ["traffic light, red"]),
        ("cabinet (kitchen, bath), dog", ["cabinet (kitchen, bath)", "dog"]),
        ("st. bernard, U.S. flag, 3.5 mm jack", ["st. bernard", "U.S. flag", "3.5 mm jack"]),
        ("18 wheeler, and/or gate, kids' toy", ["18 wheeler", "and/or gate", "kids' toy"]),
        ("black & white cat, salt and pepper", ["black & white cat", "salt and pepper"]),
        ("[bear]\ndog", ["[bear]", "dog"]),
        ("dog, cat: kitten | tomcat, person|man", ["dog", "cat", "person"]),
        ('"a man in a red shirt who rides a brown horse"',
         ["a man in a red shirt who rides a brown horse"]),
    ],
)  # fmt: skip
def test_a_name_is_not_cut(text: str, names: list[str]) -> None:
    assert [item.name for item in parse_classes(text)] == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dog . cat . fire hydrant", "has full stops between words; write commas"),
        ("dog. cat. fire hydrant.", "has full stops between words; write commas"),
        ("dog.cat", "has full stops between words; write commas"),
        ("dog; cat", "has a semicolon; write commas"),
        ("building;edifice\nwall", "has a semicolon; write commas"),
        ("dog|cat|fire hydrant", "has '|' alone; write commas"),
        ("dog / cat / fire hydrant", "has '/' between words; write commas"),
        ("dog/cat/fire hydrant", "has '/' between words; write commas"),
        ("dog\tcat", "has a tab or a backslash; write commas"),
        (r"dog\ncat", "has a tab or a backslash; write commas"),
        ("犬、猫", "has a comma of another script; write ','"),
        ("dog\uff0c cat", "has a comma of another script; write ','"),
        ("dog\u060c cat", "has a comma of another script; write ','"),
        ("person\uff1a man", "has a wide sign; write synonyms as 'name: a | b'"),
        ("0: dog, 1: cat", "the classes are numbered ('0: dog'); write the names alone"),
        ("1 dog\n2 cat\n3 bird", "the classes are numbered ('1 dog'); write the names alone"),
        ("0\tdog\n1\tcat", "the classes are numbered"),
        ("1. dog, cat", "has a mark before the name; write the name alone"),
        ("dog: 0, cat: 1", "has a number; write the names alone"),
        ("- dog\n- cat", "has a mark before the name; write the name alone"),
        ("# my classes\ndog", "has a mark before the name; write the name alone"),
        ("dog, cat, and bird", "begins with a word that joins a list"),
        ("'dog', 'cat'", "has odd quotes; leave them out"),
        ("“dog”, “cat”", "has odd quotes; leave them out"),
        ('"dog, cat', "the quotes in '\"dog, cat' do not match"),
        ("cabinet (kitchen, dog", "the brackets in 'cabinet (kitchen, dog' do not match"),
        ("dog), (cat", "the brackets in 'dog), (cat' do not match"),
        ("[dog, cat]", "is neither JSON nor plain names; write dog, cat or"),
        ("(dog, cat)", "is neither JSON nor plain names; write dog, cat or"),
        ('{"names": ["dog"]}', "is JSON, but no list of names; write"),
        ('[["dog", "puppy"], ["cat"]]', "is JSON, but no list of names; write"),
        ('[{"id": 1, "name": "dog"}]', "is JSON, but no list of names; write"),
        ('{"1": "dog", "2": "cat"}', "is JSON, but no list of names; write"),
        ("building, edifice\nwall", "has commas between other lines; write one class a line"),
        ("time: 12:30, dog", "has more than one ':'"),
        ("person | man: woman", "has more than one ':', or '|' before it"),
        ("classes.txt", "is the name of a file; write @classes.txt to have"),
        ("/data/coco/names", "is the name of a file; write @/data/coco/names to have"),
        ("dog, @classes.txt", "would be a file; give @FILE alone"),
        ("@", "names no file; write @classes.txt"),
        ("dog cat fire hydrant person car bus train truck boat", "is one class of 10 words"),
        ("dog\x07, cat", "has a line end, or what is no text"),
        ("dog\udcff", "has a line end, or what is no text"),
    ],
)
def test_what_may_be_a_list_is_refused(text: str, says: str) -> None:
    with pytest.raises(WrongInput) as caught:
        parse_classes(text)
    assert says in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_item_is_one_class() -> None:
    assert [item.name for item in to_classes(["traffic light, red", "a / b", "dog. cat"])] == [
        "traffic light, red",
        "a / b",
        "dog. cat",
    ]
    for item in ("dog\ncat", "dog; cat", "classes.txt", "@classes.txt", "0: dog"):
        with pytest.raises(WrongInput):
            to_classes([item, "sky"])
    with pytest.raises(WrongInput, match="the class 3 is no text"):
        to_classes(["dog", 3])  # type: ignore[list-item]


def test_a_file_says_where_it_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text("dog\n0: cat\n")
    with pytest.raises(WrongInput, match=r"names: .* has a number; write the names alone"):
        parse_classes(f"@{path}")
    with pytest.raises(WrongInput, match=r"names:2: .* has a number; write the names alone"):
        read_classes(path)
    path.write_bytes("größe".encode("cp1252"))
    with pytest.raises(WrongInput, match="not UTF-8 text; save it as that"):
        parse_classes(f"@{path}")


def test_a_line_of_a_dataset_is_a_class_whatever_commas_it_has(tmp_path: Path) -> None:
    """Its number is what masks hold."""
    path = tmp_path / "classes.txt"
    path.write_text("building, edifice\nperson: man | woman\nTV / monitor\n[bear]|wolf\n")

    assert read_classes(path) == (
        ClassName("building, edifice", ("building, edifice",)),
        ClassName("person", ("person", "man", "woman"), written_out=True),
        ClassName("TV / monitor", ("TV / monitor",)),
        ClassName("[bear]", ("[bear]", "wolf")),
    )


@given(
    st.text(st.one_of(st.sampled_from("ab ,;:|.@\"'()[]{}\n\t0-"), st.characters()), max_size=30)
)
def test_any_text_is_a_list_or_refused_in_one_line(text: str) -> None:
    for parse in (parse_classes, lambda item: to_classes([item, "sky"])):
        found, refusal = parsed(parse, text)
        assert len(refusal.splitlines()) == (not found)
        assert all(item.name and item.prompts[0] == item.name for item in found)
        assert not found or to_classes(found) == found


def parsed(
    parse: Callable[[str], tuple[ClassName, ...]], text: str
) -> tuple[tuple[ClassName, ...], str]:
    """The classes of a text, or why it has none."""
    try:
        return parse(text), ""
    except WrongInput as error:
        return (), str(error)


@given(st.lists(st.text("ab ,.()é-", min_size=1, max_size=8), min_size=1, max_size=4))
def test_what_is_parsed_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, items: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "back.txt"
    classes, _ = parsed(lambda _: to_classes(items), "")
    path.write_text(format_classes(classes), "utf-8")

    assert not classes or read_classes(path) == classes


def test_a_list_that_does_not_end_takes_no_quadratic_time() -> None:
    with pytest.raises(WrongInput):  # after minutes, where blanks can match in two ways
        parse_classes("['a'" + " " * 100_000 + "x")


@pytest.mark.parametrize("text", ["0 dog\n1 cat", "name,id\ndog,0\ncat,1"])
def test_a_table_of_numbers_is_no_list_of_names(text: str, tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text(text)
    with pytest.raises(WrongInput, match="write the names alone, in order"):
        read_classes(path)


def test_full_stops_within_names_are_no_matter_where_commas_stand() -> None:
    names = [item.name for item in parse_classes("Capt. Crunch box, node.js, dog")]
    assert names == ["Capt. Crunch box", "node.js", "dog"]


@pytest.mark.parametrize("item", ['["a", "b"]', "dog . cat"])
def test_an_item_is_no_list(item: str) -> None:
    with pytest.raises(WrongInput):
        to_classes([item, "x"])
