"""`captionary index` is killed again and again; run to the end, it leaves what one run leaves."""

import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.indexer.planted import Dump, dump
from tests.processes import Forked, captionary_process
from tests.scenes import draw

ROOT = Path(__file__).parents[2]
PATIENCE = 120
"""Seconds to wait for a process to come as far as wanted."""


@dataclass(frozen=True)
class Command:
    """`captionary index` of some pictures, ready to be started on a store."""

    source: Path
    encoder: str
    proposer: str

    def start(self, store: Path) -> Forked:
        for name in ("output.txt", "errors.txt"):
            (store.parent / name).unlink(missing_ok=True)
        options = ["--store", store, "--encoder", self.encoder, "--proposer", self.proposer]
        return captionary_process(["index", self.source, *options], store.parent)

    def run(self, store: Path) -> str:
        process = self.start(store)
        assert process.wait(600) == 0, process.errors.read_text()
        return process.output.read_text()

    def stop(self, store: Path, moment: Callable[[Path], bool], how: signal.Signals) -> str | None:
        """Start it and send a signal at a moment; what it said, None where it was done before."""
        process = self.start(store)
        try:
            end = time.monotonic() + PATIENCE
            while not moment(store) and process.poll() is None:
                assert time.monotonic() < end, "the moment did not come"
                time.sleep(0.002)
            done = process.poll() is not None
            process.send_signal(how)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
        errors = process.errors.read_text()
        assert code in (0, -how, 130), errors
        return None if done else errors


def revision(store: Path) -> int:
    """What the store says; -1 before it is made."""
    meta = store / "captionary.json"
    return int(json.loads(meta.read_text())["revision"]) if meta.exists() else -1


def after_opening(seconds: float, runs_before: int) -> Callable[[Path], bool]:
    """So many seconds after the store was opened, for the first time or again."""
    opened: list[float] = []

    def moment(store: Path) -> bool:
        lock = store / "captionary.lock"
        if not opened and lock.exists() and (runs_before == 0 or _is_held(lock)):
            opened.append(time.monotonic())
        return bool(opened) and time.monotonic() - opened[0] >= seconds

    return moment


def _is_held(lock: Path) -> bool:
    """Whether a process has the file open, as far as /proc tells."""
    inode = f":{lock.stat().st_ino} "
    return inode in Path("/proc/locks").read_text()


def at_noun(number: int) -> Callable[[Path], bool]:
    """When the prototypes of so many nouns were made; each raises the revision by two."""
    return lambda store: revision(store) >= 2 * number


def contents(store: Path) -> tuple[Dump, list[str]]:
    with StoredDictionary(EdgeEngine(store), fingerprint=None, dim=None) as dictionary:
        assert dictionary.pending() == {}
        return dump(dictionary), dictionary.sample()


def in_halves(scenes: Path, folder: Path) -> Path:
    """A SOURCE of scenes, each of which stands in it twice."""
    lines = (scenes / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    said = [
        json.dumps({"image": str(scenes / row["image"]), "captions": text})
        for row in map(json.loads, lines)
        for text in (row["captions"][:2], row["captions"][2:])
    ]
    source = folder / "pairs.jsonl"
    # The second half of each picture's captions comes after all pictures.
    source.write_text("\n".join(said[::2] + said[1::2]) + "\n", encoding="utf-8")
    return source


def check_kills(command: Command, folder: Path, moments: list[Callable[[Path], bool]]) -> None:
    command.run(folder / "clean")
    killed = 0
    for moment in moments:
        killed += command.stop(folder / "killed", moment, signal.SIGKILL) is not None
    assert killed >= 0.7 * len(moments)  # a run may end before its moment comes
    said = command.run(folder / "killed")
    assert " 0 refused" in said
    assert contents(folder / "killed") == contents(folder / "clean")


@pytest.mark.slow
def test_a_run_killed_twice_ends_as_one_clean_run(tmp_path: Path, scenes: Path, mini: str) -> None:
    """Once between pictures, once between nouns; one region a picture, to be quick."""
    command = Command(in_halves(scenes, tmp_path), mini, "whole")
    check_kills(command, tmp_path, [at_noun(0), at_noun(3)])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_killed_at_random_ends_as_one_clean_run(tmp_path: Path, mini: str) -> None:
    chance = random.Random(11)
    scenes = draw(tmp_path / "scenes", 80)
    command = Command(in_halves(scenes, tmp_path), mini, "superpixels")
    moments = [after_opening(chance.uniform(0.5, 7), number) for number in range(7)]
    moments += [at_noun(chance.randint(place, place + 8)) for place in (1, 10, 20)]
    check_kills(command, tmp_path, moments)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_is_answered_in_one_line(tmp_path: Path, scenes: Path, mini: str) -> None:
    command = Command(scenes / "captions.jsonl", mini, "superpixels")
    complaints = command.stop(tmp_path / "store", at_noun(0), signal.SIGINT)
    assert complaints is not None
    assert complaints.count("\n") == 1
    assert complaints.startswith("interrupted")
