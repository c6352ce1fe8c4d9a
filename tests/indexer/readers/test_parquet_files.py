"""Parquet as Hugging Face and pandas write it: pictures within, other names, floats for ids."""

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.sources import read


def write(path: Path, **columns: object) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def test_pictures_that_stand_in_the_file_are_read(tmp_path: Path) -> None:
    images = [
        {"bytes": b"picture a", "path": "a.jpg"},
        {"bytes": b"picture b", "path": None},
        {"bytes": None, "path": "c.jpg"},
        {"bytes": None, "path": None},
        None,
    ]
    source = write(tmp_path / "s.parquet", image=images, text=["a", "b", "c", "d", "e"])

    items = sorted(read(source), key=lambda item: item.where)

    assert items[:3] == [
        ImageCaption(b"picture a", ("a",), name="a.jpg", where="s.parquet:1"),
        ImageCaption(b"picture b", ("b",), where="s.parquet:2"),
        ImageCaption(f"{tmp_path}/c.jpg", ("c",), where="s.parquet:3"),
    ]
    assert [isinstance(item, PairFailure) for item in items[3:]] == [True, True]
    assert count_pairs(str(source)) == 5


def test_a_column_of_bytes_has_pictures(tmp_path: Path) -> None:
    source = write(tmp_path / "s.parquet", image=[b"picture"], caption=["a"])

    assert read(source) == [ImageCaption(b"picture", ("a",), where="s.parquet:1")]


def test_names_and_values_are_as_in_other_tables(tmp_path: Path) -> None:
    source = write(
        tmp_path / "s.parquet",
        filename=["a.jpg", "b.jpg", "c.jpg"],
        raw=[["one", "two"], ["three"], []],
        id=[7.0, None, 9.0],
        unknown=[1, 2, 3],
    )

    items = read(source)

    assert [(item.captions, item.id) for item in items if isinstance(item, ImageCaption)] == [
        (("one", "two"), "7"),
        (("three",), None),
    ]
    assert sum(isinstance(item, PairFailure) for item in items) == 1


@pytest.mark.parametrize("captions", [["one", None, "None"], [b"one", b"\xff", b""]])
def test_captions_that_are_none_are_failures(tmp_path: Path, captions: list[object]) -> None:
    source = write(tmp_path / "s.parquet", image=["a.jpg", "b.jpg", "c.jpg"], caption=captions)

    pairs = [item for item in read(source) if isinstance(item, ImageCaption)]

    assert [pair.captions for pair in pairs] == [("one",)]


def test_pictures_are_held_a_few_at_a_time(tmp_path: Path) -> None:
    images = [{"bytes": bytes([n]) * 200_000, "path": f"{n}.jpg"} for n in range(100)]
    source = write(tmp_path / "s.parquet", image=images, caption=["a dog"] * 100)
    del images
    tracemalloc.start()

    count = sum(1 for _ in read_pairs(str(source)))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100
    assert peak < 6_000_000  # they are 20 MB
