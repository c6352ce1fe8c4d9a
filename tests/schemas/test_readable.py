"""What is not Unicode in a name is written out, wherever the name is shown."""

import json
import os
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.errors import UnreadablePicture, readable
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
    assert readable(name) == name or not name.isprintable()
