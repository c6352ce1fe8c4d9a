"""The cache file: what was kept comes back, or nothing does; it is bounded, and never fails."""

import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.files import cache as module
from captionary.files.cache import CacheFile, cache_folder

VALUES = {bytes([n]) * 16: bytes([255 - n]) * 700 for n in range(40)}


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "cache"
    assert CacheFile(path).read(list(VALUES)) == {}
    assert not path.parent.exists()
    CacheFile(path).write(VALUES)
    CacheFile(path).write({b"\0" * 16: b"another"})
    assert CacheFile(path).read([b"unknown", *VALUES]) == {**VALUES, b"\0" * 16: b"another"}


def test_more_keys_than_a_statement_takes(tmp_path: Path) -> None:
    many = {n.to_bytes(4): b"value" for n in range(1200)}
    cache = CacheFile(tmp_path / "cache")
    cache.write(many)
    assert cache.read(list(many)) == many


@given(
    place=st.floats(0, 1, exclude_max=True),
    damage=st.binary(min_size=1, max_size=3000),
    cut=st.booleans(),
)
def test_a_damaged_file_says_nothing_wrong_and_is_made_again(
    tmp_path_factory: pytest.TempPathFactory, place: float, damage: bytes, *, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "cache"
    CacheFile(path).write(VALUES)
    content = path.read_bytes()
    start = int(place * len(content))
    rest = b"" if cut else content[start + len(damage) :]
    path.write_bytes(content[:start] + damage + rest)
    cache = CacheFile(path)
    found = cache.read(list(VALUES))
    assert found.items() <= VALUES.items()
    for _ in range(2):  # where damage shows only when it is written to, the second finds a new file
        cache.write(VALUES)
    assert cache.read(list(VALUES)) == VALUES


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\7" * 5000])
def test_a_file_of_something_else(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cache"
    path.write_bytes(content)
    cache = CacheFile(path)
    assert cache.read(list(VALUES)) == {}
    cache.write(VALUES)
    assert cache.read(list(VALUES)) == VALUES


def test_what_was_used_least_lately_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, limit = tmp_path / "cache", 1 << 20
    cache, first = CacheFile(path, max_bytes=limit), {b"first": b"1" * 700}
    day = 1000 * module.DAY
    monkeypatch.setattr(module, "time", lambda: day)
    cache.write(first)
    cache.write({b"second": b"2" * 700})
    for number in range(100):
        day += module.DAY
        assert cache.read([b"first"]) == first
        cache.write({bytes([number, n]): b"x" * 700 for n in range(50)})
        assert path.stat().st_size <= limit + 50 * 1500
    assert cache.read([b"second"]) == {}
    latest = [bytes([99, n]) for n in range(50)]
    assert len(cache.read(latest)) == 50


def no_folder(path: Path, _: pytest.MonkeyPatch) -> None:
    path.parent.rmdir()
    path.parent.write_bytes(b"a file")


def a_folder(path: Path, _: pytest.MonkeyPatch) -> None:
    path.mkdir()


def little_space(_: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1 << 20))


def read_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def connect_to_read(place: Path, timeout: float) -> sqlite3.Connection:
        return connect(f"{place.as_uri()}?mode=ro", timeout=timeout, uri=True)

    path.touch()
    monkeypatch.setattr(sqlite3, "connect", connect_to_read)


@pytest.mark.parametrize("obstacle", [no_folder, a_folder, little_space, read_only])
def test_what_cannot_be_written_is_not_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    obstacle: Callable[[Path, pytest.MonkeyPatch], None],
) -> None:
    path = tmp_path / "folder" / "cache"
    path.parent.mkdir()
    obstacle(path, monkeypatch)
    cache = CacheFile(path)
    cache.write(VALUES)
    assert cache.read(list(VALUES)) == {}


def test_a_read_only_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cache"
    CacheFile(path).write(VALUES)
    read_only(path, monkeypatch)
    monkeypatch.setattr(module, "time", lambda: 2**40)  # another day, which cannot be noted
    assert CacheFile(path).read(list(VALUES)) == VALUES


def test_a_writer_that_holds_the_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    path = tmp_path / "cache"
    CacheFile(path).write(VALUES)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert CacheFile(path).read(list(VALUES)) == {}
        CacheFile(path).write({b"key": b"value"})
    assert CacheFile(path).read([b"key", *VALUES]) == VALUES


def test_a_writer_that_was_killed_has_changed_nothing(tmp_path: Path) -> None:
    path, copy = tmp_path / "cache", tmp_path / "copy"
    CacheFile(path).write(VALUES)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA cache_size = 1")  # so that changes are in the file before the end
        writer.execute("UPDATE cached SET value = zeroblob(70000)")
        for name in (path, path.with_name("cache-journal")):
            shutil.copy(name, str(name).replace("cache", "copy"))
    assert copy.read_bytes()[: 1 << 16] != path.read_bytes()[: 1 << 16]
    assert CacheFile(copy).read(list(VALUES)) == VALUES


def test_many_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "cache"

    def work(number: int) -> None:
        CacheFile(path).write({bytes([number, n]): bytes([number, n]) * 300 for n in range(30)})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(16)))
    keys = [bytes([number, n]) for number in range(16) for n in range(30)]
    assert CacheFile(path).read(keys) == {key: key * 300 for key in keys}


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"CAPTIONARY_CACHE": ""}, None),
        ({"CAPTIONARY_CACHE": "off", "XDG_CACHE_HOME": "/x"}, None),
        ({"CAPTIONARY_CACHE": "/some/place", "XDG_CACHE_HOME": "/x"}, "/some/place"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/captionary"),
        ({"XDG_CACHE_HOME": "not/whole", "HOME": "/home/me"}, "/home/me/.cache/captionary"),
        ({"HOME": "/home/me"}, "/home/me/.cache/captionary"),
    ],
)
def test_the_folder(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str | None
) -> None:
    for name in ("CAPTIONARY_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == (None if folder is None else Path(folder))
