"""Rows and SOURCEs that cannot be used: the rows are reported, the SOURCEs refused at once."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.sources import PAIRS, read, write_folder

BAD_LINES = {
    "it is not JSON": b'{"image": "a.jpg", "caption": ',
    "not an object": b"[1]",
    "names no picture": b'{"caption": "a"}',
    "image is 3, not text": b'{"image": 3, "caption": "a"}',
    "' ' is not the name": b'{"image": " ", "caption": "a"}',
    "caption is 3, not text": b'{"image": "a.jpg", "caption": 3}',
    "caption is null, not text": b'{"image": "a.jpg", "captions": ["a", null]}',
    "has no caption": b'{"image": "a.jpg", "captions": []}',
    "only blank ones": b'{"image": "a.jpg", "captions": [" ", ""]}',
    "id is [], not text": b'{"image": "a.jpg", "caption": "a", "id": []}',
    "neither a list nor text": b'{"image": "a.jpg", "caption": "a", "tags": 3}',
    "caption is not valid UTF-8": b'{"image": "a.jpg", "caption": "\\ud800"}',
    "codec can't decode": b'{"image": "a.jpg", "caption": "\xff"}',
    "not JSON: maximum recursion": b"[" * 100_000,
}


@pytest.mark.parametrize("reason", BAD_LINES)
def test_a_bad_line_is_reported_and_the_next_one_read(tmp_path: Path, reason: str) -> None:
    good = b'{"image": "%s.jpg", "caption": "a dog"}'
    source = tmp_path / "captions.jsonl"
    source.write_bytes(b"\n".join([good % b"g", BAD_LINES[reason], good % b"h"]))

    first, failure, last = sorted(read(source), key=lambda item: item.where)

    assert isinstance(failure, PairFailure)
    assert failure.where == "captions.jsonl:2"
    assert reason in failure.reason
    assert "\n" not in failure.reason
    assert isinstance(first, ImageCaption)
    assert isinstance(last, ImageCaption)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"b.jpg,a dog, a cat", "3 values for 2 columns"),
        (b"b.jpg", "no caption"),
        (b",a dog", "names no picture"),
        (b"b.jpg,caf\xe9 \x81", "neither UTF-8 nor"),
        ("b.jpg,собака".encode("cp1251"), "neither UTF-8 nor"),
        (b"b.jpg," + b"x" * 200_000, "field larger than"),
    ],
)
def test_a_bad_csv_row_is_reported_and_the_next_one_read(
    tmp_path: Path, row: bytes, reason: str
) -> None:
    source = tmp_path / "s.csv"
    source.write_bytes(b"image,caption\na.jpg,a\n" + row + b"\nc.jpg,c\n")

    a, failure, c = sorted(read(source), key=lambda item: item.where)

    assert isinstance(failure, PairFailure)
    assert failure.where == "s.csv:3"
    assert reason in failure.reason
    assert (a.where, c.where) == ("s.csv:2", "s.csv:4")


def test_captions_of_csv_may_be_a_json_list(tmp_path: Path) -> None:
    source = tmp_path / "s.csv"
    source.write_text('image,captions\na.jpg,"[""one"", ""two""]"\nb.jpg,[one\n')

    a, b = read(source)

    assert isinstance(a, ImageCaption)
    assert isinstance(b, ImageCaption)
    assert (a.captions, b.captions) == (("one", "two"), ("[one",))


def test_bad_text_in_parquet_is_reported(tmp_path: Path) -> None:
    raw = pa.array([b"good", b"\xff", b"better"]).cast(pa.binary())
    text = pa.StringArray.from_buffers(3, *raw.buffers()[1:])
    images = [f"{n}.jpg" for n in range(3)]
    parquet.write_table(pa.table({"image": images, "caption": text}), tmp_path / "s.parquet")

    items = sorted(read(tmp_path / "s.parquet"), key=lambda item: item.where)

    assert [type(item) for item in items] == [ImageCaption, PairFailure, ImageCaption]
    assert items[1].where == "s.parquet:2"


def test_coco_reports_what_cannot_be_matched(tmp_path: Path) -> None:
    source = tmp_path / "c.json"
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 3}, 4]
    annotations = [
        {"image_id": 9, "caption": "lost"},
        {"image_id": 1, "caption": None},
        {"image_id": 1, "caption": "kept"},
        {"image_id": 3, "caption": "no name"},
    ]
    source.write_text(json.dumps({"images": images, "annotations": annotations}))

    items = read(source)

    assert {(item.where, item.reason) for item in items if isinstance(item, PairFailure)} == {
        ("c.json:annotations[0]", "its image_id 9 is not among the images"),
        ("c.json:annotations[1]", "it has no text in caption"),
        ("c.json:images[1]", "it has no caption, or only blank ones"),
        ("c.json:images[2]", "it names no picture; give its path in the column image"),
        ("c.json:images[3]", "it names no picture; give its path in the column image"),
    }
    assert ImageCaption(f"{tmp_path}/a.jpg", ("kept",), where="c.json:images[0]") in items


def test_a_picture_without_text_and_a_bad_text_are_reported(tmp_path: Path) -> None:
    write_folder(tmp_path, PAIRS)
    (tmp_path / "lonely.jpg").touch()
    (tmp_path / "README.txt").write_text("about this folder")
    (tmp_path / ".hidden.jpg").touch()
    (tmp_path / "b.txt").write_bytes(b"\xff")

    failures = [item for item in read(tmp_path) if isinstance(item, PairFailure)]

    assert [(Path(f.where).name, f.image) for f in failures] == [
        ("b.txt", "b.png"),
        ("lonely.jpg", "lonely.jpg"),
    ]


SOURCES: dict[str, tuple[str, bytes, str]] = {
    "missing": ("", b"", "does not exist"),
    "unknown kind": ("s.docx", b"x", "no known kind"),
    "empty lines": ("s.jsonl", b"", "no line with image and caption"),
    "lines without captions": ("s.jsonl", b'{"image": "a.jpg"}', "no line with image and caption"),
    "not lines": (
        "s.jsonl",
        b'{\n"image": "a.jpg"\n}\n{\n"image": "b.jpg"\n}',
        "no line with image",
    ),
    "lines without names": (
        "s.jsonl",
        b'{"image_id": 7, "caption": "a"}',
        "only: image_id, caption; an image_id is no file",
    ),
    "empty csv": ("s.csv", b"", "no columns image and caption"),
    "other columns": ("s.csv", b"place;words\na;b\n", "only: place, words"),
    "numbers for pictures": ("s.csv", b"image_id,caption\n7,a\n", "an image_id is no file"),
    "blanks between columns": ("s.csv", b"image caption\na.jpg a\n", "separate its columns by"),
    "no header": ("s.csv", b"a.jpg\ta dog\n", "has no header: its first line is"),
    "a workbook": ("s.csv", b"PK\x03\x04 and more", "is an Excel workbook or a ZIP file"),
    "gzipped by another name": ("s.tsv", b"\x1f\x8b\x08", "its name must end in .gz"),
    "a text": ("s.txt", b"a dog on a beach\n", "its first line is a dog on a beach; where a.txt"),
    "headless csv": ("s.csv", b'"' + b"x" * 200_000, "not readable as CSV"),
    "not parquet": ("s.parquet", b"PAR1 but not really", "not readable as Parquet"),
    "not JSON": ("s.json", b"{", "is not JSON"),
    "not COCO": ("s.json", b"[]", "not a COCO captions file"),
    "COCO results": (
        "s.json",
        b'[{"image_id": 7, "caption": "a"}]',
        "only: image_id, caption; an image_id is no file",
    ),
    "conversations": (
        "s.json",
        b'[{"image": "a.jpg", "conversations": []}]',
        "write the sentence that describes the picture in a column caption",
    ),
    "columns": ("s.json", b'{"image": {"0": "a.jpg"}, "text": {"0": "a"}}', "column by column"),
    "COCO keypoints": (
        "s.json",
        b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1}]}',
        "holds neither captions nor regions",
    ),
    "not gzip": ("s.jsonl.gz", b"plain", "Not a gzipped file"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_an_unusable_source_says_so_at_once(tmp_path: Path, case: str) -> None:
    name, content, message = SOURCES[case]
    source = tmp_path / (name or "none.jsonl")
    if name:
        source.write_bytes(content)

    with pytest.raises(WrongInput) as caught:
        read_pairs(str(source))

    assert message in str(caught.value)
    assert str(source) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert count_pairs(str(source)) is None or case == "COCO keypoints"


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.txt").touch()

    with pytest.raises(WrongInput, match=r"no pairs NAME.jpg \+ NAME.txt \(1 pictures, 1 texts\)"):
        read_pairs(str(tmp_path))


def test_a_folder_takes_no_other_folder_of_images(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="leave out the folder"):
        read_pairs(str(write_folder(tmp_path, PAIRS)), images="elsewhere")


def test_parquet_without_names_or_pictures_is_refused(tmp_path: Path) -> None:
    table = pa.table({"image": [{"height": 7, "path": "a.jpg"}], "caption": ["a"]})
    parquet.write_table(table, tmp_path / "s.parquet")

    with pytest.raises(WrongInput, match=r"column image of .* holds struct"):
        read_pairs(str(tmp_path / "s.parquet"))


def test_a_file_that_breaks_off_raises_after_what_it_holds(tmp_path: Path) -> None:
    lines = b"".join(b'{"image": "%d.jpg", "caption": "a"}\n' % n for n in range(5000))
    source = tmp_path / "s.jsonl.gz"
    source.write_bytes(gzip.compress(lines)[:-2000])
    pairs = read_pairs(str(source))

    assert next(pairs)
    with pytest.raises(WrongInput, match=r"cannot read .*s\.jsonl\.gz: Compressed file ended"):
        list(pairs)
