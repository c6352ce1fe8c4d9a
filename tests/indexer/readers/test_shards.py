"""Shards give back what was packed into them, whatever else is in them or is missing."""

import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import fsspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.indexer.readers.columns import is_absent
from captionary.indexer.readers.shards import expand_braces
from captionary.schemas.pairs import ImageCaption
from tests.indexer.readers.shards import numbered, pair, read_back, sample, write_shard


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

    assert read_back(source) == [
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

    assert read_back(source) == [
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

    assert read_back(tmp_path / "a.tar") == [pair("a.tar", 0)] * 2


contents = st.binary(max_size=2000)
stems = st.from_regex(r"[a-zä]{1,120}(/[0-9]{1,9})?", fullmatch=True)
captions = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() and not is_absent(text)
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

    assert read_back(source) == [
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
    assert expand_braces(pattern) == names


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

    assert read_back(f"{protocol}{tmp_path}{source}") == pairs


def test_a_shard_may_have_braces_in_its_name(tmp_path: Path) -> None:
    pairs = numbered(tmp_path, ["{0,1}.tar"])

    assert read_back(tmp_path / "{0,1}.tar") == pairs


def test_the_same_shard_again_is_the_same_pairs(tmp_path: Path) -> None:
    numbered(tmp_path, ["0.tar"])

    first, again = (list(read_pairs(f"{tmp_path}/0.tar", source_name="own")) for _ in range(2))

    assert first == again
    assert all(isinstance(item, ImageCaption) and item.source == "own" for item in first)


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
