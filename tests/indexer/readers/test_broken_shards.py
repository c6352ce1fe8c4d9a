"""Shards and samples that cannot be used: each is reported, and the next one is read."""

import gzip
from pathlib import Path

import pytest

from captionary.indexer.readers import read_pairs
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import PairFailure
from tests.indexer.readers.shards import failures, numbered, pair, read_back, sample, write_shard
from tests.indexer.readers.sources import read


def test_what_a_sample_lacks_is_told_and_the_next_one_read(tmp_path: Path) -> None:
    source = write_shard(
        tmp_path / "a.tar",
        {
            **sample(0),
            "1.jpg": b"1",
            "2.txt": b"a dog",
            "2.cls": b"3",
            "3.jpg": b"3",
            "3.txt": b"caf\xe9",
            "4.jpg": b"4",
            "4.json": b'{"caption": ',
            "5.jpg": b"5",
            "5.json": b'["a dog"]',
            "6.jpg": b"6",
            "6.json": b'{"key": "6"}',
            "7.jpg": b"7",
            "7.json": b'{"caption": 3}',
            "8.jpg": b"8",
            "8.json": b"[" * 100_000,
            **sample(9),
        },
    )

    assert [item for item in read_back(source) if not isinstance(item, PairFailure)] == [
        pair("a.tar", 0),
        pair("a.tar", 9),
    ]
    found = sorted(failures(source))
    assert [where for where, _ in found] == [f"a.tar:{n}" for n in range(1, 9)]
    reasons = [
        "no 1.txt or .json with captions beside it",
        "no 2.jpg beside .txt, .cls",
        "its text is not valid UTF-8",
        "its .json is not JSON: Expecting value",
        "its .json is not an object in braces",
        "it has no caption",
        "caption is 3, not text",
        "its .json is not JSON: maximum recursion",
    ]
    assert all(said in reason for said, (_, reason) in zip(reasons, found, strict=True))


def test_a_shard_cut_anywhere_gives_what_is_whole_and_says_that_it_is_cut(tmp_path: Path) -> None:
    pairs = numbered(tmp_path, ["0.tar", "1.tar"])
    whole = (tmp_path / "0.tar").read_bytes()
    ends = [n * 2560 for n in range(4)]  # a picture takes 1,536 bytes with its header, a text 1,024

    for cut in (0, 100, 512, 900, 1536, 2048, 2052, 2560, 2600, 4096, 5000, 5120, 7600, 7680, 7700):
        (tmp_path / "0.tar").write_bytes(whole[:cut])
        items = read_back(tmp_path / "{0..1}.tar")

        good = [item for item in items if not isinstance(item, PairFailure)]
        complete = sum(end <= cut for end in ends[1:])
        assert good[-3:] == pairs[3:]
        # A last text may be whole where only the zeros that fill its block are missing.
        assert good[:-3] in (pairs[:complete], pairs[: complete + 1])
        (broken,) = [
            reason for where, reason in failures(tmp_path / "{0..1}.tar") if where == "0.tar"
        ]
        assert "cannot be read to its end" in broken
        assert "\n" not in broken


def test_a_damaged_header_ends_its_shard_and_no_other(tmp_path: Path) -> None:
    pairs = numbered(tmp_path, ["0.tar", "1.tar"])
    damaged = bytearray((tmp_path / "0.tar").read_bytes())
    damaged[5120 : 5120 + 512] = b"\xff" * 512
    (tmp_path / "0.tar").write_bytes(damaged)

    items = read_back(tmp_path / "{0..1}.tar")

    assert [item for item in items if not isinstance(item, PairFailure)] == pairs[:2] + pairs[3:]
    (failure,) = failures(tmp_path / "{0..1}.tar")
    assert failure[0] == "0.tar"
    assert failure[1].startswith("it cannot be read to its end: ")


def test_missing_shards_are_told_one_by_one(tmp_path: Path) -> None:
    pairs = numbered(tmp_path, ["1.tar", "3.tar"])

    items = read_back(tmp_path / "{0..3}.tar")

    assert [item for item in items if not isinstance(item, PairFailure)] == pairs
    assert failures(tmp_path / "{0..3}.tar") == [
        (f"{n}.tar", f"cannot read {tmp_path}/{n}.tar: No such file or directory") for n in (0, 2)
    ]


UNUSABLE: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.tar", b"", "holds no sample"),
    "not tar": ("a.tar", b"plain text " * 500, "the first: a.tar: it cannot be read to its end"),
    "gzip by another name": ("a.tar", gzip.compress(b"x" * 999), "the first: a.tar: it cannot be"),
    "no files": ("a.tar", bytes(10240), "holds no sample"),
    "gzipped": ("a.tar.gz", b"x", "is compressed, so its pictures cannot be opened one by one"),
    "tgz": ("a.tgz", b"x", "is compressed, so its pictures cannot be opened one by one"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_an_unusable_shard_says_so_at_once(tmp_path: Path, case: str) -> None:
    name, content, message = UNUSABLE[case]
    (tmp_path / name).write_bytes(content)

    with pytest.raises(WrongInput) as caught:
        read_pairs(f"{tmp_path}/{name}")

    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shards_of_something_else_are_refused(tmp_path: Path) -> None:
    source = write_shard(tmp_path / "a.tar", {f"{n}.flac": b"sound" for n in range(200)})

    with pytest.raises(WrongInput, match=r"the first: a\.tar:0: no 0\.jpg beside \.flac"):
        read_pairs(str(source))


@pytest.mark.parametrize("source", ["{0..9}.tar", "a.tar", "{0..9}.tar.gz", "{0..9}.jsonl"])
def test_where_nothing_stands_nothing_is_read(tmp_path: Path, source: str) -> None:
    with pytest.raises(WrongInput) as caught:
        read_pairs(f"{tmp_path}/{source}")

    assert "\n" not in str(caught.value)


def test_shards_take_no_folder_of_images(tmp_path: Path) -> None:
    numbered(tmp_path, ["0.tar"])

    with pytest.raises(WrongInput, match="leave out the folder elsewhere"):
        read_pairs(f"{tmp_path}/0.tar", images="elsewhere")


def test_a_folder_of_pictures_stays_one_when_it_holds_a_tar_file(tmp_path: Path) -> None:
    numbered(tmp_path, ["0.tar"])
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.txt").write_text("a dog")

    assert [item.where for item in read(tmp_path)] == [f"{tmp_path.name}/a.txt"]
