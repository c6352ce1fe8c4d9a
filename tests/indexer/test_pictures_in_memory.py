"""Pictures of bytes are indexed as files are, and reported by name or place."""

from dataclasses import replace
from pathlib import Path

import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.refresh import Refresher
from captionary.schemas.pairs import ImageCaption
from tests.indexer.planted import (
    EXTRACTOR,
    SCENES,
    ColourText,
    dump,
    index,
    opened,
    pairs,
    stored,
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> list[ImageCaption]:
    return pairs(tmp_path_factory.mktemp("world") / "pictures", SCENES)


def test_pictures_in_memory_are_indexed_as_files_are(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor
) -> None:
    """The bytes of the same files give the same regions; a record has the name, if there is one."""
    named = [
        replace(pair, image=Path(pair.picture_name).read_bytes(), name=pair.picture_name)
        for pair in world
    ]
    index(tmp_path / "files", world, nouns)
    index(tmp_path / "named", named, nouns)
    assert stored(tmp_path / "named") == stored(tmp_path / "files")
    index(tmp_path / "bare", [replace(pair, name="") for pair in named], nouns)
    with opened(tmp_path / "bare") as dictionary:
        assert {picture.image for picture in dictionary.pictures()} == {""}
        assert dump(dictionary)["regions"] == stored(tmp_path / "files")["regions"]


def test_a_picture_in_memory_is_reported_by_name_or_place(
    tmp_path: Path, nouns: NounExtractor
) -> None:
    bare, said = ImageCaption(b"", ("a dog",)), ("a dog",)
    bad = [
        bare,
        ImageCaption(b"text", said, name="mine"),
        replace(bare, image=b"no picture", where="pair 7"),
        replace(bare, captions=("",)),
        replace(bare, image=b"x" * 2000),
    ]
    with opened(tmp_path / "store") as dictionary:
        refresher = Refresher(dictionary, ColourText())
        strict = Indexer(dictionary, EXTRACTOR, nouns, refresher, workers=1, max_bytes=1000)
        failures = strict.index(bad).failures
    assert [(f.where, f.image) for f in failures] == [
        ("picture 1 of the pairs", ""),
        ("", "mine"),
        ("pair 7", ""),
        ("picture 4 of the pairs", ""),
        ("picture 5 of the pairs", ""),
    ]
    assert failures[0].reason.startswith("picture 1 of the pairs is empty (0 bytes)")
    assert failures[1].reason.startswith("mine is not a picture (4 bytes)")
    assert failures[2].reason.startswith("pair 7 is not a picture (10 bytes)")
    assert failures[4].reason.startswith("picture 5 of the pairs is larger than the limit of 1,000")
