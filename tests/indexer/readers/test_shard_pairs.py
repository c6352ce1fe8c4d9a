"""Pairs in shards are numbered through all of them, in flat arrays."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from captionary.indexer.readers.shard_pairs import ShardPairs, index_shards
from captionary.vision.pictures.loading import read_picture_bytes
from tests.indexer.readers.shards import write_shard

SAMPLES = 300


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    """Three shards that hold pairs 0 to 299 in turn, and one that is missing."""
    paths = [str(tmp_path / f"{number}.tar") for number in range(4)]
    for at, path in enumerate(paths[:3]):
        numbers = range(at * 100, at * 100 + 100)
        files = {f"{n}.jpg": b"picture %d" % n for n in numbers}
        files |= {f"{n}.txt": b"dog\nnumber %d" % n for n in numbers}
        write_shard(Path(path), dict(sorted(files.items(), key=lambda item: item[0][:-4])))
    return paths


def contents(pairs: ShardPairs) -> list[tuple[bytes, tuple[str, ...]]]:
    read = [pairs[index] for index in range(len(pairs))]
    return [(read_picture_bytes(pair.image), pair.captions) for pair in read]


def test_pairs_are_numbered_through_all_shards(shards: list[str], tmp_path: Path) -> None:
    done: list[int] = []
    index = index_shards(shards, folder=tmp_path / "lists", report=done.append)
    pairs, chosen = index.pairs, np.array([1, 100, 299])

    everything = contents(pairs)
    assert len(index.digests) == len(set(index.digests.tolist())) == SAMPLES
    assert set(everything) == {(b"picture %d" % n, ("dog", f"number {n}")) for n in range(SAMPLES)}
    assert contents(pairs.select(chosen)) == [everything[n] for n in chosen]
    others = [item for n, item in enumerate(everything) if n not in chosen]
    assert contents(pairs.without(chosen)) == others
    assert index.left_out == 1
    assert index.first_failure.startswith("3.tar: cannot read")
    assert done == [1, 2, 3, 4]


def test_a_pair_takes_few_bytes_here_and_in_a_worker(shards: list[str], tmp_path: Path) -> None:
    pairs = index_shards(shards, folder=tmp_path / "lists").pairs

    assert len(pickle.dumps(pairs)) < 24 * SAMPLES + 1500
