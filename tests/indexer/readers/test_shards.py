"""Shards give back what was packed into them, whatever else is in them or is missing."""

import gzip
import io
import json
import tarfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.indexer.readers.shards import expanded
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.vision.pictures.loading import picture_bytes
from tests.indexer.readers.shards import write_shard

Told = tuple[str, bytes, tuple[str, ...]]
"""Where a pair stands, the bytes at its address, its captions."""


def told(source: Path | str) -> list[Told | PairFailure]:
    """What a SOURCE yields, its pictures opened last first."""
    items = list(read_pairs(str(source)))
    opened = {
        item.image: picture_bytes(item.image)
        for item in reversed(items)
        if isinstance(item, ImageCaption)
    }
    return [
        (item.where, opened[item.image], item.captions) if isinstance(item, ImageCaption) else item
        for item in items
    ]


def failures(source: Path | str) -> list[tuple[str, str]]:
    return [
        (item.where, item.reason)
        for item in read_pairs(str(source))
        if isinstance(item, PairFailure)
    ]


def sample(number: int) -> dict[str, bytes]:
    return {
        f"{number:04}.jpg": b"picture %d" % number * 100,
        f"{number:04}.txt": b"dog number %d" % number,
    }


def pair(shard: str, number: int) -> Told:
    return f"{shard}:{number:04}", b"picture %d" % number * 100, (f"dog number {number}",)


def numbered(folder: Path, shards: Sequence[str], *, samples: int = 3) -> list[Told]:
    """Write shards of a few samples each; what is in them."""
    pairs = []
    for at, name in enumerate(shards):
        numbers = range(at * samples, (at + 1) * samples)
        write_shard(folder / name, {k: v for n in numbers for k, v in sample(n).items()})
        pairs += [pair(name, n) for n in numbers]
    return pairs


def test_captions_are_lines_of_texts_or_stand_in_json(tmp_path: Path) -> None:
    said = {"caption": "two dogs", "url": "https://x/y.jpg", "id": 7, "tags": {"odd": 1}}
    source = write_shard(
        tmp_path / "a.tar",
        {
            "a/0.jpg": b"0",
            "a/0.json": json.dumps({"caption": "not asked for"}).encode(),
            "a/0.txt": "\ufeffone\r\n\r\nzwei Äpfel\n".encode(),
            "a/1.json": json.dumps(said).encode(),
            "a/1.webp": b"1",
            "b/1.PNG": b"2",
            "b/1.json": b'{"captions": ["one", "two"], "caption": null}',
            "./c.txt": b" \n",
            "./c.json": b'{"caption": "here"}',
            "./c.jpeg": b"3",
        },
    )

    assert told(source) == [
        ("a.tar:a/0", b"0", ("one", "zwei Äpfel")),
        ("a.tar:a/1", b"1", ("two dogs",)),
        ("a.tar:b/1", b"2", ("one", "two")),
        ("a.tar:c", b"3", ("here",)),
    ]


def test_stems_end_at_the_first_dot_and_samples_are_consecutive(tmp_path: Path) -> None:
    source = write_shard(
        tmp_path / "a.tar",
        {
            "0.seg.png": b"labels",
            "0.png": b"labels too",
            "0.jpg": b"photograph",
            "0.txt": b"a dog",
            "a.b/1.jpg": b"1",
            "a.b/1.txt": b"a cat",
            "a.b/._1.txt": b"hidden",
            "README": b"about these",
            "0.JPG": b"another",
            "0.TXT": b"another dog",
        },
    )

    assert told(source) == [
        ("a.tar:0", b"photograph", ("a dog",)),
        ("a.tar:a.b/1", b"1", ("a cat",)),
        ("a.tar:0", b"another", ("another dog",)),
    ]


def test_a_sample_that_comes_twice_is_two(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for _ in range(2):
            for name, content in sample(0).items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))

    assert told(tmp_path / "a.tar") == [pair("a.tar", 0)] * 2


contents = st.binary(max_size=2000)
stems = st.from_regex(r"[a-zä]{1,120}(/[0-9]{1,9})?", fullmatch=True)
captions = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() != ""
)


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.dictionaries(stems, st.tuples(contents, captions), min_size=1, max_size=8))
def test_any_shard_gives_back_its_pairs(
    tmp_path_factory: pytest.TempPathFactory, layout: int, found: dict[str, tuple[bytes, str]]
) -> None:
    source = tmp_path_factory.mktemp("any") / "a.tar"
    with tarfile.open(source, "w", format=layout) as tar:
        for stem, (content, caption) in found.items():
            folder = tarfile.TarInfo(stem.partition("/")[0])
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
            for name, data in ((f"{stem}.jpg", content), (f"{stem}.txt", caption.encode())):
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(data), 1.5  # a fraction makes a PAX header
                tar.addfile(info, io.BytesIO(data))

    assert told(source) == [
        (f"a.tar:{stem}", content, (caption,)) for stem, (content, caption) in found.items()
    ]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("{08..11}", ["08", "09", "10", "11"]),
        ("{8..10}", ["8", "9", "10"]),
        ("{8..010}", ["008", "009", "010"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{0..1}/{a,b}", ["0/a", "0/b", "1/a", "1/b"]),
        ("{x} {} {,y}", ["{x} {} ", "{x} {} y"]),
    ],
)
def test_braces_are_read_as_in_a_shell(pattern: str, names: list[str]) -> None:
    assert expanded(pattern) == names


@pytest.mark.parametrize("protocol", ["", "file://", "memory://"])
@pytest.mark.parametrize("source", ["/{000..002}.tar", "/{000,001,002}.tar", "", "/"])
def test_several_shards_are_read_one_after_the_other(
    tmp_path: Path, protocol: str, source: str
) -> None:
    pairs = numbered(tmp_path, ["000.tar", "001.tar", "002.tar"])
    (tmp_path / "000_stats.json").write_text("{}")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.put(f"{tmp_path}/", f"{tmp_path}/", recursive=True)

    assert told(f"{protocol}{tmp_path}{source}") == pairs


def test_a_shard_may_have_braces_in_its_name(tmp_path: Path) -> None:
    pairs = numbered(tmp_path, ["{0,1}.tar"])

    assert told(tmp_path / "{0,1}.tar") == pairs


def test_the_same_shard_again_is_the_same_pairs(tmp_path: Path) -> None:
    numbered(tmp_path, ["0.tar"])

    first, again = (list(read_pairs(f"{tmp_path}/0.tar", source_name="own")) for _ in range(2))

    assert first == again
    assert all(isinstance(item, ImageCaption) and item.source == "own" for item in first)


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

    assert [item for item in told(source) if not isinstance(item, PairFailure)] == [
        pair("a.tar", 0),
        pair("a.tar", 9),
    ]
    found = failures(source)
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
        items = told(tmp_path / "{0..1}.tar")

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

    items = told(tmp_path / "{0..1}.tar")

    assert [item for item in items if not isinstance(item, PairFailure)] == pairs[:2] + pairs[3:]
    (failure,) = failures(tmp_path / "{0..1}.tar")
    assert failure[0] == "0.tar"
    assert failure[1].startswith("it cannot be read to its end: ")


def test_missing_shards_are_told_one_by_one(tmp_path: Path) -> None:
    pairs = numbered(tmp_path, ["1.tar", "3.tar"])

    items = told(tmp_path / "{0..3}.tar")

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

    assert [item.where for item in read_pairs(str(tmp_path))] == [f"{tmp_path.name}/a.txt"]


def test_samples_are_counted(tmp_path: Path) -> None:
    numbered(tmp_path / "few", ["0.tar", "1.tar"])
    numbered(tmp_path / "many", ["0.tar", "1.tar", "2.tar"], samples=400)

    assert count_pairs(f"{tmp_path}/few") == 6
    assert count_pairs(f"{tmp_path}/many/{{0..2}}.tar") == pytest.approx(1200, rel=0.03)
    assert count_pairs(f"file://{tmp_path}/few") is None


def test_pictures_are_not_read_and_samples_not_kept(tmp_path: Path) -> None:
    picture = bytes(40_000)
    files = {name: picture for n in range(2000) for name in (f"{n:04}.jpg", f"{n:04}.txt")}
    files = {name: b"a dog" if name.endswith("txt") else data for name, data in files.items()}
    source = write_shard(tmp_path / "a.tar", files)
    sum(1 for _ in read_pairs(str(source)))
    tracemalloc.start()

    count = sum(1 for _ in read_pairs(str(source)))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 2000
    assert peak < 200_000
