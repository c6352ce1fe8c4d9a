"""Columns by their usual names, and values as pandas and numpy write them."""

import json
from pathlib import Path

import pytest

from captionary.indexer.readers import read_pairs
from captionary.indexer.readers.columns import find_columns
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.sources import read


@pytest.mark.parametrize(
    ("names", "picked"),
    [
        ("image caption", "12"),
        ("file_name text", "12"),
        ("Filepath TITLE", "12"),
        ("title image_name caption", "23"),
        ("raw sentids split filename img_id", "41"),
        ("URL TEXT", "12"),
        ("\ufeffImage-Path Alt-Text", "12"),
        ("sentence image image_path path", "21"),
        ("image_id caption", None),
        ("image label", None),
    ],
)
def test_the_columns_of_pairs_are_found(names: str, picked: str | None) -> None:
    columns = find_columns(tuple(names.split()))

    assert columns.complete == (picked is not None)
    if picked:
        row = columns.pick("12345")
        assert f"{row['image']}{row['captions']}" == picked


@pytest.mark.parametrize(
    ("names", "doubt"),
    [
        ("image path caption title text", ""),
        ("filename caption", ""),
        ("path filename caption", "filename, not path"),
        ("url title text", "text, not title"),
        ("path url title text", "path, not url and text, not title"),
    ],
)
def test_what_else_could_be_meant_is_said_once(tmp_path: Path, names: str, doubt: str) -> None:
    row = {name: f"{name}.jpg" for name in names.split()}
    (tmp_path / "s.csv").write_text(f"{','.join(row)}\n{','.join(row.values())}\n")
    (tmp_path / "s.jsonl").write_text(json.dumps(row))

    for source in (tmp_path / "s.csv", tmp_path / "s.jsonl"):
        notes = [note for note in read_pairs(str(source)) if isinstance(note, Note)]
        assert [note.what for note in notes] == (
            [f"columns taken by their names: {doubt}"] if doubt else []
        )


def test_numbered_and_repeated_captions_belong_together(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("image,caption_1,caption_2\na.jpg,one,two\nb.jpg,,three\n")
    (tmp_path / "t.csv").write_text("image,caption,caption\na.jpg,one,two\nb.jpg,,three\n")

    for source in (tmp_path / "s.csv", tmp_path / "t.csv"):
        captions = [item.captions for item in read(source) if isinstance(item, ImageCaption)]
        assert captions == [("one", "two"), ("three",)]


@pytest.mark.parametrize(
    ("value", "captions"),
    [
        ('["one", "two"]', ("one", "two")),
        ("['one, two', \"it's\"]", ("one, two", "it's")),
        ("['a dog' 'a cat'\n 'a cow']", ("a dog", "a cat", "a cow")),
        ("('one', 'two')", ("one", "two")),
        ("array(['one', 'two'], dtype=object)", ("one", "two")),
        (r"['it\'s \d', 'caf\u00e9']", (r"it's \d", "café")),
        ("[a cat]", ("[a cat]",)),
        ("[1, 2]?", ("[1, 2]?",)),
        ("['a'] and more", ("['a'] and more",)),
        ("(a dog)", ("(a dog)",)),
        ("[" * 50_000, ("[" * 50_000,)),
    ],
)
@pytest.mark.parametrize("column", ["caption", "captions", "raw"])
def test_lists_are_read_as_json_and_python_write_them(
    tmp_path: Path, column: str, value: str, captions: tuple[str, ...]
) -> None:
    source = tmp_path / "s.jsonl"
    source.write_text(json.dumps({"image": "a.jpg", column: value}))

    (pair,) = read(source)

    assert isinstance(pair, ImageCaption)
    assert pair.captions == captions


@pytest.mark.parametrize("nothing", ["nan", "NaN", "None", "<NA>", "", "NULL", "\\N"])
def test_what_stands_for_nothing_is_no_caption_and_no_id(tmp_path: Path, nothing: str) -> None:
    (tmp_path / "s.csv").write_text(
        f"image,caption,id,tags\na.jpg,{nothing},1,\nb.jpg,b,{nothing},{nothing}\n{nothing},c,2,\n"
    )

    pair, blank, nameless = sorted(read(tmp_path / "s.csv"), key=lambda item: type(item).__name__)

    assert isinstance(blank, PairFailure)
    assert (blank.where, blank.reason) == ("s.csv:2", "it has no caption, or only blank ones")
    assert isinstance(pair, ImageCaption)
    assert (pair.id, pair.tags) == (None, ())
    assert isinstance(nameless, PairFailure)
    assert "it names no picture" in nameless.reason


def ids(source: Path) -> list[str | None]:
    return [item.id for item in read(source) if isinstance(item, ImageCaption)]


def test_whole_ids_are_whole_however_pandas_wrote_them(tmp_path: Path) -> None:
    (tmp_path / "floats.csv").write_text("image,caption,id\na,a,7.0\nb,b,\nc,c,12.0\n")
    (tmp_path / "texts.csv").write_text("image,caption,id\na,a,1.0\nb,b,1.1\nc,c,2.0\n")
    rows = '{"image": "a", "caption": "a", "id": 7.0}\n{"image": "b", "caption": "b", "id": NaN}\n'
    (tmp_path / "s.jsonl").write_text(rows)

    assert ids(tmp_path / "floats.csv") == ["7", None, "12"]
    assert ids(tmp_path / "texts.csv") == ["1.0", "1.1", "2.0"]
    assert ids(tmp_path / "s.jsonl") == ["7", None]


@pytest.mark.parametrize("column", ["image", "caption", "tags", "id", "source"])
def test_a_cut_emoji_is_told_as_one(tmp_path: Path, column: str) -> None:
    row = {"image": "a.jpg", "caption": "a sheep", column: "a cow \ud83d"}
    (tmp_path / "s.jsonl").write_text(json.dumps(row) + '\n{"image": "b.jpg", "caption": "b"}')

    failure, pair = sorted(read(tmp_path / "s.jsonl"), key=lambda item: item.where)

    assert isinstance(failure, PairFailure)
    assert failure.reason == (
        f"{column} is not valid UTF-8 text: it holds half a character (\\ud83d), "
        "as of an emoji that was cut"
    )
    assert isinstance(pair, ImageCaption)
