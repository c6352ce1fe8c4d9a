"""An embedded store as a folder: what is refused, in one line, and what is mended."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from captionary.schemas.errors import StoreInUse, WrongInput
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.edge_folder import LOCK, META
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.vocabulary.made_up_records import DIM, FINGERPRINT, pair, picture

ROOT = Path(__file__).parents[2]


def opened(folder: Path) -> StoredDictionary:
    return StoredDictionary(EdgeEngine(folder), fingerprint=FINGERPRINT, dim=DIM)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with opened(tmp_path / "store") as dictionary:
        dictionary.add([pair(1)])
    return tmp_path / "store"


def refusal(folder: Path) -> str:
    with pytest.raises(WrongInput) as caught:
        opened(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "holiday.jpg").write_bytes(b"precious")
    assert "is not a store" in refusal(tmp_path)
    assert (tmp_path / "pictures" / "holiday.jpg").read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["pictures"]


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    assert "cannot use the store" in refusal(tmp_path / "store")
    assert "cannot use the store" in refusal(tmp_path / "store" / "below")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "cannot use the store" in refusal(tmp_path / "store")


def test_opening_to_read_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match="there is no dictionary at"):
        StoredDictionary(EdgeEngine(tmp_path / "store"), fingerprint=None, dim=None)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_a_new_store(tmp_path: Path) -> None:
    with opened(tmp_path) as dictionary:
        dictionary.add([pair(1)])
    assert (tmp_path / META).exists()


def spoil_meta(store: Path) -> None:
    (store / META).write_text('{"format": 1, "di')


def future_meta(store: Path) -> None:
    (store / META).write_text('{"format": 999, "dim": 16}')


def lose_collection(store: Path) -> None:
    shutil.rmtree(store / "regions")


def lose_segments(store: Path) -> None:
    for segment in (store / "pictures" / "segments").iterdir():
        shutil.rmtree(segment)


def lose_log(store: Path) -> None:
    shutil.rmtree(store / "prototypes" / "wal")


def spoil_everything(store: Path) -> None:
    for path in (store / "regions").rglob("*"):
        if path.is_file():
            path.write_bytes(b"junk")


@pytest.mark.parametrize(
    "spoil",
    [spoil_meta, future_meta, lose_collection, lose_segments, lose_log, spoil_everything],
)
def test_a_damaged_store_is_refused(store: Path, spoil: Callable[[Path], None]) -> None:
    spoil(store)
    assert "is damaged" in refusal(store)
    assert "is damaged" in refusal(store)


def test_a_store_in_use_is_refused_and_usable_later(store: Path) -> None:
    with opened(store):
        with pytest.raises(StoreInUse, match="in use by another process"):
            opened(store)
        code = (
            "import sys\nfrom captionary.vocabulary.engines.edge import EdgeEngine\n"
            "from captionary.schemas.errors import StoreInUse\n"
            "try: EdgeEngine(sys.argv[1])\nexcept StoreInUse: print('refused')"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code, str(store)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert answer.stdout == "refused\n"
    with opened(store) as dictionary:
        assert dictionary.picture("p0001") == picture(1)


def test_a_creation_that_was_cut_short_is_done_again(store: Path) -> None:
    (store / META).unlink()
    spoil_everything(store)
    lose_segments(store)
    with pytest.raises(WrongInput, match="there is no dictionary at"):
        StoredDictionary(EdgeEngine(store), fingerprint=None, dim=None)
    with opened(store) as dictionary:
        assert list(dictionary.pictures()) == []
        dictionary.add([pair(2)])
    with opened(store) as dictionary:
        assert dictionary.picture("p0002") == picture(2)


def test_a_store_can_be_moved_without_its_lock(store: Path, tmp_path: Path) -> None:
    moved = store.rename(tmp_path / "moved")
    (moved / LOCK).unlink()
    with opened(store), opened(moved) as dictionary:
        assert dictionary.picture("p0001") == picture(1)


def test_closing_twice_is_allowed(store: Path) -> None:
    dictionary = opened(store)
    dictionary.close()
    dictionary.close()
