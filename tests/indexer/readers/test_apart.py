"""Shards as tar, Finder and scripts make them: not sorted, with dots and other bytes in names."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captionary.indexer.readers import count_pairs
from captionary.indexer.readers.shard_index import list_shard, read_pair_at
from captionary.schemas.pairs import PairFailure
from tests.indexer.readers.shards import (
    ReadPair,
    failures,
    pair,
    read_back,
    sample,
    write_shard,
)

PICTURE, CAPTION = b"picture", b"a cow"


def pairs_of(source: Path) -> list[ReadPair]:
    return [item for item in read_back(source) if not isinstance(item, PairFailure)]


def test_pictures_first_and_texts_after_are_pairs(tmp_path: Path) -> None:
    files = {name: content for n in range(5) for name, content in sample(n).items()}
    by_kind = sorted(files, key=lambda name: name[::-1])
    source = write_shard(tmp_path / "a.tar", {name: files[name] for name in by_kind})

    assert read_back(source) == [pair("a.tar", n) for n in range(5)]
    assert count_pairs(str(source)) == 5


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([f"{n}{kind}" for n in range(4) for kind in (".jpg", ".txt", ".cls")]))
def test_any_order_gives_the_same_pairs(
    tmp_path_factory: pytest.TempPathFactory, order: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    source = write_shard(folder / "a.tar", {name: name.encode() for name in order})

    found = read_back(source)
    listing = list_shard(str(source), folder / "lists")

    expected = [(f"a.tar:{n}", b"%d.jpg" % n, (f"{n}.txt",)) for n in range(4)]
    assert sorted(pairs_of(source)) == expected
    assert not any(isinstance(item, PairFailure) and ".cls" not in item.reason for item in found)
    drawn = [read_pair_at(source, place).captions for place in listing.places.tolist()]
    assert sorted(drawn) == [(f"{n}.txt",) for n in range(4)]


def test_what_never_comes_is_told_at_the_end(tmp_path: Path) -> None:
    files = {"1.jpg": PICTURE, "2.jpg": PICTURE, "2.cls": b"3", **sample(3), "1.json": b"{}"}
    source = write_shard(tmp_path / "a.tar", {**files, "1.txt": CAPTION, "4.txt": CAPTION})

    assert pairs_of(source) == [pair("a.tar", 3), ("a.tar:1", PICTURE, ("a cow",))]
    assert failures(source) == [
        ("a.tar:2", "no 2.txt or .json with captions beside it, only .cls"),
        ("a.tar:4", "no 4.jpg beside .txt"),
    ]


def test_a_shard_that_comes_twice_is_two(tmp_path: Path) -> None:
    names = ["0.jpg", "1.jpg", "0.txt", "1.txt"] * 2
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))

    assert sorted(where for where, _, _ in pairs_of(tmp_path / "a.tar")) == [
        "a.tar:0",
        "a.tar:0",
        "a.tar:1",
        "a.tar:1",
    ]


@pytest.mark.parametrize(
    "stems",
    [["img.v1", "img.v2"], ["2024.01.02_a", "2024.01.02_b"], ["img", "img.v1"], ["a.b/1", "a"]],
)
def test_dots_in_names_are_part_of_them(stems: list[str], tmp_path: Path) -> None:
    kinds = (".jpg", ".txt")
    source = write_shard(
        tmp_path / "a.tar", {f"{stem}{kind}": stem.encode() for stem in stems for kind in kinds}
    )
    apart = write_shard(
        tmp_path / "b.tar", {f"{stem}{kind}": stem.encode() for kind in kinds for stem in stems}
    )

    assert read_back(source) == [(f"a.tar:{s}", s.encode(), (s,)) for s in stems]
    assert sorted(pairs_of(apart)) == sorted((f"b.tar:{s}", s.encode(), (s,)) for s in stems)


def test_label_maps_stay_parts_of_their_sample(tmp_path: Path) -> None:
    names = ["0.jpg", "1.jpg", "0.seg.png", "1.seg.png", "0.txt", "1.txt", "2.seg.png", "2.txt"]
    source = write_shard(tmp_path / "a.tar", {name: name.encode() for name in names})

    assert pairs_of(source) == [(f"a.tar:{n}", b"%d.jpg" % n, (f"{n}.txt",)) for n in (0, 1)]
    assert failures(source) == [("a.tar:2", "no 2.jpg beside .txt, .seg.png")]


@pytest.mark.parametrize("text", ["0.caption.txt", "0.jpg.txt", "0.caption", "0.jpeg.json"])
def test_captions_by_any_usual_name(text: str, tmp_path: Path) -> None:
    said = CAPTION if not text.endswith("json") else b'{"caption": "a cow"}'
    source = write_shard(tmp_path / "a.tar", {"0.jpeg": PICTURE, text: said})

    assert read_back(source) == [("a.tar:0", PICTURE, ("a cow",))]


def test_what_finder_adds_is_passed_over(tmp_path: Path) -> None:
    names = ("._0.jpg", "0.jpg", "__MACOSX/._0.jpg", "__MACOSX/0.jpg", "._0.txt", "x/.git/1.jpg")
    files = dict.fromkeys(names, PICTURE)
    source = write_shard(tmp_path / "a.tar", {**files, "0.txt": CAPTION})

    assert read_back(source) == [("a.tar:0", PICTURE, ("a cow",))]


@pytest.mark.parametrize("text", [b"caf\xe9", b"caf\xc3\xa9", b"cafe\xcc\x81"])
def test_names_that_are_not_utf_8_or_look_alike_are_pairs(text: bytes, tmp_path: Path) -> None:
    names = (b"caf\xe9.jpg", text + b".txt")
    source = write_shard(tmp_path / "a.tar", {os.fsdecode(n): CAPTION for n in names})

    assert read_back(source) == [("a.tar:café", CAPTION, ("a cow",))]
    (place,) = list_shard(str(source), tmp_path / "lists").places.tolist()
    assert read_pair_at(source, place).captions == ("a cow",)
