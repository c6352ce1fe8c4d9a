"""Tables as programs write them: delimiters, encodings, headers, and files without one."""

import gzip
from pathlib import Path

import pytest

from captionary.indexer.readers import read_pairs
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.sources import read

HEADERS = {
    "semicolons": "image;caption\na.jpg;one, two\nb.jpg;three\n",
    "tabs": "image\tcaption\na.jpg\tone, two\nb.jpg\tthree\n",
    "bars with blanks": "image_name| n| comment\na.jpg| 0| one, two\nb.jpg| 1| three\n",
    "Excel's first line": "sep=;\nimage;caption\na.jpg;one, two\nb.jpg;three\n",
    "a tab in it": '"sep=\t"\nimage\tcaption\na.jpg\tone, two\nb.jpg\tthree\n',
    "quotes around all": '"image";"caption"\n"a.jpg";"one, two"\n"b.jpg";"three"\n',
    "blanks after commas": 'image, caption\na.jpg, "one, two"\nb.jpg, three\n',
    "another order and case": "Text;n;FILE NAME\none, two;1;a.jpg\nthree;2;b.jpg\n",
    "blank lines": '\n\nimage,caption\n\na.jpg,"one, two"\n  \nb.jpg,three\n\n',
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
@pytest.mark.parametrize("header", HEADERS)
def test_the_header_tells_the_delimiter(tmp_path: Path, header: str, suffix: str) -> None:
    source = tmp_path / f"s{suffix}"
    source.write_text(HEADERS[header])

    assert [(item.image, item.captions) for item in pairs(source)] == [
        (f"{tmp_path}/a.jpg", ("one, two",)),
        (f"{tmp_path}/b.jpg", ("three",)),
    ]


def pairs(source: Path) -> list[ImageCaption]:
    items = read(source)
    assert not [item for item in items if isinstance(item, PairFailure)]
    return [item for item in items if isinstance(item, ImageCaption)]


TEXT = 'image,caption{0}é.jpg,"un café\u2028d\x85Été"{0}b.jpg,zwei „Äpfel“{0}'


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_unicode_is_read_in_any_encoding(tmp_path: Path, encoding: str, end: str) -> None:
    (tmp_path / "s.csv").write_bytes(TEXT.format(end).encode(encoding))
    (tmp_path / "s.csv.gz").write_bytes(gzip.compress(TEXT.format(end).encode(encoding)))

    first, second = pairs(tmp_path / "s.csv")

    assert first.image == f"{tmp_path}/é.jpg"
    assert first.captions == ("un café\u2028d\x85Été",)
    assert (second.captions, second.where) == (("zwei „Äpfel“",), "s.csv:3")
    assert pairs(tmp_path / "s.csv.gz")[0].captions == first.captions


def test_json_lines_are_read_in_utf_16(tmp_path: Path) -> None:
    """As PowerShell writes them."""
    (tmp_path / "s.jsonl").write_text('{"image": "é.jpg", "caption": "é"}\n', encoding="utf-16")

    assert pairs(tmp_path / "s.jsonl")[0].captions == ("é",)


def test_a_table_of_windows_finds_its_pictures_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "café.jpg").touch()
    rows = "image;caption\r\na.jpg;a cow\r\ncafé.jpg;a “tree” à 5 €\r\né.jpg;b\r\n"
    (tmp_path / "excel.csv").write_bytes(rows.encode("cp1252"))

    items = list(read_pairs(str(tmp_path / "excel.csv")))

    assert [(item.image, item.captions) for item in items if isinstance(item, ImageCaption)] == [
        (f"{tmp_path}/a.jpg", ("a cow",)),
        (f"{tmp_path}/images/café.jpg", ("a “tree” à 5 €",)),
        (f"{tmp_path}/images/é.jpg", ("b",)),
    ]
    (note,) = (item for item in items if isinstance(item, Note))
    assert str(note) == (
        "lines read as cp1252, as they are not UTF-8: 2 (first: excel.csv:3); "
        "if names look wrong, save the file as UTF-8"
    )


def test_a_broken_row_of_a_table_in_utf_8_is_not_taken_for_windows(tmp_path: Path) -> None:
    rows = b"image,caption\na.jpg,caf\xc3\nb.jpg,caf\xc3\xa9\n"
    (tmp_path / "s.csv").write_bytes(rows)

    failure, pair = sorted(read(tmp_path / "s.csv"), key=lambda item: item.where)

    assert isinstance(failure, PairFailure)
    assert (failure.where, failure.reason[:23]) == ("s.csv:2", "it is not valid UTF-8: ")
    assert isinstance(pair, ImageCaption)
    assert pair.captions == ("café",)


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "results_20130124.token", "s.csv"])
def test_token_files_are_read(tmp_path: Path, name: str) -> None:
    lines = 'a.jpg#0\tA "child" , one .\na.jpg#1\t"Two" .\n\nb.jpg.1#0\tthree\nc.jpg four\n'
    (tmp_path / name).write_text(lines)

    failure, a, b = sorted(read(tmp_path / name), key=lambda item: (-len(item.image), item.where))[
        ::-1
    ]

    assert isinstance(a, ImageCaption)
    assert isinstance(b, ImageCaption)
    assert (a.captions, a.rows) == (('A "child" , one .', '"Two" .'), 2)
    assert b.image == f"{tmp_path}/b.jpg.1"
    assert failure == PairFailure(f"{name}:5", "", "it is not NAME.jpg#0, a tab, and a caption")
