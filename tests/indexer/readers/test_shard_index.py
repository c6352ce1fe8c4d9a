"""A listed shard gives back the pairs that a reader finds in it, until it changes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captionary.files.digests import digest_texts
from captionary.indexer.readers import local_shards, read_pairs
from captionary.indexer.readers.shard_index import ShardListing, list_shard, read_pair_at
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.vision.pictures.loading import file_name, read_picture_bytes
from tests.indexer.readers.shards import write_shard

Said = tuple[bytes, tuple[str, ...]]


def read(shard: Path) -> list[Said]:
    """The pairs of a shard, as a reader yields them."""
    pairs = [item for item in read_pairs(str(shard)) if isinstance(item, ImageCaption)]
    return [(read_picture_bytes(pair.image), pair.captions) for pair in pairs]


def drawn(shard: Path, listing: ShardListing) -> list[Said]:
    """The pairs of a shard, last first, as they are drawn."""
    pairs = [read_pair_at(shard, place) for place in reversed(listing.places.tolist())]
    return [(read_picture_bytes(pair.image), pair.captions) for pair in reversed(pairs)]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
files = st.fixed_dictionaries(
    {},
    optional={
        ".jpg": st.binary(max_size=700),
        ".txt": texts.map(str.encode),
        ".json": st.one_of(
            texts.map(lambda text: json.dumps({"caption": text}).encode()), st.binary(max_size=5)
        ),
    },
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(files, max_size=6))
def test_what_is_drawn_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, found: list[dict[str, bytes]]
) -> None:
    samples = [*found, {".jpg": b"0", ".txt": b"a dog"}]
    content = {
        f"{n}/{'x' * (50 * n + 1)}{kind}": s[kind] for n, s in enumerate(samples) for kind in s
    }
    folder = tmp_path_factory.mktemp("any")
    shard = write_shard(folder / "a.tar", content)
    items = list(read_pairs(str(shard)))

    listing = list_shard(str(shard), folder / "lists")

    assert drawn(shard, listing) == read(shard)
    pairs = [item for item in items if isinstance(item, ImageCaption)]
    said = [digest_texts(file_name(pair.picture_name), *pair.captions)[:16] for pair in pairs]
    assert [f"{digest:016x}" for digest in listing.digests.tolist()] == said
    refused = [item for item in items if isinstance(item, PairFailure)]
    assert listing.left_out == len(refused)
    assert listing.first == (f"{refused[0].where}: {refused[0].reason}" if refused else "")


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write_shard(
        tmp_path / "a.tar", {"0.jpg": b"picture", "0.txt": b"a dog", "1.txt": b"a cat"}
    )


def test_a_shard_is_read_through_once_until_it_changes(shard: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    first = list_shard(str(shard), lists)
    state, size = shard.stat(), shard.stat().st_size
    shard.write_bytes(bytes(size))  # a shard of no files
    os.utime(shard, ns=(state.st_atime_ns, state.st_mtime_ns))

    kept = list_shard(str(shard), lists)
    os.utime(shard, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    anew = list_shard(str(shard), lists)

    assert np.array_equal(kept.places, first.places)
    assert np.array_equal(kept.digests, first.digests)
    assert (kept.left_out, kept.first) == (1, "a.tar:1: no 1.jpg beside .txt")
    assert len(anew.places) == 0
    assert len(list(lists.iterdir())) == 2


def test_a_damaged_list_is_made_anew(shard: Path, tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    list_shard(str(shard), lists)
    (kept,) = lists.iterdir()
    whole = kept.read_bytes()

    for damaged in (b"", b"no list", whole[:-30], whole[:200]):
        kept.write_bytes(damaged)
        assert drawn(shard, list_shard(str(shard), lists)) == [(b"picture", ("a dog",))]
    assert kept.stat().st_size == len(whole)
    assert list(lists.iterdir()) == [kept]


@pytest.mark.parametrize("size", [None, 100, 1538])
def test_what_cannot_be_read_to_its_end_is_listed_and_not_kept(
    shard: Path, tmp_path: Path, size: int | None
) -> None:
    if size is None:
        shard.unlink()
    else:
        shard.write_bytes(shard.read_bytes()[:size])

    listing = list_shard(str(shard), tmp_path / "lists")

    assert len(listing.places) == 0
    assert listing.left_out == 1 + (size == 1538)
    assert listing.first.startswith(("a.tar: cannot read ", "a.tar: it cannot be", "a.tar:0: no "))
    assert not (tmp_path / "lists").exists()


def test_where_lists_cannot_be_kept_is_told(shard: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(WrongInput, match="cannot write into"):
        list_shard(str(shard), tmp_path / "file" / "lists")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (b"", "cannot be read: the file ends before"),
        (b"\xff" * 5000, "cannot be read: "),
        (b" " * 5000, "cannot be used: it has no caption"),
    ],
)
def test_a_shard_that_is_not_as_listed_is_told_of(
    shard: Path, tmp_path: Path, changed: bytes, said: str
) -> None:
    (place,) = list_shard(str(shard), tmp_path / "lists").places.tolist()
    shard.write_bytes(changed)

    with pytest.raises(UnreadablePicture, match=said) as caught:
        read_pair_at(shard, place)

    assert str(shard) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_shards_on_this_machine_are_local(shard: Path, tmp_path: Path) -> None:
    (tmp_path / "captions.jsonl").touch()
    folder = tmp_path

    assert local_shards(str(shard)) == [str(shard)]
    assert local_shards(f"{folder}/{{a,a,b}}.tar") == [str(shard), f"{folder}/b.tar"]
    assert local_shards(str(folder)) == [str(shard)]
    assert local_shards(f"file://{shard}") == []
    assert local_shards(f"{folder}/captions.jsonl") == []
