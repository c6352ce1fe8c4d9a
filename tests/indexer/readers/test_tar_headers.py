"""Headers say what `tarfile` says they say."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from captionary.files.tar_members import Member
from captionary.indexer.readers.tar_headers import read_members

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]

names = st.from_regex(r"(\./)?[a-zä]{1,90}(/[0-9é.]{1,60}){0,3}", fullmatch=True)
kinds = st.sampled_from(
    [tarfile.REGTYPE] * 5
    + [tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]
)
times = st.sampled_from([0, 1.5, -1, 1 << 40])
extras = st.sampled_from(
    [{}] * 3 + [{"comment": "a=b\nc"}, {"uid": "7"}, {"SCHILY.xattr.x": "y"}, {"path": "other/ö"}]
)
entries = st.lists(
    st.tuples(names, kinds, times, extras, st.binary(max_size=1100)), min_size=1, max_size=8
)


def expected(path: Path) -> list[Member]:
    """What tarfile says, asked header by header until one is empty."""
    found = []
    with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
        tar.offset = 0
        while any(path.read_bytes()[tar.offset :][:512]):
            file.seek(tar.offset)
            info = tarfile.TarInfo.fromtarfile(tar)
            if info.isreg() and not info.issparse():
                found.append(Member(info.name, info.offset_data, info.size, "shard"))
    return found


def listed(path: Path) -> list[Member]:
    with path.open("rb") as file:
        return list(read_members(file, "shard"))


@pytest.mark.parametrize("layout", FORMATS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(found=[("a" * 99 + "/b.jpg", tarfile.AREGTYPE, 0, {}, b"")], shared={})
@given(found=entries, shared=st.sampled_from([{}, {}, {"path": "all"}, {"comment": "x"}]))
def test_any_tar_file_is_listed_as_by_tarfile(
    tmp_path_factory: pytest.TempPathFactory,
    layout: int,
    found: list[tuple[str, bytes, float, dict[str, str], bytes]],
    shared: dict[str, str],
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.tar"
    with tarfile.open(path, "w", format=layout, pax_headers=shared) as tar:
        for name, kind, mtime, extra, content in found:
            info = tarfile.TarInfo(name)
            info.type, info.mtime, info.pax_headers = kind, mtime, extra
            info.linkname = "a" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.size = len(content) if info.isreg() else 0
            try:
                tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
            except ValueError:  # too long a name or time for this layout
                assert layout == tarfile.USTAR_FORMAT

    assert listed(path) == expected(path)


def test_files_with_holes_are_passed_over(tmp_path: Path) -> None:
    holes = {"GNU.sparse.map": "0,512", "GNU.sparse.size": "600"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        for name, extra in (("a", {}), ("b", holes), ("c", {})):
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = 512, extra
            tar.addfile(info, io.BytesIO(b"0\n".ljust(512, b"\0")))

    assert [member.name for member in listed(tmp_path / "a.tar")] == ["a", "c"]


@settings(max_examples=200)
@example(at=0, byte=ord("b"), layout=tarfile.USTAR_FORMAT)
@given(at=st.integers(0, 3 * 512 - 1), byte=st.integers(0, 255), layout=st.sampled_from(FORMATS))
def test_a_changed_byte_makes_no_other_list_than_tarfile_does(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int, layout: int
) -> None:
    path = tmp_path_factory.mktemp("changed") / "a.tar"
    with tarfile.open(path, "w", format=layout) as tar:
        info = tarfile.TarInfo("a.jpg")
        info.size, info.mtime = 3, 1.5
        tar.addfile(info, io.BytesIO(b"abc"))
    data = bytearray(path.read_bytes())
    data[at] = byte
    path.write_bytes(data)
    try:
        told: list[Member] | None = expected(path)
    except tarfile.TarError:
        told = None

    try:
        found: list[Member] | None = listed(path)
    except tarfile.TarError:
        found = None

    assert found == told
