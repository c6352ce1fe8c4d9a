"""The worker: what breaks off is waited out or found out, and nothing is lost or left behind."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.service import worker
from captionary.indexer.service.queue_rows import MAX_ATTEMPTS
from captionary.schemas.arrays import Vectors
from captionary.schemas.errors import CaptionaryError, StoreUnreachable, WrongInput
from captionary.schemas.regions import Region
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.proposers.superpixels import Superpixels
from captionary.vocabulary.engines.engine import (
    CollectionName,
    Payload,
    Point,
    Where,
    vector_sizes,
)
from tests.contract.exact_engine import ExactCollection, ExactEngine
from tests.indexer.planted import SCENES, ColourRegions, dump, pairs
from tests.indexer.service.served import PATIENCE, Parts, pair_of, running


@dataclass(frozen=True)
class Moody(ColourRegions):
    """Has trouble with pictures of certain names."""

    fingerprint: str = "moody-64"
    seen: list[str] = field(default_factory=list)
    slow: float = 0.05

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        self.seen.append(picture.name)
        if picture.name == "broken":
            raise RuntimeError("the cause\nin two lines")
        vectors = ColourRegions.embed(self, picture, regions)
        if picture.name == "slow":
            time.sleep(self.slow)
        return vectors * np.float32(np.nan) if picture.name == "endless" else vectors


def with_moods(folder: Path, nouns: NounExtractor, *, slow: float = 0.05) -> tuple[Parts, Moody]:
    moody = Moody(slow=slow)
    extractor = RegionExtractor(Superpixels(working_side=96), moody)
    return Parts(folder, nouns, extractor=extractor), moody


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Two pictures of every scene, as JSON."""
    made = pairs(tmp_path_factory.mktemp("world") / "pictures", SCENES * 2)
    return [pair_of(Path(pair.picture_name), *pair.captions) for pair in made]


def test_a_picture_that_cannot_be_embedded_fails_alone(
    tmp_path: Path, nouns: NounExtractor, world: list[dict[str, Any]]
) -> None:
    parts, moody = with_moods(tmp_path, nouns)
    with running(parts) as service:
        bad = {2: "broken.png", 4: "endless.png"}
        job = service.end(
            service.send(*({**pair, "name": bad.get(n, "")} for n, pair in enumerate(world[:6])))
        )
        assert (job.state, job.pairs, job.done) == ("done", 6, 6)
        told = {failure.pair: (failure.image, failure.reason) for failure in job.failures}
        assert told.keys() == bad.keys()
        cause = "it cannot be indexed: RuntimeError: the cause in two lines"
        assert told[2] == ("broken.png", cause)
        assert told[4][0] == "endless.png"
        assert "are not finite" in told[4][1]
        assert len(list(service.dictionary.pictures())) == 4
        assert service.dictionary.pending() == {}
        assert moody.seen.count("broken") == MAX_ATTEMPTS - 1  # once with others, then alone
        assert service.is_clean()
        assert service.client.get("/readyz").status_code == 200


@dataclass
class LeavingEngine(ExactEngine):
    """A store that goes away, and comes back; meanwhile it fails in one way or another."""

    away: threading.Event = field(default_factory=threading.Event)
    failure: CaptionaryError = field(default_factory=lambda: StoreUnreachable("memory", "away"))

    def create(self, *, dim: int, look_dim: int = 0) -> None:
        names: tuple[CollectionName, ...] = get_args(CollectionName)
        self.collections = {
            name: LeavingCollection(
                name,
                vector_sizes(name, dim=dim, look_dim=look_dim),
                away=self.away,
                failure=self.failure,
            )
            for name in names
        }

    def read_meta(self) -> Payload | None:
        if self.away.is_set():
            raise self.failure
        return ExactEngine.read_meta(self)


@dataclass
class LeavingCollection(ExactCollection):
    away: threading.Event = field(default_factory=threading.Event)
    failure: CaptionaryError = field(default_factory=lambda: StoreUnreachable("memory", "away"))

    def upsert(self, points: Sequence[Point]) -> None:
        if self.away.is_set():
            raise self.failure
        ExactCollection.upsert(self, points)


@pytest.mark.parametrize(
    "failure", [StoreUnreachable("memory", "away"), WrongInput("it refuses the API key")]
)
def test_a_store_that_is_away_is_waited_for(
    failure: CaptionaryError,
    tmp_path: Path,
    nouns: NounExtractor,
    world: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(worker, "LONGEST_PAUSE", 0.02)
    engine = LeavingEngine(failure=failure)
    with running(Parts(tmp_path, nouns, engine=engine)) as service:
        assert service.client.get("/readyz").status_code == 200
        engine.away.set()
        name = service.send(*world[:3])
        end = time.monotonic() + PATIENCE
        # Longer than it takes to blame a pair.
        while caplog.text.count("tried again") < 2 * MAX_ATTEMPTS:
            assert time.monotonic() < end
            time.sleep(0.01)
        answer = service.client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["detail"] == f"nothing is indexed at present: {failure}"
        assert service.job(name).failures == []
        engine.away.clear()
        job = service.end(name)
        assert (job.state, job.done, job.failures) == ("done", 3, [])
        assert service.client.get("/readyz").status_code == 200
        engine.away.set()
        assert str(failure) in service.client.get("/readyz").json()["detail"]
        engine.away.clear()
        assert service.is_clean()


@dataclass
class Faulty(ExactEngine):
    """A store that does not take pictures of one name, for a reason of its own."""

    def create(self, *, dim: int, look_dim: int = 0) -> None:
        ExactEngine.create(self, dim=dim, look_dim=look_dim)
        self.collections["pictures"] = FaultyCollection("pictures", {})


@dataclass
class FaultyCollection(ExactCollection):
    def upsert(self, points: Sequence[Point]) -> None:
        if any(point.payload["image"] == "odd.png" for point in points):
            raise CaptionaryError("the server memory failed: it is odd")
        ExactCollection.upsert(self, points)


def test_what_the_store_never_takes_is_given_up(
    tmp_path: Path,
    nouns: NounExtractor,
    world: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(worker, "FIRST_PAUSE", 0.01)
    with running(Parts(tmp_path, nouns, engine=Faulty())) as service:
        odd = {**world[1], "name": "odd.png"}
        job = service.end(service.send(world[0], odd, world[2]))
        (failure,) = job.failures
        reason = "it cannot be indexed: the server memory failed: it is odd"
        assert (failure.pair, failure.reason) == (1, reason)
        assert len(list(service.dictionary.pictures())) == 2
        assert service.client.get("/readyz").status_code == 200
    # Once with others, then alone; each time but the last is waited after.
    assert caplog.text.count("a batch failed") == MAX_ATTEMPTS - 1
    assert caplog.text.count("tried again") == MAX_ATTEMPTS - 2


def test_lost_regions_hold_up_their_nouns_only_and_a_removal_mends_them(
    tmp_path: Path,
    nouns: NounExtractor,
    world: list[dict[str, Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of apple+lake, banana+leaf and apple+banana, the last loses a region."""
    engine = ExactEngine()
    sent = [{**pair, "name": f"{number}.png"} for number, pair in enumerate(world[:5])]
    with running(Parts(tmp_path, nouns, engine=engine)) as service:
        service.end(service.send(sent[0], sent[1], {**sent[2], "id": "harmed"}))
    regions = engine.collection("regions")
    regions.delete([regions.first(_OF_HARMED, order_by="index", limit=1)[0].id])
    with running(Parts(tmp_path, nouns, engine=engine)) as service:
        before = service.dictionary.generations()
        for pair in (sent[4], sent[3]):  # apple+leaf, leaf+lake
            assert service.end(service.send(pair)).failures == []
        after = service.dictionary.generations()
        assert {noun for noun in after if after[noun] == before[noun]} == {"apple", "banana"}
        (left,) = service.dictionary.pending()
        assert service.dictionary.pending()[left] == {"apple", "leaf"}
        assert "the noun 'apple' is not made anew: regions of picture 'harmed'" in caplog.text
        assert "remove it with 'captionary vocabulary remove --image harmed'" in caplog.text
        service.end(service.remove("images/harmed"))
        assert service.dictionary.pending() == {}
        mended = dump(service.dictionary)
    with running(Parts(tmp_path / "never", nouns, engine=ExactEngine())) as service:
        service.end(service.send(sent[0], sent[1], sent[4], sent[3]))
        assert dump(service.dictionary) == mended


_OF_HARMED = Where(any_of={"image_id": ["harmed"]})


def test_a_stop_in_the_middle_loses_nothing(
    tmp_path: Path, nouns: NounExtractor, world: list[dict[str, Any]]
) -> None:
    parts, moody = with_moods(tmp_path / "stopped", nouns, slow=0.15)
    named = [{**pair, "name": "slow"} for pair in world]
    with running(parts) as service:
        name = service.send(*named)
        end = time.monotonic() + PATIENCE
        while len(moody.seen) < 4:
            assert time.monotonic() < end
            time.sleep(0.005)
    assert len(moody.seen) < len(world)
    assert len(parts.uploads) == len(world)
    parts, _ = with_moods(tmp_path / "stopped", nouns)
    with running(parts) as service:
        job = service.end(name)
        assert (job.state, job.pairs, job.done, job.failures) == ("done", 12, 12, [])
        assert service.is_clean()
        stopped = dump(service.dictionary)
    parts, _ = with_moods(tmp_path / "whole", nouns)
    with running(parts) as service:
        service.end(service.send(*named))
        assert dump(service.dictionary) == stopped


def test_progress_shows_while_a_batch_runs(
    tmp_path: Path, nouns: NounExtractor, world: list[dict[str, Any]]
) -> None:
    parts, _ = with_moods(tmp_path, nouns)
    with running(parts) as service:
        name = service.send(*({**pair, "name": "slow"} for pair in world))
        seen = []
        while (job := service.job(name)).state in ("queued", "running"):
            seen.append(job.done)
            time.sleep(0.005)
        assert seen == sorted(seen)
        assert len({*seen} - {0, len(world)}) > 2
        assert job.done == len(world)


def test_a_small_job_passes_a_large_one(
    tmp_path: Path,
    nouns: NounExtractor,
    world: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "BATCH", 2)
    parts, _ = with_moods(tmp_path, nouns)
    with running(parts) as service:
        large = service.send(*({**pair, "name": "slow"} for pair in world))
        small = service.send(world[0])
        service.end(small)
        assert service.job(large).state == "running"
        assert service.end(large).failures == []
