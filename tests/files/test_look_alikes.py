"""A file is found by what its name looks like, whatever the bytes of it are."""

import os
from pathlib import Path

import pytest

from captionary.files.look_alikes import LookAlikes

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
