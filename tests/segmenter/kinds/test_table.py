"""A user's own table of kinds."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.errors import WrongInput
from captionary.segmenter.kinds.table import KindTable, parse_kinds, read_kinds, to_kinds

TEXT = '\ufefffurniture: bench, "sofa, red"\n\nTree :  bush\nperson:\n'
TABLE = (("furniture", ("bench", "sofa, red")), ("Tree", ("bush",)), ("person", ()))


def test_a_table_as_text_json_mapping_or_file(tmp_path: Path) -> None:
    path = tmp_path / "kinds.txt"
    path.write_text(TEXT, "utf-8")

    assert parse_kinds(TEXT) == to_kinds(path) == read_kinds(path) == TABLE
    assert to_kinds(dict(TABLE)) == TABLE
    assert parse_kinds('{"furniture": ["bench"], "person": []}') == (
        ("furniture", ("bench",)),
        ("person", ()),
    )
    assert parse_kinds("") == parse_kinds(" \n") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("furniture: bench\nsofa", "2: 'sofa' has no ':'; write a line"),
        ("furniture: bench; sofa", "1: 'bench; sofa' has a semicolon"),
        ("furniture: bench | sofa", "'|'"),
        ("a, b: bench", "is more than one class"),
        ("furniture: @kinds.txt", "would be a file"),
        ("@kinds.txt: bench", "would be a file"),
        ("furniture: bench\n\nFurniture: sofa", "3: the class 'Furniture' stands in the table"),
        ("furniture: bench, bench", "stands twice"),
        (": bench", "the class list is empty"),
        ('{"furniture": "bench"}', "are no list of names"),
        ('{"furniture": [3]}', "are no list of names"),
        ('{"furniture": ["a: b | c"]}', "has synonyms"),
        ('{"furniture"', "is no JSON object"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "kinds.txt"
    path.write_text(text, "utf-8")

    with pytest.raises(WrongInput, match=re.escape(words)) as refusal:
        read_kinds(path)
    assert str(refusal.value).startswith(str(path))
    assert "\n" not in str(refusal.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="cannot read the table of kinds"):
        read_kinds(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9: bar")
    with pytest.raises(WrongInput, match="not UTF-8"):
        read_kinds(tmp_path / "latin.txt")


@given(st.text(st.one_of(st.sampled_from('ab:,|@{}[]"\n '), st.characters()), max_size=30))
def test_any_text_is_a_table_or_refused_in_one_line(text: str) -> None:
    table, refusal = parsed(text)

    assert len(refusal.splitlines()) == (table is None)
    assert table is None or to_kinds(dict(table)) == table


def parsed(text: str) -> tuple[KindTable | None, str]:
    """A table, or why a text is none."""
    try:
        return parse_kinds(text), ""
    except WrongInput as error:
        return None, str(error)
