"""Pairs in shards are flat arrays, and listed by all processes of a run together."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from captionary.learning.data.shard_pairs import ShardPairs, pairs_in
from captionary.learning.processes import joined
from captionary.vision.pictures.loading import picture_bytes
from tests.indexer.readers.shards import write_shard
from tests.learning.drawn import CPU

ROOT = Path(__file__).parents[3]
SAMPLES = 300


@pytest.fixture
def shards(tmp_path: Path) -> list[str]:
    """Three shards that hold pairs 0 to 299 in turn, and one that is missing."""
    paths = [str(tmp_path / f"{number}.tar") for number in range(4)]
    for at, path in enumerate(paths[:3]):
        numbers = range(at * 100, at * 100 + 100)
        files = {f"{n}.jpg": b"picture %d" % n for n in numbers}
        files |= {f"{n}.txt": b"dog \n number  %d\n dog" % n for n in numbers}
        write_shard(Path(path), dict(sorted(files.items(), key=lambda item: item[0][:-4])))
    return paths


def told(pairs: ShardPairs) -> list[tuple[bytes, tuple[str, ...]]]:
    drawn = [pairs[index] for index in range(len(pairs))]
    return [(picture_bytes(address), captions) for address, captions in drawn]


def test_pairs_are_numbered_through_all_shards(
    shards: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs, digests = pairs_in(shards, folder=tmp_path / "lists", processes=CPU)
    apart = np.array([1, 100, 299])

    everything = told(pairs)
    assert len(digests) == len(set(digests.tolist())) == SAMPLES
    assert set(everything) == {(b"picture %d" % n, ("dog", f"number {n}")) for n in range(SAMPLES)}
    assert told(pairs.only(apart)) == [everything[n] for n in apart]
    others = [item for n, item in enumerate(everything) if n not in apart]
    assert told(pairs.without(apart)) == others
    assert "1 pairs left out, first: 3.tar: cannot read" in caplog.text


def test_a_pair_takes_few_bytes_here_and_in_a_worker(shards: list[str], tmp_path: Path) -> None:
    pairs, _ = pairs_in(shards, folder=tmp_path / "lists", processes=CPU)

    assert len(pickle.dumps(pairs)) < 24 * SAMPLES + 1500


def listed(shards: list[str], folder: Path) -> None:
    with joined(torch.device("cpu")) as processes:
        pairs, digests = pairs_in(shards, folder=folder / "lists", processes=processes)
        np.savez(folder / f"{processes.rank}.npz", places=pairs.places, digests=digests)


def test_two_processes_list_what_one_lists(shards: list[str], tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"""
from pathlib import Path
from tests.learning.data.test_shard_pairs import listed
listed({shards!r}, Path({str(tmp_path)!r}))
""")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "--standalone", str(script)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]

    pairs, digests = pairs_in(shards, folder=tmp_path / "own", processes=CPU)
    for rank in range(2):
        with np.load(tmp_path / f"{rank}.npz") as saved:
            assert np.array_equal(saved["places"], pairs.places)
            assert np.array_equal(saved["digests"], digests)
    assert len(list((tmp_path / "lists").iterdir())) == 3
