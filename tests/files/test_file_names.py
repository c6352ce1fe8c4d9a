"""A file is found by what its name looks like, whatever the bytes of it are."""

import os
from pathlib import Path

import pytest

from captionary.files.file_names import LookAlikes, is_file_name, normal_form

COMPOSED, DECOMPOSED, LATIN = b"caf\xc3\xa9", b"cafe\xcc\x81", b"caf\xe9"


def named(folder: Path, *parts: bytes) -> Path:
    return folder.joinpath(*map(os.fsdecode, parts))


@pytest.mark.parametrize("asked", [COMPOSED, DECOMPOSED, LATIN])
@pytest.mark.parametrize("there", [COMPOSED, DECOMPOSED, LATIN])
def test_each_way_to_write_a_name_finds_every_other(
    asked: bytes, there: bytes, tmp_path: Path
) -> None:
    file = named(tmp_path, there + b"s", there + b".jpg")
    file.parent.mkdir()
    file.touch()

    assert LookAlikes().find(named(tmp_path, asked + b"s", asked + b".jpg")) == file


def test_the_name_itself_counts_first_and_another_is_not_taken(tmp_path: Path) -> None:
    for name in (COMPOSED, DECOMPOSED):
        named(tmp_path, name).touch()
    alike, missing = LookAlikes(), tmp_path / "caffè"

    assert [alike.find(named(tmp_path, name)) for name in (COMPOSED, DECOMPOSED)] == [
        named(tmp_path, COMPOSED),
        named(tmp_path, DECOMPOSED),
    ]
    assert alike.find(missing) == missing
    assert alike.find(tmp_path / "none" / "é") == tmp_path / "none" / "é"
    assert alike.find(tmp_path / ("é" * 300)) == tmp_path / ("é" * 300)


@pytest.mark.parametrize(
    "alike", [("café", "cafe\u0301", "caf\udce9"), ("\u1112\u1161\u11ab", "한"), ("a.jpg", "a.jpg")]
)
def test_names_that_look_the_same_have_one_form(alike: tuple[str, ...]) -> None:
    assert len({normal_form(name) for name in alike}) == 1


def test_bytes_that_no_character_has_stay_apart() -> None:
    assert normal_form("\udc81") != normal_form("\udc8d")


def test_half_an_emoji_is_in_no_name_of_a_file() -> None:
    assert not is_file_name("cow \ud83d")
    assert is_file_name("caf\udce9")
