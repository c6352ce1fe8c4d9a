"""A full disk stops a store with one true line, and costs it nothing; what is read-only is read."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from captionary.schemas.errors import CaptionaryError, DiskFull, StoreInUse, WrongInput
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.edge_collection import engine_errors
from captionary.vocabulary.engines.edge_folder import LOCK, TO_OPEN, TO_WRITE
from captionary.vocabulary.engines.engine import Where
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.disks import filled, read_only_view, small_disk
from tests.stores import copy_store
from tests.vocabulary.made_up_records import DIM, FINGERPRINT, pair, picture, prototypes

PLENTY = 1 << 40


@dataclass
class Disk:
    """What a disk says is free."""

    free: int = PLENTY

    def __call__(self, _path: Path) -> int:
        return self.free


def opened(
    folder: Path,
    disk: Callable[[Path], int] | None = None,
    *,
    fingerprint: str | None = FINGERPRINT,
) -> StoredDictionary:
    engine = EdgeEngine(folder) if disk is None else EdgeEngine(folder, free=disk)
    return StoredDictionary(engine, fingerprint=fingerprint, dim=DIM if fingerprint else None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two pictures."""
    store = tmp_path_factory.mktemp("made") / "store"
    with opened(store) as dictionary:
        dictionary.add([pair(1), pair(2)])
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    return copy_store(made, tmp_path / "store")


def full(store: Path, free: str, needed: str) -> str:
    return (
        f"no space left on {store}'s disk; free {free} MB of the {needed} MB that this needs; "
        "nothing is lost: make room there, then run this again"
    )


CHANGES: dict[str, Callable[[StoredDictionary], object]] = {
    "add": lambda dictionary: dictionary.add([pair(3)]),
    "amend": lambda dictionary: dictionary.amend([picture(1)]),
    "retire": lambda dictionary: dictionary.retire(["p0001"]),
    "replace": lambda dictionary: dictionary.replace_prototypes("dog", prototypes("dog", 2)),
    "check": lambda dictionary: dictionary.engine.check_writable(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_nothing_is_written_where_an_operation_might_not_fit(
    store: Path, change: Callable[[StoredDictionary], object]
) -> None:
    disk = Disk()
    with opened(store, disk) as dictionary:
        disk.free = TO_WRITE - 1
        with pytest.raises(DiskFull) as caught:
            change(dictionary)
        assert str(caught.value) == full(store, "63", "64")
        assert dictionary.pictures_named(["p0001", "p0002"]) == [picture(1), picture(2)]
        disk.free = TO_WRITE
        change(dictionary)


def test_a_store_is_not_opened_where_that_might_not_fit(store: Path) -> None:
    with pytest.raises(DiskFull) as caught:
        opened(store, Disk(TO_OPEN), fingerprint=None)
    assert str(caught.value) == full(store, "8", "8")
    with opened(store, Disk(2 * TO_OPEN), fingerprint=None) as dictionary:
        assert dictionary.picture("p0001") == picture(1)


def test_no_store_is_begun_on_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match=r"no space left on .*new's disk; free 0 MB of the 64"):
        opened(tmp_path / "far" / "new", Disk(0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "said",
    [
        "Service runtime error: IO Error: Failed to flush a/config.json: No space left on device "
        "(os error 28)",
        "IO Error: Disk quota exceeded (os error 122)",
    ],
)
def test_the_engines_own_words_for_a_full_disk_are_understood(tmp_path: Path, said: str) -> None:
    with (
        pytest.raises(DiskFull, match=r"no space left on .*'s disk; free"),
        engine_errors(tmp_path),
    ):
        raise OSError(said)
    with pytest.raises(CaptionaryError, match="failed: os error 281"), engine_errors(tmp_path):
        raise OSError("os error 281")


@pytest.mark.parametrize("room", [TO_WRITE, PLENTY])
def test_deleted_points_are_dropped_where_their_rest_fits_twice(store: Path, room: int) -> None:
    disk = Disk()
    with opened(store, disk) as dictionary:
        dictionary.add([pair(number) for number in range(3, 300)])
        before = {path.name for path in (store / "regions" / "segments").iterdir()}
        where = Where(any_of={"image_id": [f"p{number:04d}" for number in range(3, 300)]})
        dictionary.engine.collection("regions").delete(where)
        disk.free = room
    after = {path.name for path in (store / "regions" / "segments").iterdir()}
    assert (before == after) == (room == TO_WRITE)
    with opened(store) as dictionary:
        assert dictionary.engine.collection("regions").count() == 10


def test_what_was_stored_before_the_disk_was_full_is_there_after_it(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 300) as disk:
        with opened(disk / "store") as dictionary:
            dictionary.add([pair(1)])
            with filled(disk, left=1 << 20), pytest.raises(DiskFull, match="free 1 MB"):
                dictionary.add([pair(2)])
            dictionary.add([pair(3)])
            with filled(disk), pytest.raises(DiskFull, match="free 0 MB"):
                dictionary.add([pair(4)])
        with filled(disk), pytest.raises(DiskFull, match="free 0 MB"):
            opened(disk / "store", fingerprint=None)
        with opened(disk / "store") as dictionary:
            assert list(dictionary.pictures()) == [picture(1), picture(3)]


@contextmanager
def unwritable(store: Path) -> Iterator[Path]:
    """A store as this process cannot write it: by its modes or, for root, by a mount."""
    if os.geteuid() == 0:
        with read_only_view(store, store.with_name("view")) as view:
            yield view
        return
    paths = [store, *store.rglob("*")]
    for path in paths:
        path.chmod(0o500 if path.is_dir() else 0o400)
    yield store
    for path in paths:
        path.chmod(0o700)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_a_read_only_store_is_read_and_not_changed(store: Path, temporary: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    with unwritable(store) as view, ExitStack() as stack:
        # Any number of readers, as none of them writes.
        first = stack.enter_context(opened(view, fingerprint=None))
        second = stack.enter_context(opened(view, fingerprint=None))
        for dictionary in (first, second):
            assert list(dictionary.pictures()) == [picture(1), picture(2)]
            assert dictionary.catch_up() is False
        for change in CHANGES.values():
            with pytest.raises(WrongInput, match=r"is read-only: it can be read, not changed; .*"):
                change(first)
        assert len(list(temporary.iterdir())) == 2
    assert list(temporary.iterdir()) == []
    assert before == {path: path.stat().st_mtime_ns for path in store.rglob("*")}


def test_a_read_only_store_may_have_come_without_its_lock(store: Path, temporary: Path) -> None:
    (store / LOCK).unlink()
    with unwritable(store) as view, opened(view, fingerprint=None) as dictionary:
        assert dictionary.picture("p0002") == picture(2)
    assert list(temporary.iterdir()) == []


def test_a_read_only_store_is_not_read_while_another_writes_it(store: Path) -> None:
    if os.geteuid():
        pytest.skip("who writes it needs another view of it")
    with unwritable(store) as view:
        with opened(store), pytest.raises(StoreInUse):
            opened(view, fingerprint=None)
        with opened(view, fingerprint=None), pytest.raises(StoreInUse):
            opened(store)


def test_a_read_only_store_that_is_damaged_is_said_to_be(store: Path, temporary: Path) -> None:
    for path in (store / "regions" / "segments").iterdir():
        path.rename(store / "regions" / path.name)
    with (
        unwritable(store) as view,
        pytest.raises(WrongInput, match=r"is damaged \(regions/ is incomplete\)"),
    ):
        opened(view, fingerprint=None)
    assert list(temporary.iterdir()) == []


def test_where_temporary_files_have_no_room_that_disk_is_named(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "small", 1) as small, unwritable(store) as view:
        monkeypatch.setattr("tempfile.tempdir", str(small))
        with pytest.raises(DiskFull, match=rf"no space left on {small}/captionary-.*'s disk; free"):
            opened(view, fingerprint=None)
        assert list(small.iterdir()) == []
