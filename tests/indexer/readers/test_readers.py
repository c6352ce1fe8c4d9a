"""Readers: every format gives back what was written; bad rows are reported, bad SOURCEs refused."""

import json
import tracemalloc
from pathlib import Path

import fsspec
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.indexer.readers.columns import is_absent
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.sources import (
    PAIRS,
    WRITERS,
    Writer,
    expected,
    nowhere,
    read,
    write_csv,
    write_gzipped,
    write_json_lines,
    write_parquet,
)


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_back_the_same_pairs(tmp_path: Path, write: Writer) -> None:
    source = write(tmp_path, PAIRS)

    assert nowhere(read(source)) == expected(tmp_path, PAIRS)


captions = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() and not is_absent(text) and text[0] not in "[("
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
    assert texts == ["first"] if is_absent(text) else ["first", text.strip()]


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
    source = write(tmp_path, [(f"{n}.jpg", ["a caption of a picture " * 60]) for n in range(6_000)])
    read_pairs(str(source))
    tracemalloc.start()

    count = sum(1 for _ in read_pairs(str(source)))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 6_000
    assert peak < 4_000_000  # the captions alone are 8 MB


def test_the_development_data_reads(shared: Path) -> None:
    items = read(shared / "data" / "coco" / "captions.jsonl")

    assert len(items) == count_pairs(str(shared / "data" / "coco" / "captions.jsonl")) == 313
    assert all(
        isinstance(item, ImageCaption) and Path(item.picture_name).exists() for item in items
    )
