"""The segmenter's service in this process, for the tests that send it requests."""

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from fastapi.testclient import TestClient
from PIL import Image

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.readers import read_pairs
from captionary.indexer.refresh import Refresher
from captionary.schemas.bodies import ProblemBody
from captionary.segmenter.segmenter import Segmenter
from captionary.segmenter.service import SegmenterService
from captionary.serving.api_keys import Keys
from captionary.serving.app import build_app
from captionary.serving.limits import Limits
from captionary.serving.metrics import Metrics
from captionary.serving.work_queue import WorkQueue
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.views import parse_embedding
from captionary.vision.extraction import RegionExtractor
from captionary.vision.proposers.plan import parse_proposer
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary

PICTURES = 16
CLASSES = "person: man | woman, snow, sky, apple, dog, bus"
SHORT = 0.05
"""Seconds between checks of the dictionary, where a test waits for one."""

PATIENCE = 30.0
"""Seconds that anything may take."""


class Response(Protocol):
    """A response of the test client, whichever of its two libraries there is."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def content(self) -> bytes: ...
    @property
    def text(self) -> str: ...
    def json(self) -> Any: ...


@dataclass(frozen=True)
class LoadedModels:
    """What indexes and segments, loaded once for all tests."""

    encoder: ClipEncoder
    extractor: RegionExtractor
    nouns: NounExtractor

    @classmethod
    def load(cls, name: str) -> "LoadedModels":
        torch.set_num_threads(1)
        encoder = ClipEncoder(name, device="cpu", precision="float32", templates="7")
        embedding = parse_embedding("crop+dense")
        maps = embedding.feature_maps(encoder)
        proposer = parse_proposer("superpixels+clusters").build(encoder, maps, ClipEncoder)
        extractor = RegionExtractor(proposer, embedding.embedder(encoder, maps))
        return cls(encoder, extractor, NounExtractor())

    def open_dictionary(self, store: Path) -> StoredDictionary:
        return StoredDictionary(
            EdgeEngine(store), fingerprint=self.extractor.fingerprint, dim=self.extractor.dim
        )


@dataclass(frozen=True)
class FilledDictionary:
    """A dictionary with its models. scenes: the folder that its first pictures came from."""

    models: LoadedModels
    dictionary: StoredDictionary
    scenes: Path
    store: Path

    @property
    def segmenter(self) -> Segmenter:
        """One that remembers nothing yet."""
        models = self.models
        return Segmenter(models.extractor, models.encoder, Retriever(self.dictionary))

    @cached_property
    def indexer(self) -> Indexer:
        models = self.models
        refresher = Refresher(self.dictionary, models.encoder)
        return Indexer(self.dictionary, models.extractor, models.nouns, refresher, workers=2)

    def index(self, first: int, last: int) -> None:
        pairs = read_pairs(str(self.scenes / "captions.jsonl"))
        job = self.indexer.index(islice(pairs, first, last))
        assert (job.added, job.failures) == (last - first, ())

    def picture(self, number: int) -> Path:
        """A scene's file; the dictionary holds the first ones."""
        lines = (self.scenes / "captions.jsonl").read_text(encoding="utf-8").splitlines()
        return self.scenes / str(json.loads(lines[number])["image"])


@contextmanager
def fill_dictionary(
    models: LoadedModels, scenes: Path, store: Path, *, pictures: int = PICTURES
) -> Iterator[FilledDictionary]:
    with models.open_dictionary(store) as dictionary:
        filled = FilledDictionary(models, dictionary, scenes, store)
        if pictures:
            filled.index(0, pictures)
        yield filled


@contextmanager
def running_service(
    open_segmenter: Callable[[], Segmenter],
    *,
    keys: Keys | None = None,
    limits: Limits | None = None,
    queue: WorkQueue | None = None,
    indexer: str | None = None,
    root_path: str | None = None,
    ready: bool = True,
) -> Iterator[TestClient]:
    """A client of the service; faults are raised here. ready: wait until it has opened."""
    metrics, limits = Metrics(), limits or Limits()
    service = SegmenterService(
        open_segmenter=open_segmenter,
        keys=keys or Keys(),
        limits=limits,
        metrics=metrics,
        queue=queue or WorkQueue(workers=2, waiting=30),
        version="1",
        indexer=indexer,
        retry_seconds=0.05,
    )
    app = build_app(
        [service], title="Tests", version="1", limits=limits, metrics=metrics, root_path=root_path
    )
    with TestClient(app, base_url="http://127.0.0.1") as client:
        if ready:
            wait_until(lambda: client.get("/readyz").is_success)
        yield client


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def post_picture(
    client: TestClient, picture: Path | bytes, *, path: str = "segment", **fields: Any
) -> Response:
    """POST a picture with the fields of a form."""
    name, data = (
        ("scene.png", picture)
        if isinstance(picture, bytes)
        else (
            picture.name,
            picture.read_bytes(),
        )
    )
    headers = fields.pop("headers", {})
    if path == "segment":
        fields = {"classes": CLASSES, **fields}
    answer: Response = client.post(
        f"/v1/{path}", files={"image": (name, data)}, data=fields, headers=headers
    )
    return answer


def assert_problem(answer: Response, status: int) -> str:
    """Check that a response is a problem document, and return its detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = ProblemBody.model_validate(answer.json())
    assert body.status == status
    assert body.detail
    assert "\n" not in body.detail
    return body.detail


def png(width: int = 8, height: int = 8) -> bytes:
    """A picture of one colour."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()
