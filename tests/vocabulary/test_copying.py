"""A dictionary moved from one engine to another is the same; a copy cut short goes on."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.vocabulary.copying import CopyResult, copy_store
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.engine import NAMES, CollectionName, Engine, Payload, Point
from captionary.vocabulary.engines.server import ServerEngine
from captionary.vocabulary.engines.server_settings import ServerSettings
from captionary.vocabulary.records.point_ids import picture_point_id
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.engines import RULE_ENGINES, Open, opener
from tests.contract.exact_engine import ExactEngine
from tests.stand_in.running import running
from tests.vocabulary.made_up_records import (
    DIM,
    FINGERPRINT,
    LOOK_DIM,
    pair,
    prototypes,
    rounded,
    tag,
    tagged,
)

ROOT = Path(__file__).parents[2]


def quiet(_name: CollectionName, _done: int, _total: int) -> None:
    """No report."""


def contents(engine: Engine) -> list[object]:
    """Everything that a store holds, comparable."""
    own = ("format", "made")
    meta = {key: value for key, value in (engine.read_meta() or {}).items() if key not in own}
    points = [
        (
            point.id,
            rounded(point.payload),
            *(None if v is None else v.tobytes() for v in (point.vector, point.look_vector)),
        )
        for name in NAMES
        for point in engine.collection(name).scroll(with_vectors=True)
    ]
    return [meta, *points]


def fill(engine: Engine, pictures: int = 120, *, look_dim: int = LOOK_DIM) -> Engine:
    """A dictionary of so many pictures, ten regions each."""
    made = StoredDictionary(
        engine, fingerprint=FINGERPRINT, dim=DIM, look_dim=look_dim, models={"encoder": "mini"}
    )
    made.add([pair(n, regions=10, source="web", look_dim=look_dim) for n in range(pictures)])
    made.tag("dog", [tag("dog", 2, 0, 0.1), tag("dog", 7, 1, 1 / 3)])
    made.replace_prototypes("dog", prototypes("dog", 3, look_dim=look_dim))
    made.draw_sample(8)
    return engine


def without_look_dim(engine: Engine) -> Engine:
    """As stores were made before there were looks."""
    meta = engine.read_meta() or {}
    del meta["look_dim"]
    engine.write_meta(meta)
    return engine


@pytest.fixture
def source() -> Engine:
    return fill(ExactEngine())


@pytest.fixture(params=RULE_ENGINES)
def open_target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    with opener(request.param, tmp_path) as opening:
        yield opening


def test_a_copy_is_the_same(source: Engine, open_target: Open) -> None:
    told: list[tuple[str, int, int]] = []
    with closing(open_target()) as target:
        result = copy_store(source, target, report=lambda *state: told.append(state))
        assert result == CopyResult(points=120 + 1200 + 3, written=120 + 1200 + 3, deleted=0)
        assert contents(target) == contents(source)
        # A copy goes its own way: readers must not take it for the other, or for an older one.
        assert (target.read_meta() or {})["made"] != (source.read_meta() or {})["made"]
    assert told[-1] == ("prototypes", 3, 3)
    assert ("regions", 500, 1200) in told
    with StoredDictionary(open_target(), fingerprint=FINGERPRINT, dim=DIM) as copy:
        assert (copy.revision, len(copy.sample())) == (2, 8)
        assert copy.models == {"encoder": "mini"}
        assert tagged(copy, "dog")[0].similarity == pytest.approx(0.1)


def test_a_copy_that_was_cut_short_is_no_dictionary_and_goes_on(
    source: Engine, open_target: Open
) -> None:
    class Cut(Exception):
        """Stands for a kill."""

    def cut(name: CollectionName, done: int, _total: int) -> None:
        if (name, done) == ("regions", 1000):
            raise Cut

    with closing(open_target()) as target, pytest.raises(Cut):
        copy_store(source, target, report=cut)
    with pytest.raises(WrongInput, match=r"unfinished copy; run 'captionary vocabulary copy mem"):
        StoredDictionary(open_target(), fingerprint=None, dim=None)
    with pytest.raises(WrongInput, match="unfinished copy"):
        StoredDictionary(open_target(), fingerprint=FINGERPRINT, dim=DIM)
    with closing(open_target()) as target:
        # As if the source had changed since: one point more, one less, one otherwise.
        regions = target.collection("regions")
        first, second, *_ = regions.scroll(with_vectors=True)
        regions.delete([first.id])
        regions.set_payload({second.id: {"area": 0.9}})
        target.collection("pictures").upsert([Point(picture_point_id("stray"), {"noun": []})])
        result = copy_store(source, target, report=quiet)
        assert result == CopyResult(points=1323, written=200 + 3 + 2, deleted=1)
        assert contents(target) == contents(source)


@pytest.mark.parametrize("look_dim", [0, LOOK_DIM])
def test_there_and_back_is_the_same(tmp_path: Path, look_dim: int) -> None:
    with (
        running(tmp_path / "server") as stand_in,
        closing(fill(EdgeEngine(tmp_path / "first"), 20, look_dim=look_dim)) as first,
        closing(ServerEngine(stand_in.url, ServerSettings())) as server,
        closing(EdgeEngine(tmp_path / "second")) as second,
    ):
        copy_store(first, server, report=quiet)
        copy_store(server, second, report=quiet)
        assert contents(server) == contents(first)
        assert contents(second) == contents(first)


def test_a_target_that_holds_a_dictionary_is_left_alone(source: Engine, open_target: Open) -> None:
    with StoredDictionary(open_target(), fingerprint="other", dim=8) as other:
        other.add([pair(99, regions=0)])
        before = contents(other.engine)
        with pytest.raises(WrongInput, match="copy to another place"):
            copy_store(source, other.engine, report=quiet)
        assert contents(other.engine) == before


@pytest.mark.parametrize(
    ("copied", "look_dim"), [("elsewhere", LOOK_DIM), ("memory", 0), ("memory", LOOK_DIM - 1)]
)
def test_a_copy_of_another_dictionary_is_not_gone_on_with(
    source: Engine, copied: str, look_dim: int
) -> None:
    target = ExactEngine()
    target.create(dim=DIM, look_dim=look_dim)
    kind = {"fingerprint": FINGERPRINT, "dim": DIM, "look_dim": look_dim}
    target.write_meta({"copying": copied, **kind})
    with pytest.raises(WrongInput, match=f"is an unfinished copy of {copied}"):
        copy_store(source, target, report=quiet)


def test_a_copy_whose_looks_differ_is_mended(source: Engine) -> None:
    target = ExactEngine()
    copy_store(source, target, report=quiet)
    target.write_meta({**(target.read_meta() or {}), "copying": "memory"})
    first = next(source.collection("regions").scroll(with_vectors=True))
    assert first.look_vector is not None
    target.collection("regions").upsert([replace(first, look_vector=first.look_vector[::-1])])
    assert copy_store(source, target, report=quiet).written == 1
    assert contents(target) == contents(source)


def test_an_old_store_is_copied() -> None:
    old, new = without_look_dim(fill(ExactEngine(), 8, look_dim=0)), ExactEngine()
    copy_store(old, new, report=quiet)
    assert contents(new) == contents(old)


@pytest.mark.parametrize("meta", [None, {"copying": "elsewhere", "dim": DIM}])
def test_a_source_that_is_no_dictionary(meta: Payload | None) -> None:
    empty, target = ExactEngine(meta=meta), ExactEngine()
    with pytest.raises(WrongInput, match="there is no whole dictionary at memory"):
        copy_store(empty, target, report=quiet)
    assert target.meta is None


def test_a_source_that_changes_meanwhile_is_told(source: Engine) -> None:
    def change(name: CollectionName, done: int, _total: int) -> None:
        if name == "prototypes" and done:
            writer = StoredDictionary(source, fingerprint=FINGERPRINT, dim=DIM)
            writer.replace_prototypes("cat", prototypes("cat", 1, look_dim=LOOK_DIM))

    target = ExactEngine()
    with pytest.raises(CaptionaryError, match="changed while it was copied"):
        copy_store(source, target, report=change)
    assert copy_store(source, target, report=quiet).written == 1
    assert contents(target) == contents(source)


def test_pictures_that_come_meanwhile_are_told(source: Engine) -> None:
    def add(name: CollectionName, done: int, _total: int) -> None:
        if name == "prototypes" and done:
            StoredDictionary(source, fingerprint=FINGERPRINT, dim=DIM).add([pair(500, regions=0)])

    with pytest.raises(CaptionaryError, match="of the pictures of memory 121 points became 120"):
        copy_store(source, ExactEngine(), report=add)


COPIER = """
import sys
from captionary.vocabulary.copying import copy_store
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.server import ServerEngine
from captionary.vocabulary.engines.server_settings import ServerSettings
source, target = EdgeEngine(sys.argv[1]), ServerEngine(sys.argv[2], ServerSettings())
copy_store(source, target, report=lambda *state: print(*state, flush=True))
"""


def test_a_copy_that_is_killed_goes_on(tmp_path: Path) -> None:
    fill(EdgeEngine(tmp_path / "store"), 150).close()
    chance = random.Random(5)
    with running(tmp_path / "server") as stand_in:
        command = [sys.executable, "-c", COPIER, str(tmp_path / "store"), stand_in.url]
        for lines in (4,):
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as copier:
                assert copier.stdout is not None
                for _ in range(lines):
                    copier.stdout.readline()
                time.sleep(chance.uniform(0, 0.05))
                os.kill(copier.pid, signal.SIGKILL)
        with (
            closing(EdgeEngine(tmp_path / "store")) as source,
            closing(ServerEngine(stand_in.url, ServerSettings())) as target,
        ):
            result = copy_store(source, target, report=quiet)
            assert 0 < result.written < result.points == 150 + 1500 + 3
            assert contents(target) == contents(source)
