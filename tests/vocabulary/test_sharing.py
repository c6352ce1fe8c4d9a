"""The shared file: what is read is what was written, and what is damaged is refused beforehand."""

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from captionary.schemas.corrections import Correction
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import WrongInput
from captionary.schemas.pointing import FIRST_POINTED, WHOLE_PICTURE, Pointing
from captionary.schemas.regions import PointedTable, RegionTable
from captionary.schemas.vectors import half, unit
from captionary.vocabulary.sharing import (
    FORMAT,
    MANIFEST,
    SharedFile,
    SharedPicture,
    write_share,
)

DIM = 8


def regions(count: int, seed: int, look_dim: int) -> RegionTable:
    chance = np.random.default_rng(seed)
    looks = half(unit(chance.normal(size=(count, look_dim)).astype(np.float32)))
    return RegionTable(
        unit(chance.normal(size=(count, DIM)).astype(np.float32)),
        chance.integers(0, 99, (count, 4)).astype(np.int32),
        chance.random(count).astype(np.float32),
        looks if look_dim else None,
    )


class Listed:
    """A share of listed pictures."""

    def __init__(self, pictures: list[SharedPicture], look_dim: int = 0) -> None:
        self.address = "listed"
        self.fingerprint = "planted"
        self.models = {"encoder": "mini"}
        self.dims = (DIM, look_dim)
        self.corrections = (Correction(3, "rename", "dog", "hound"),)
        self.total = len(pictures)
        self._pictures = pictures

    def digests(self, image_ids: object) -> dict[str, str]:
        raise NotImplementedError

    def items(self) -> Iterator[SharedPicture]:
        return iter(self._pictures)


def made(number: int, look_dim: int = 0, *, count: int = 3, pointed: int = 0) -> SharedPicture:
    indices = tuple(FIRST_POINTED + 7 * at for at in range(pointed))
    picture = Picture(
        id=f"p{number:03d}",
        image=f"{number}.jpg",
        sha256=f"{number:064x}",
        size_hw=(48, 64),
        captions=("a dog",) * (number % 2),
        nouns=(("dog", "ünï"),) * (number % 2),
        regions=count,
        source="odd" if number % 2 else "",
        tags=("t",) * (number % 3),
        thumbnail=bytes([number % 256]) * (number % 4),
        pointings=(
            Pointing(WHOLE_PICTURE, "cat", refused=True),
            *(Pointing(index, "dog") for index in indices),
        ),
    )
    more = PointedTable(indices, regions(pointed, number + 1, look_dim)) if pointed else None
    return SharedPicture(picture, regions(count, number, look_dim), more)


def told(item: SharedPicture) -> tuple[object, ...]:
    """All of it, bit for bit."""
    tables = [item.table] + ([item.pointed.table] if item.pointed else [])
    return (
        item.picture,
        item.pointed and item.pointed.indices,
        *(
            (values.dtype, values.shape, values.tobytes())
            for table in tables
            for values in (table.vectors, table.boxes_xyxy, table.areas, table.looks)
        ),
    )


@settings(max_examples=15)
@given(
    counts=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), max_size=70),
    look_dim=st.sampled_from([0, 5]),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, counts: list[tuple[int, int]], look_dim: int
) -> None:
    items = [
        made(number, look_dim, count=count, pointed=pointed)
        for number, (count, pointed) in enumerate(counts)
    ]
    path = tmp_path_factory.mktemp("share") / "a.parquet"
    done = write_share(Listed(items, look_dim), path)
    assert (done.pictures, done.regions) == (len(items), sum(map(sum, counts)))
    file = SharedFile(path)
    assert list(map(told, file.items())) == list(map(told, items))
    assert (file.fingerprint, file.models, file.dims) == (
        "planted",
        {"encoder": "mini"},
        (8, look_dim),
    )
    assert file.corrections == Listed(items).corrections
    assert file.digests({"p001", "nobody"}) == {
        item.picture.id: item.picture.sha256 for item in items[1:2]
    }


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.parquet"
    write_share(
        Listed([made(number, pointed=1) for number in range(70)]),
        path,
        license="CC0",
        notes={"odd": "drawn by hand"},
    )
    return path


def test_the_manifest_says_what_is_in_it(path: Path) -> None:
    manifest = json.loads(parquet.ParquetFile(path).metadata.metadata[MANIFEST])
    assert manifest["sources"] == [
        {"name": "", "pictures": 35, "note": ""},
        {"name": "odd", "pictures": 35, "note": "drawn by hand"},
    ]
    expected = {"format": FORMAT, "pictures": 70, "regions": 280, "license": "CC0", "dim": DIM}
    assert expected.items() <= manifest.items()
    assert manifest["corrections"] == [asdict(Correction(3, "rename", "dog", "hound"))]
    assert parquet.ParquetFile(path).num_row_groups == 3


def test_others_read_it_as_plain_parquet(path: Path) -> None:
    row = parquet.read_table(path).slice(1, 1).to_pylist()[0]
    assert row["nouns"] == [["dog", "ünï"]]
    assert [len(row[name]) for name in ("indices", "boxes_xyxy", "areas", "vectors")] == [4] * 4
    assert np.array_equal(np.array(row["vectors"][:3], np.float32), made(1).table.vectors)


def test_thumbnails_may_stay_at_home(path: Path) -> None:
    write_share(Listed([made(3)]), path, thumbnails=False)
    (item,) = SharedFile(path).items()
    assert item.picture == replace(made(3).picture, thumbnail=b"")


def test_any_damage_is_told_before_anything_is_read(path: Path) -> None:
    whole = path.read_bytes()
    chance = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in (0, 3, len(whole) // 2, len(whole) - 1)]
    for place in chance.integers(4, len(whole), 60).tolist():
        damaged.append(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            found = list(map(told, SharedFile(path).items()))
        except WrongInput:
            refused += 1
        else:  # a name in the footer that nothing is read by
            assert found == list(map(told, (made(number, pointed=1) for number in range(70))))
    assert refused >= len(damaged) - 12


def test_what_is_no_share_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"cannot read .*nowhere: .*No such file"):
        SharedFile(tmp_path / "nowhere")
    (tmp_path / "text").write_text("a dog")
    with pytest.raises(WrongInput, match="is no exported dictionary, or was cut short"):
        SharedFile(tmp_path / "text")
    parquet.write_table(pa.table({"image": ["a.jpg"]}), tmp_path / "table")
    with pytest.raises(WrongInput, match="read by 'captionary index'"):
        SharedFile(tmp_path / "table")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("captionary.vocabulary.sharing.FORMAT", FORMAT + 1)
        write_share(Listed([made(1)]), path)
    with pytest.raises(WrongInput, match="install a later one"):
        SharedFile(path)


def test_what_cannot_be_written_leaves_nothing(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(WrongInput, match="no source 'even'; its sources are 'odd'"):
        write_share(Listed([made(1)]), path, notes={"even": "x"})
    assert path.read_bytes() == before
    with pytest.raises(WrongInput, match="cannot write"):
        write_share(Listed([made(1)]), tmp_path / "nowhere" / "a.parquet")
    assert list(tmp_path.iterdir()) == [path]
