"""Readers: every format gives back what was written; bad rows are reported, bad SOURCEs refused."""

import csv
import gzip
import json
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure

Pairs = Sequence[tuple[str, Sequence[str]]]

PAIRS: Pairs = (
    ("a.jpg", ("A dog on a beach.", 'A "good" dog, running.')),
    ("b.png", ("Zwei Äpfel 🍎 neben einer Gabel",)),
    ("c.jpg", ("[a cat]", "a cat", "[1, 2]?")),
)


def write_json_lines(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.jsonl"
    lines = [json.dumps({"image": image, "captions": texts}) for image, texts in pairs]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_gzipped(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.jsonl.gz"
    path.write_bytes(gzip.compress(write_json_lines(folder, pairs).read_bytes()))
    return path


def write_delimited(path: Path, pairs: Pairs, *, delimiter: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["image", "caption"])
        writer.writerows([image, text] for image, texts in pairs for text in texts)
    return path


def write_csv(folder: Path, pairs: Pairs) -> Path:
    return write_delimited(folder / "captions.csv", pairs, delimiter=",")


def write_tsv(folder: Path, pairs: Pairs) -> Path:
    return write_delimited(folder / "captions.tsv", pairs, delimiter="\t")


def write_parquet(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.parquet"
    columns = {"image": [image for image, _ in pairs], "captions": [list(t) for _, t in pairs]}
    parquet.write_table(pa.table({**columns, "unknown": [0] * len(pairs)}), path)
    return path


def write_coco(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.json"
    images = [{"id": 7 * n, "file_name": image} for n, (image, _) in enumerate(pairs)]
    texts = [(7 * n, text) for n, (_, texts) in enumerate(pairs) for text in texts]
    shuffled = sorted(texts, key=lambda numbered: -numbered[0])
    annotations = [{"id": n, "image_id": i, "caption": t} for n, (i, t) in enumerate(shuffled)]
    path.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")
    return path


def write_folder(folder: Path, pairs: Pairs) -> Path:
    for image, texts in pairs:
        (folder / image).touch()
        text = "\n".join(texts) + "\n"
        (folder / image).with_suffix(".txt").write_bytes(text.encode())
    return folder


Writer = Callable[[Path, Pairs], Path]
WRITERS: tuple[Writer, ...] = (
    write_json_lines,
    write_gzipped,
    write_csv,
    write_tsv,
    write_parquet,
    write_coco,
    write_folder,
)


def expected(folder: Path, pairs: Pairs) -> list[ImageCaption]:
    return [ImageCaption(f"{folder}/{image}", tuple(texts)) for image, texts in pairs]


def read(
    source: Path | str, *, images: str | None = None, source_name: str = ""
) -> list[ImageCaption | PairFailure]:
    return list(read_pairs(str(source), images=images, source_name=source_name))


def nowhere(items: Sequence[ImageCaption | PairFailure]) -> list[ImageCaption | PairFailure]:
    return [replace(item, where="") for item in items]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_back_the_same_pairs(tmp_path: Path, write: Writer) -> None:
    source = write(tmp_path, PAIRS)

    assert nowhere(read(source)) == expected(tmp_path, PAIRS)


captions = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() != ""
)
names = st.from_regex(r"[a-z]{1,8}\.(jpg|png)", fullmatch=True)


@pytest.mark.parametrize("write", WRITERS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.dictionaries(names, st.lists(captions, min_size=1, max_size=3), min_size=1))
def test_any_caption_survives_any_format(
    tmp_path_factory: pytest.TempPathFactory, write: Writer, found: dict[str, list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    by_stem = {Path(name).stem: (name, texts) for name, texts in sorted(found.items())}
    pairs = list(by_stem.values())

    assert nowhere(read(write(folder, pairs))) == expected(folder, pairs)


@settings(max_examples=50)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_captions_may_hold_quotes_and_line_ends_in_csv(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    source = write_csv(tmp_path_factory.mktemp("csv"), [("a.jpg", ["first", text])])

    items = read(source)

    texts = [text for item in items if isinstance(item, ImageCaption) for text in item.captions]
    assert texts == ["first", text.strip()] if text.strip() else ["first"]


def test_optional_columns_are_taken(tmp_path: Path) -> None:
    rows = [
        {"image": "a.jpg", "caption": "a", "id": 12, "source": "own", "tags": ["x", "y", "x"]},
        {"image": "b.jpg", "caption": "b", "id": "b7", "tags": "left, , right"},
        {"image": "c.jpg", "caption": "c", "id": None, "source": None, "tags": None},
    ]
    source = tmp_path / "s.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))

    a, b, c = read(source, source_name="run")

    assert a == ImageCaption(
        f"{tmp_path}/a.jpg", ("a",), id="12", source="own", tags=("x", "y"), where="s.jsonl:1"
    )
    assert b == ImageCaption(
        f"{tmp_path}/b.jpg", ("b",), "b7", "run", ("left", "right"), "s.jsonl:2"
    )
    assert c == ImageCaption(f"{tmp_path}/c.jpg", ("c",), None, "run", (), "s.jsonl:3")


def test_optional_columns_of_parquet_and_csv_agree(tmp_path: Path) -> None:
    columns = {"image": ["a.jpg", "b.jpg"], "caption": ["a", "b"], "id": ["1", "2"]}
    table = pa.table({**columns, "tags": [["x", "y"], []]})
    parquet.write_table(table, tmp_path / "s.parquet")
    text = 'image,caption,id,tags\na.jpg,a,1,"x,y"\nb.jpg,b,2,\n'
    (tmp_path / "s.csv").write_text(text)

    assert nowhere(read(tmp_path / "s.parquet")) == nowhere(read(tmp_path / "s.csv"))


def test_consecutive_rows_of_a_picture_are_one_pair(tmp_path: Path) -> None:
    source = tmp_path / "s.csv"
    source.write_text(
        "image,caption,tags\na.jpg,one,x\na.jpg,two,y\na.jpg,,\nb.jpg,three,\na.jpg,four,\n"
    )

    items = read(source)

    found = [(item.where, item.captions) for item in items if isinstance(item, ImageCaption)]
    assert found == [("s.csv:2", ("one", "two")), ("s.csv:5", ("three",)), ("s.csv:6", ("four",))]
    assert PairFailure("s.csv:4", "a.jpg", "it has no caption, or only blank ones") in items
    assert isinstance(items[1], ImageCaption)
    assert items[1].tags == ("x", "y")


def test_byte_order_mark_line_ends_and_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_bytes(
        b'\xef\xbb\xbf{"image": "a.jpg", "caption": "a"}\r\n\r\n{"image": "b.jpg", "caption": "b"}'
    )
    (tmp_path / "s.csv").write_bytes(
        b"\xef\xbb\xbf\r\nimage, caption\r\na.jpg,a\r\n\r\nb.jpg,b\r\n"
    )
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.JPG").touch()
    (tmp_path / "f" / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\rthree")

    lines, table, folder = (read(tmp_path / name) for name in ("s.jsonl", "s.csv", "f"))

    assert [item.where for item in lines] == ["s.jsonl:1", "s.jsonl:3"]
    assert nowhere(lines) == nowhere(table)
    assert [item.where for item in table] == ["s.csv:3", "s.csv:5"]
    assert folder == [ImageCaption(f"{tmp_path}/f/a.JPG", ("one", "two", "three"), where="f/a.txt")]


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
        (b"b.jpg,caf\xe9", "not valid UTF-8"),
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
    "not lines": ("s.jsonl", b'[\n{"image": "a.jpg",\n"caption": "a"}]', "no line with image"),
    "empty csv": ("s.csv", b"", "no columns image and caption"),
    "other columns": ("s.csv", b"path,text\na,b\n", "only: path, text"),
    "headless csv": ("s.csv", b'"' + b"x" * 200_000, "not readable as CSV"),
    "not parquet": ("s.parquet", b"PAR1 but not really", "not readable as Parquet"),
    "not JSON": ("s.json", b"{", "is not JSON"),
    "not COCO": ("s.json", b"[]", "not a COCO captions file"),
    "COCO instances": (
        "s.json",
        b'{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1}]}',
        "holds no captions",
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
    assert count_pairs(str(source)) is None or case == "COCO instances"


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "b.txt").touch()

    with pytest.raises(WrongInput, match=r"no pairs NAME.jpg \+ NAME.txt \(1 pictures, 1 texts\)"):
        read_pairs(str(tmp_path))


def test_a_folder_takes_no_other_folder_of_images(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="leave out the folder"):
        read_pairs(str(write_folder(tmp_path, PAIRS)), images="elsewhere")


def test_parquet_with_pictures_inside_is_refused(tmp_path: Path) -> None:
    table = pa.table({"image": [{"bytes": b"x", "path": "a.jpg"}], "caption": ["a"]})
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


def test_pictures_are_looked_for_beside_the_file_then_in_images(tmp_path: Path) -> None:
    source = write_json_lines(tmp_path, [*PAIRS, ("/far/d.jpg", ["d"]), ("s3://x/e.jpg", ["e"])])
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "b.png").touch()
    (tmp_path / "c.jpg").touch()

    found = [item.image for item in read(source)]

    # Nothing is known when a.jpg is asked for; b.png then settles where the others are.
    assert found == [
        f"{tmp_path}/a.jpg",
        f"{tmp_path}/images/b.png",
        f"{tmp_path}/images/c.jpg",
        "/far/d.jpg",
        "s3://x/e.jpg",
    ]


def test_a_given_folder_of_images_is_not_looked_for(tmp_path: Path) -> None:
    source = write_json_lines(tmp_path, PAIRS)
    (tmp_path / "a.jpg").touch()

    assert read(source, images="photos/")[0].image == "photos/a.jpg"
    assert read(source, images="memory://photos")[0].image == "memory://photos/a.jpg"


@pytest.mark.parametrize("write", WRITERS)
def test_remote_sources_read_as_local_ones(tmp_path: Path, write: Writer) -> None:
    source = write(tmp_path, PAIRS)
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.put(f"{tmp_path}/", f"/{tmp_path.name}/", recursive=True)
    folder = f"memory://{tmp_path.name}"

    items = read(folder if source.is_dir() else f"{folder}/{source.name}")

    assert nowhere(items) == [
        ImageCaption(f"{folder}/{image}", tuple(texts)) for image, texts in PAIRS
    ]
    assert [item.where for item in items] == [item.where for item in read(source)]


def test_remote_pictures_are_looked_for_too() -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pipe("/set/s.csv", b"image,caption\na.jpg,a\n")
    memory.pipe("/set/images/a.jpg", b"picture")

    assert read("memory://set/s.csv")[0].image == "memory://set/images/a.jpg"


def test_an_unknown_protocol_is_one_clear_line() -> None:
    with pytest.raises(WrongInput, match=r"cannot read floppy://s\.jsonl: Protocol not known"):
        read_pairs("floppy://s.jsonl")


@pytest.mark.parametrize("write", WRITERS)
def test_few_pairs_are_counted_exactly(tmp_path: Path, write: Writer) -> None:
    counted = count_pairs(str(write(tmp_path, PAIRS)))

    assert counted == (None if write is write_gzipped else len(PAIRS))


@pytest.mark.parametrize("write", WRITERS)
def test_many_pairs_are_counted_closely(tmp_path: Path, write: Writer) -> None:
    pairs = [(f"{n:05}.jpg", [f"caption {n}.{m}" for m in range(5)]) for n in range(1500)]

    counted = count_pairs(str(write(tmp_path, pairs)))

    assert counted == (None if write is write_gzipped else pytest.approx(1500, abs=2))


@pytest.mark.parametrize("write", [write_json_lines, write_gzipped, write_csv, write_parquet])
def test_memory_stays_flat(tmp_path: Path, write: Writer) -> None:
    source = write(
        tmp_path, [(f"{n}.jpg", ["a caption of a picture " * 20]) for n in range(20_000)]
    )
    read_pairs(str(source))
    tracemalloc.start()

    count = sum(1 for _ in read_pairs(str(source)))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 3_000_000  # the captions alone are 9 MB


def test_the_development_data_reads(shared: Path) -> None:
    items = read(shared / "data" / "coco" / "captions.jsonl")

    assert len(items) == count_pairs(str(shared / "data" / "coco" / "captions.jsonl")) == 313
    assert all(isinstance(item, ImageCaption) and Path(item.image).exists() for item in items)
