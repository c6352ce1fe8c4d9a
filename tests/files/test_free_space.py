from errno import EDQUOT, EIO, ENOSPC
from pathlib import Path

import pytest

from captionary.files.free_space import disk_full, free_space, is_in_memory
from captionary.files.sparse_copy import copy_sparsely
from captionary.schemas.errors import DiskFull, WrongInput


def test_free_space_of_what_is_not_there_yet(tmp_path: Path) -> None:
    assert free_space(tmp_path / "not" / "there") == pytest.approx(free_space(tmp_path), rel=0.1)
    assert free_space(Path("nothing-of-this-name")) > 0


@pytest.mark.parametrize("number", [ENOSPC, EDQUOT])
def test_what_comes_of_a_full_disk(tmp_path: Path, number: int) -> None:
    plain = OSError(number, "full", str(tmp_path / "file"))
    wrapped = WrongInput("cannot write")
    wrapped.__cause__ = plain
    for error in (plain, wrapped):
        assert f"no space left on {tmp_path / 'file'}'s disk; free" in str(disk_full(error))
        assert f"on {tmp_path}'s disk" in str(disk_full(error, tmp_path))
    assert "no space left on the output's disk; nothing" in str(disk_full(OSError(number, "full")))
    known = DiskFull("here", free=1 << 20)
    assert disk_full(known) is known


def test_what_does_not(tmp_path: Path) -> None:
    assert disk_full(OSError(EIO, "broken"), tmp_path) is None
    assert disk_full(WrongInput("no space left")) is None


def test_a_disk_with_room_that_takes_nothing_has_another_limit() -> None:
    assert "free 100 MB, so it has no more files, or there is a quota" in str(
        DiskFull("here", free=100 << 20)
    )


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a disk in memory")
def test_a_disk_in_memory_is_known() -> None:
    assert is_in_memory(Path("/dev/shm"))
    assert not is_in_memory(Path("/proc"))


def test_a_copy_has_holes_where_the_files_are_zero(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "empty").mkdir(parents=True)
    contents = {
        "hole": bytes(1 << 20) + b"end",
        "b/zeros": bytes(1 << 20),
        "b/mixed": b"start" + bytes(1 << 20) + b"\1" + bytes(70_000),
        "b/none": b"",
    }
    for name, content in contents.items():
        (tmp_path / "a" / name).write_bytes(content)
    (tmp_path / "a" / "b" / "none").chmod(0o400)
    copy_sparsely(tmp_path / "a", tmp_path / "copy")
    for name, content in contents.items():
        assert (tmp_path / "copy" / name).read_bytes() == content
    assert (tmp_path / "copy" / "b" / "empty").is_dir()
    (tmp_path / "copy" / "b" / "none").write_bytes(b"mine")
    assert (tmp_path / "copy" / "b" / "zeros").stat().st_blocks == 0
    with pytest.raises(FileNotFoundError):
        copy_sparsely(tmp_path / "missing", tmp_path / "other")
