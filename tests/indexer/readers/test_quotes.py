"""Quotes in tables: one that never closes costs its own row, and values may span lines."""

import csv
import time
from pathlib import Path

import pytest

from captionary.indexer.readers.tables.records import SPAN
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.sources import read

OPEN = "begins with a double quote that does not close"


def lines_of(tmp_path: Path, name: str, text: str) -> list[tuple[int, tuple[str, ...] | str]]:
    """By line: the captions of a pair, or why a row is none."""
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    found = [
        (
            int(item.where.partition(":")[2]),
            item.captions if isinstance(item, ImageCaption) else item.reason,
        )
        for item in read(tmp_path / name)
    ]
    return sorted(found, key=lambda item: item[0])


@pytest.mark.parametrize("at", [2, 700, 1001])
def test_an_open_quote_costs_one_row_of_a_csv(tmp_path: Path, at: int) -> None:
    rows = [f"{n}.jpg,a dog" for n in range(2, 1002)]
    rows[at - 2] = f'{at}.jpg,"Sunset at the lake'
    (tmp_path / "s.csv").write_text("\n".join(["image,caption", *rows, ""]))

    items = read(tmp_path / "s.csv")

    failures = [item for item in items if isinstance(item, PairFailure)]
    assert [(failure.where, failure.image) for failure in failures] == [
        (f"s.csv:{at}", f"{at}.jpg")
    ]
    assert OPEN in failures[0].reason
    pairs = [item for item in items if isinstance(item, ImageCaption)]
    assert [pair.captions for pair in pairs] == [("a dog",)] * 999


def test_an_open_quote_is_part_of_a_caption_in_tsv(tmp_path: Path) -> None:
    captions = ['"Home" it says', '"Three friends', "a zebra", '12" pan', '"12" pan" here', '"all"']
    rows = [f"{n}.jpg\t{caption}\n" for n, caption in enumerate(captions)]

    found = lines_of(tmp_path, "s.tsv", "image\tcaption\n" + "".join(rows))

    assert found == [(n, (caption,)) for n, caption in enumerate(captions, start=2)]


def test_a_quoted_tsv_is_read_as_one_but_for_a_caption_that_is_not(tmp_path: Path) -> None:
    rows = '"a.jpg"\t"a ""good"" dog"\n"b.jpg"\t"two\tand\nthree"\n"c.jpg"\t"open\nd.jpg\tcat\n'

    found = lines_of(tmp_path, "s.tsv", '"image"\t"caption"\n' + rows)

    assert found == [
        (2, ('a "good" dog',)),
        (3, ("two\tand\nthree",)),
        (5, ('"open',)),
        (6, ("cat",)),
    ]


# Rows after a header image,caption or caption,image; what is read by line, None for a failure.
SPANS: dict[str, tuple[str, str, list[tuple[int, str | None]]]] = {
    "a caption of several lines": (
        "image,caption",
        'a.jpg,"One.\n\nThree, with ""quotes"".\r\nFour."\nb.jpg,b\n',
        [(2, 'One.\n\nThree, with "quotes".\r\nFour.'), (6, "b")],
    ),
    "likewise before the name": (
        "caption,image",
        '"One,\ntwo",a.jpg\nb,b.jpg\n',
        [(2, "One,\ntwo"), (4, "b")],
    ),
    "closed by a later quote": (
        "image,caption",
        'a.jpg,"open\nb.jpg,a pan of 12"\nc.jpg,c\n',
        [(2, None), (3, 'a pan of 12"'), (4, "c")],
    ),
    "likewise before the name, next row": (
        "caption,image",
        '"open,a.jpg\na pan of 12",b.jpg\nc,c.jpg\n',
        [(2, None), (3, 'a pan of 12"'), (4, "c")],
    ),
    "the next one is quoted": (
        "image,caption",
        'a.jpg,"open\nb.jpg,"a, b"\n"c.jpg","c"\n',
        [(2, None), (3, "a, b"), (4, "c")],
    ),
    "names without suffix": (
        "image,caption",
        'img_1,one\nimg_2,"open, he said\nimg_3,a pan of 12"\n',
        [(2, "one"), (3, None), (4, 'a pan of 12"')],
    ),
    "addresses": (
        "image,caption",
        's3://x/1,"open\ns3://x/2,a pan of 12"\n',
        [(2, None), (3, 'a pan of 12"')],
    ),
    "too few columns when closed": (
        "image,caption,id",
        'a.jpg,"open\nand more"\nb.jpg,b,1\n',
        [(2, None), (3, None), (4, "b")],
    ),
    "at the end of the file": ("image,caption", 'a.jpg,a\nb.jpg,"', [(2, "a"), (3, None)]),
    "every row": (
        "image,caption",
        'a.jpg,"a\nb.jpg,"b\nc.jpg,"c',
        [(2, None), (3, None), (4, None)],
    ),
    "quotes written with a backslash": (
        "image,caption",
        'a.jpg,"say \\"hi\\", he"\nb.jpg,one\\, two\n',
        [(2, 'say "hi", he'), (3, "one, two")],
    ),
    "blanks before a quote": (
        "image,caption",
        'a.jpg, "b, c"\n b.jpg ,"d"\n',
        [(2, "b, c"), (3, "d")],
    ),
    "cells that a spreadsheet adds": (
        "image,caption",
        "a.jpg,a,,\nb.jpg,b,\n",
        [(2, "a"), (3, "b")],
    ),
    "all of a line in quotes": (
        '"image,caption"',
        '"a.jpg,""one, two"""\n"b.jpg,b"\n',
        [(2, "one, two"), (3, "b")],
    ),
}


@pytest.mark.parametrize("case", SPANS)
def test_a_value_may_span_lines_that_are_no_rows(tmp_path: Path, case: str) -> None:
    header, rows, expected = SPANS[case]

    found = lines_of(tmp_path, "s.csv", f"{header}\n{rows}")

    assert [
        (line, text[0] if isinstance(text, tuple) else None) for line, text in found
    ] == expected


def test_a_value_spans_a_bounded_number_of_lines(tmp_path: Path) -> None:
    longest, longer = ("\n".join("x" * lines) for lines in (SPAN, SPAN + 1))
    with (tmp_path / "s.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "caption"), ("a.jpg", longest), ("b.jpg", longer)])

    items = read(tmp_path / "s.csv")

    assert [item.captions for item in items if isinstance(item, ImageCaption)] == [(longest,)]
    # The longer one is a failure, and so is each of its lines, as it has no caption.
    assert len(items) == 1 + SPAN + 1


@pytest.mark.parametrize(
    "line", ['{n}.jpg,"open', '"open,{n}.jpg', 'x","c', '"""', 'a","b""', "{n}.jpg,plain"]
)
def test_time_is_linear_in_the_lines(tmp_path: Path, line: str) -> None:
    columns = ",".join(f"column {n}" for n in range(200))
    text = "".join(line.format(n=n) + "\n" for n in range(4_000))
    (tmp_path / "s.csv").write_text(f"image,caption,{columns}\n{text}")
    began = time.process_time()

    found = read(tmp_path / "s.csv")

    assert len(found) == 4_000
    assert time.process_time() - began < 10  # a look at 200 lines for each would take minutes
