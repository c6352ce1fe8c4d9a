"""Files inside tar shards are read by their addresses, and only their own bytes are."""

import io
import tarfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captionary.files.tar_members import Member
from captionary.schemas.errors import UnreadablePicture
from captionary.vision.pictures.loading import file_name, load_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def member(tmp_path: Path) -> Member:
    """A picture between other files of a shard."""
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, "PNG")
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for name, content in (("a.txt", b"a"), ("cats/b.png", out.getvalue()), ("c.txt", b"c")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with tarfile.open(tmp_path / "0.tar") as tar:
        info = tar.getmember("cats/b.png")
    return Member(info.name, info.offset_data, info.size, f"{tmp_path}/0.tar")


def test_a_picture_is_read_by_its_address(member: Member) -> None:
    picture = load_picture(member.address)

    assert np.array_equal(picture.pixels, PIXELS)
    assert (picture.name, file_name(member.address)) == ("b", "b.png")


def test_a_shard_may_be_on_any_file_system(member: Member) -> None:
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.put(member.shard, "/set/0.tar")

    for shard in (f"file://{member.shard}", "memory://set/0.tar"):
        address = Member(member.name, member.offset, member.length, shard).address
        assert np.array_equal(load_picture(address).pixels, PIXELS)


@given(
    name=st.text(min_size=1),
    offset=st.integers(0, 1 << 50),
    length=st.integers(0, 1 << 50),
    shard=st.sampled_from(["0.tar", "/a b/ä?.tar", "s3://x/{0}.tar", "simplecache::s3://x/0.tar"]),
)
def test_an_address_says_what_it_was_made_from(
    name: str, offset: int, length: int, shard: str
) -> None:
    member = Member(name, offset, length, shard)

    assert Member.at(member.address) == member


@pytest.mark.parametrize("address", ["a.png", "/a/b.tar", "s3://x/a.png", "tar://a.png::0.tar"])
def test_other_addresses_are_none_of_these(address: str) -> None:
    assert Member.at(address) is None


@pytest.mark.parametrize("protocol", ["", "file://"])
def test_what_cannot_be_read_is_one_clear_line(member: Member, protocol: str) -> None:
    shard = f"{protocol}{member.shard}"
    cases = [
        (Member("b.png", member.offset, member.length, f"{shard}.none"), "No such file"),
        (Member("b.png", 1 << 30, member.length, shard), "gave 0 bytes instead of"),
        (Member("b.png", member.offset, 0, shard), "0 bytes"),
        (Member("b.png", member.offset + 512, member.length, shard), "not a picture"),
        (Member("b.png", 0, 1 << 30, shard), "larger than the limit of 100 bytes"),
    ]
    for wrong, complaint in cases:
        with pytest.raises(UnreadablePicture, match=complaint) as caught:
            load_picture(wrong.address, max_bytes=100 if "limit" in complaint else 10_000)
        assert wrong.address in str(caught.value)
        assert "\n" not in str(caught.value)
