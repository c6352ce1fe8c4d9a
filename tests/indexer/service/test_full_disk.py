"""A full disk under the indexer's service: it answers 507, waits, and loses nothing."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.service import worker
from captionary.indexer.service.spool import KEPT_FREE, Spool
from captionary.schemas.errors import DiskFull
from captionary.serving.limits import Limits
from captionary.vocabulary.engines.engine import Point
from tests.contract.exact_engine import ExactCollection, ExactEngine
from tests.disks import filled, small_disk
from tests.indexer.planted import SCENES, pairs
from tests.indexer.service import queues
from tests.indexer.service.served import PATIENCE, Parts, pair_of, problem, running


@dataclass
class FullEngine(ExactEngine):
    """A store whose disk has room for some pictures."""

    room: int = 0

    def create(self, *, dim: int, look_dim: int = 0) -> None:
        ExactEngine.create(self, dim=dim, look_dim=look_dim)
        self.collections["pictures"] = FullCollection("pictures", {}, engine=self)

    def check_writable(self) -> None:
        if self.room < 0:
            raise DiskFull("memory", free=time.monotonic_ns() % 64 << 20, needed=64 << 20)


@dataclass
class FullCollection(ExactCollection):
    engine: FullEngine | None = None

    def upsert(self, points: Sequence[Point]) -> None:
        assert self.engine is not None
        self.engine.room -= len(points)
        self.engine.check_writable()
        ExactCollection.upsert(self, points)


def test_work_waits_for_room_and_new_work_is_refused(
    tmp_path: Path,
    nouns: NounExtractor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(worker, "LONGEST_PAUSE", 0.02)
    world = [
        pair_of(Path(pair.picture_name), *pair.captions)
        for pair in pairs(tmp_path / "pictures", SCENES)
    ]
    engine = FullEngine(room=2)
    with running(Parts(tmp_path, nouns, engine=engine)) as service:
        name = service.send(*world[:2])
        assert service.end(name).state == "done"
        engine.room = 1
        waiting = service.send(*world[2:])
        end = time.monotonic() + PATIENCE
        while service.client.get("/readyz").status_code != 503 or engine.room > -1:
            assert time.monotonic() < end
            time.sleep(0.01)
        time.sleep(0.2)  # many tries
        assert "no space left on memory's disk" in service.client.get("/readyz").json()["detail"]
        refused = service.client.post("/v1/pairs", json={"pairs": world[:1]})
        assert "no space left on memory's disk; free" in problem(refused, 507)
        assert service.job(waiting).failures == []
        assert caplog.text.count("tried again") == 1
        engine.room = 100
        job = service.end(waiting)
        assert (job.state, job.done, job.failures) == ("done", 4, [])
        assert len(list(service.dictionary.pictures())) == 6
        assert service.client.get("/readyz").status_code == 200
        assert service.is_clean()


def test_pairs_are_refused_where_their_pictures_might_not_fit(
    tmp_path: Path, nouns: NounExtractor
) -> None:
    with running(Parts(tmp_path, nouns, limits=Limits(body=1 << 60))) as service:
        refused = service.client.post("/v1/pairs", json={"pairs": []})
        assert f"no space left on {tmp_path / 'jobs' / 'uploads'}'s disk" in problem(refused, 507)


def test_the_spool_leaves_room_for_the_queue(tmp_path: Path) -> None:
    spool = Spool(tmp_path, free=lambda _: KEPT_FREE + 10)
    spool.check_room(10)
    with pytest.raises(DiskFull, match=r"no space left on .*'s disk; free 16 MB of the 16 MB"):
        spool.check_room(11)


def test_the_queue_and_the_spool_live_through_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        queue, spool = queues.made(disk), Spool(disk)
        name = queue.add_pairs(queues.pairs(2))
        with filled(disk):
            with pytest.raises(
                DiskFull, match=r"no space left on .*queue.sqlite's disk; free 0 MB"
            ):
                queue.add_pairs(queues.pairs(500))
            with pytest.raises(DiskFull, match=r"no space left on .*'s disk; free 0 MB"):
                spool.write([b"x" * 100_000])
            job = queue.read_job(name, {})
            assert job is not None
            assert (job.state, job.pairs) == ("queued", 2)
        again = queue.add_pairs(queues.pairs(500))
        assert len(queues.taken(queue)) == 502
        spool.write([b"x" * 100_000])
        queue.close()
        queue = queues.made(disk)
        job = queue.read_job(again, {})
        assert job is not None
        assert job.pairs == 500
        queue.close()
