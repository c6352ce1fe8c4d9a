"""The indexer's service in this process, on the planted world, for tests that ask it over HTTP."""

import base64
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.refresh import Refresher
from captionary.indexer.service import IndexerService, JobQueue
from captionary.schemas.bodies import JobBody, ProblemBody
from captionary.serving.api_keys import Keys
from captionary.serving.app import build_app
from captionary.serving.limits import Limits
from captionary.serving.metrics import Metrics
from captionary.vision.clip.protocols import TextEncoder
from captionary.vision.extraction import RegionExtractor
from captionary.vocabulary.engines.engine import Engine
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.exact_engine import ExactEngine
from tests.indexer.planted import EXTRACTOR, STORES, ColourText

PATIENCE = 60.0
"""Seconds that a job may take."""

COLOUR_TEXT, NO_KEYS, LIMITS = ColourText(), Keys(), Limits()


@dataclass(frozen=True)
class Parts:
    """What a service is put together from. `folder` holds its queue, and names its store.

    engine: of the store; None: one in memory, the same for the same folder.
    """

    folder: Path
    nouns: NounExtractor
    extractor: RegionExtractor = EXTRACTOR
    text: TextEncoder = COLOUR_TEXT
    engine: Engine | None = None
    keys: Keys = NO_KEYS
    limits: Limits = LIMITS
    allowed: tuple[str, ...] = ()
    most_pairs: int = 10_000
    most_bytes: int = 1 << 30

    def opened(self) -> StoredDictionary:
        engine = self.engine or STORES.setdefault(self.folder / "store", ExactEngine())
        return StoredDictionary(
            engine, fingerprint=self.extractor.fingerprint, dim=self.extractor.dim
        )

    def app(self, dictionary: StoredDictionary) -> FastAPI:
        refresher = Refresher(dictionary, self.text)
        indexer = Indexer(
            dictionary,
            self.extractor,
            self.nouns,
            refresher,
            workers=2,
            max_pixels=self.limits.pixels,
            max_bytes=self.limits.body,
        )
        queue = JobQueue(
            self.folder / "jobs", most_pairs=self.most_pairs, most_bytes=self.most_bytes
        )
        metrics = Metrics()
        service = IndexerService(
            queue,
            indexer=indexer,
            dictionary=dictionary,
            keys=self.keys,
            limits=self.limits,
            metrics=metrics,
            allowed=self.allowed,
        )
        return build_app([service], title="Tests", version="1", limits=self.limits, metrics=metrics)

    @property
    def uploads(self) -> list[Path]:
        """What lies in the spool."""
        return sorted((self.folder / "jobs" / "uploads").iterdir())


@dataclass(frozen=True)
class Running:
    """A service that runs; faults of it are raised here."""

    client: TestClient
    dictionary: StoredDictionary
    parts: Parts

    def send(self, *pairs: dict[str, Any]) -> str:
        """Have pairs accepted, as JSON."""
        answer = self.client.post("/v1/pairs", json={"pairs": list(pairs)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job"])

    def remove(self, path: str) -> str:
        answer = self.client.delete(f"/v1/{path}")
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job"])

    def correct(self, **wanted: Any) -> JobBody:
        """Have a correction done, as JSON; its job when it is finished."""
        answer = self.client.post("/v1/corrections", json=wanted)
        assert answer.status_code == 202, answer.text
        return self.end(answer.json()["job"])

    def corrections(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.get("/v1/corrections").json()["corrections"]
        return found

    def job(self, name: str) -> JobBody:
        answer = self.client.get(f"/v1/jobs/{name}")
        assert answer.status_code == 200, answer.text
        return JobBody.model_validate(answer.json())

    def end(self, name: str) -> JobBody:
        """The job when it is finished."""
        end = time.monotonic() + PATIENCE
        while (job := self.job(name)).state in ("queued", "running"):
            assert time.monotonic() < end, job
            time.sleep(0.01)
        return job

    def is_clean(self) -> bool:
        """Whether nothing waits, or is left; uploads go just after the end of their job."""
        end = time.monotonic() + PATIENCE
        while self.parts.uploads and time.monotonic() < end:
            time.sleep(0.01)
        waiting = [self.figure(f"captionary_queue_{kind}") for kind in ("pairs", "bytes")]
        return not self.parts.uploads and waiting == [0, 0]

    def figure(self, name: str) -> float:
        """A figure for Prometheus."""
        lines = self.client.get("/metrics").text.splitlines()
        return next(float(line.split()[-1]) for line in lines if line.startswith(name))


@contextmanager
def running(parts: Parts) -> Iterator[Running]:
    with (
        parts.opened() as dictionary,
        TestClient(parts.app(dictionary), base_url="http://127.0.0.1") as client,
    ):
        yield Running(client, dictionary, parts)


def base64_of(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def pair_of(path: Path, *captions: str, **more: Any) -> dict[str, Any]:
    """A captioned picture as JSON."""
    return {"image": base64_of(path), "captions": list(captions), **more}


def problem(answer: Any, status: int) -> str:
    """What an answer says is wrong, in one line."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = ProblemBody.model_validate(answer.json())
    assert body.status == status
    assert body.detail
    assert "\n" not in body.detail
    return body.detail
