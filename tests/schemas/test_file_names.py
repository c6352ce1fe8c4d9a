"""Names that are not UTF-8 are shown as Unicode, and names that look the same are the same."""

import json
import os
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.errors import UnreadablePicture
from captionary.schemas.file_names import is_file_name, normal_form, readable
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure

LATIN = os.fsdecode(b"caf\xe9.jpg")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("plain.jpg", "plain.jpg"),
        ("käse 🍎", "käse 🍎"),
        (LATIN, r"caf\xe9.jpg"),
        ("cow \ud83d", r"cow \ud83d"),
        ("\udcff\udc80", r"\xff\x80"),
    ],
)
def test_what_is_not_unicode_is_written_out(name: str, shown: str) -> None:
    assert readable(name) == shown


@given(st.binary(max_size=40).map(lambda name: name.decode("utf-8", "surrogateescape")))
def test_any_name_of_a_file_can_be_written(name: str) -> None:
    failure = PairFailure(name, name, f"{name} does not exist")

    for text in (
        *asdict(failure).values(),
        str(Note("pictures", name)),
        str(UnreadablePicture(name)),
    ):
        assert json.dumps(text, ensure_ascii=False).encode()
    assert is_file_name(name)
    assert readable(name) == name or not name.isprintable()


@pytest.mark.parametrize(
    "alike", [("café", "cafe\u0301", "caf\udce9"), ("\u1112\u1161\u11ab", "한"), ("a.jpg", "a.jpg")]
)
def test_names_that_look_the_same_have_one_form(alike: tuple[str, ...]) -> None:
    assert len({normal_form(name) for name in alike}) == 1


def test_bytes_that_no_character_has_stay_apart() -> None:
    assert normal_form("\udc81") != normal_form("\udc8d")
    assert not is_file_name("cow \ud83d")
