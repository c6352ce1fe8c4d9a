"""The indexer's service over HTTP; once with the bundled CLIP, else on the planted world."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import torch

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.service.jobs import QueuedPair
from captionary.indexer.service.worker import Worker
from captionary.schemas.dictionary import Picture
from captionary.serving.api_keys import Keys
from captionary.serving.limits import Limits
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.views import parse_embedding
from captionary.vision.extraction import RegionExtractor
from captionary.vision.proposers.plan import parse_proposer
from tests.indexer.planted import SCENES, dump, pairs
from tests.indexer.service.served import PATIENCE, Parts, Running, pair_of, problem, running

READ, WRITE = "a-key-that-may-read", "a-key-that-may-write"

Row = tuple[Path, str]


@pytest.fixture
def parts(tmp_path: Path, nouns: NounExtractor) -> Parts:
    return Parts(tmp_path, nouns)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Pictures of the planted world, with their captions."""
    made = pairs(tmp_path_factory.mktemp("world") / "pictures", SCENES)
    return [(Path(pair.picture_name), pair.captions[0]) for pair in made]


@pytest.fixture
def with_mini(parts: Parts, mini: str) -> Iterator[Parts]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    encoder = ClipEncoder(mini, device="cpu")
    embedding = parse_embedding("crop")
    maps = embedding.feature_maps(encoder)
    extractor = RegionExtractor(
        parse_proposer("superpixels").build(encoder, maps, ClipEncoder),
        embedding.embedder(encoder, maps),
    )
    yield replace(parts, extractor=extractor, text=encoder)
    torch.set_num_threads(before)


def test_an_uploaded_caption_is_used_when_its_job_is_done(
    with_mini: Parts, scenes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "captionary")
    path = scenes / "images" / "00000.png"
    with running(with_mini) as service:
        assert service.dictionary.prototypes(["wombat"]) == []
        start = time.perf_counter()
        answer = service.client.post(
            "/v1/pairs",
            data={
                "caption": ["a wombat on the grass", "this is a big wombat"],
                "source": "zoo",
                "tag": ["x", "y"],
                "id": "",
            },
            files={"image": ("C:\\me\\wombat.png", path.read_bytes(), "image/png")},
        )
        assert answer.status_code == 202
        job = service.end(answer.json()["job"])
        took = time.perf_counter() - start
        assert (job.state, job.pairs, job.done, job.failures) == ("done", 1, 1, [])
        (prototype,) = service.dictionary.prototypes(["wombat"])
        assert prototype.exemplars[0].caption in ("a wombat on the grass", "this is a big wombat")
        (picture,) = service.dictionary.pictures()
        assert (picture.image, picture.source, picture.tags) == ("wombat.png", "zoo", ("x", "y"))
        assert picture.captions == ("a wombat on the grass", "this is a big wombat")
        assert str(with_mini.folder) not in repr(picture)
        assert service.is_clean()
        assert 0 < service.figure("captionary_caption_to_use_seconds") <= took
        assert service.figure('captionary_pairs_indexed{outcome="done"}') == 1
        # Counted just after the end of the job.
        while service.figure('captionary_stage_seconds_count{stage="index"}') != 1:
            assert time.perf_counter() - start < PATIENCE
    (line,) = [record for record in caplog.records if record.message == "job finished"]
    assert vars(line)["job"] == job.job


def test_the_same_again_changes_nothing(parts: Parts, rows: list[Row]) -> None:
    sent = [pair_of(path, said, source="s") for path, said in rows[:4]]
    with running(parts) as service:
        service.end(service.send(*sent))
        before = dump(service.dictionary)
        first, second = service.send(*sent), service.send(*reversed(sent))
        assert service.end(first).failures == service.end(second).failures == []
        assert dump(service.dictionary) == before
        names = {picture.image for picture in service.dictionary.pictures()}
        assert names == {f"pair {number}" for number in range(4)}


@pytest.mark.parametrize(("what", "kept"), [("images/b/0", 1), ("sources/holiday/b", 0)])
def test_what_is_removed_was_never_there(
    parts: Parts, rows: list[Row], what: str, kept: int
) -> None:
    first, second = (
        [
            pair_of(path, said, source=f"holiday/{source}", id=f"{source}/{number}")
            for number, (path, said) in enumerate(own)
        ]
        for source, own in (("a", rows[:2]), ("b", rows[2:4]))
    )
    with running(replace(parts, folder=parts.folder / "never")) as service:
        service.end(service.send(*first, *second[2 - kept :]))
        never = points_of(service)
    with running(replace(parts, folder=parts.folder / "removed")) as service:
        # All is accepted before any of it is done.
        service.send(*first, *second)
        removal = service.remove(what)
        again = service.send(*first)
        job = service.end(removal)
        assert (job.state, job.pairs, job.done, job.failures) == ("done", 0, 0, [])
        assert service.end(again).failures == []
        assert points_of(service) == never
        assert "the dictionary has no" in problem(service.client.delete(f"/v1/{what}"), 404)


def points_of(service: Running) -> Any:
    """What the dictionary holds, but for the number that a pair had in its request."""
    points = dump(service.dictionary)
    for payload, _ in points["pictures"].values():
        payload.pop("image")
    return points


def test_removals_are_barriers(parts: Parts, rows: list[Row]) -> None:
    """A picture that comes again after its removal is there; what came before is not."""
    path, said = rows[0]
    with running(parts) as service:
        service.send(pair_of(path, "a wombat", id="it"))
        service.remove("images/it")
        last = service.send(pair_of(path, said, id="it"))
        service.end(last)
        picture = service.dictionary.picture("it")
        assert picture is not None
        assert picture.captions == (said,)
        assert service.dictionary.prototypes(["wombat"]) == []


def test_what_is_not_there_cannot_be_removed(parts: Parts) -> None:
    with running(parts) as service:
        for path in ("images/x", "sources/x"):
            answer = service.client.delete(f"/v1/{path}")
            assert "the dictionary has no" in problem(answer, 404)
        for path in ("images/", "sources/", f"images/{'x' * 513}"):
            problem(service.client.delete(f"/v1/{path}"), 422)
        assert "there is no job 'x'" in problem(service.client.get("/v1/jobs/x"), 404)


def test_failures_are_told_by_pair(parts: Parts, rows: list[Row]) -> None:
    (first, said), (second, _) = rows[:2]
    torn = parts.folder / "torn.png"
    torn.write_bytes(second.read_bytes()[:900])
    with running(parts) as service:
        job = service.end(
            service.send(
                pair_of(first, said, id="mine"),
                pair_of(torn, said, name="torn.png"),
                pair_of(second, said, id="mine"),
                pair_of(first, "it is and was so"),
            )
        )
        assert (job.state, job.pairs, job.done) == ("done", 4, 4)
        told = [(failure.pair, failure.image) for failure in job.failures]
        assert told == [(1, "torn.png"), (2, "pair 2"), (3, "pair 3")]
        reasons = [failure.reason for failure in job.failures]
        assert reasons[0].startswith("torn.png is truncated or damaged")
        assert reasons[1].startswith("the id 'mine' belongs to another picture")
        assert reasons[2] == "its captions name nothing that can be seen"
        all_failed = service.end(service.send(pair_of(first, "it is and was so")))
        assert all_failed.state == "failed"


def test_a_full_queue_says_when_to_come_again(
    parts: Parts, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, said = rows[0]
    go_on, index = threading.Event(), Worker._index

    def held(self: Worker, batch: Sequence[QueuedPair]) -> None:
        assert go_on.wait(PATIENCE)
        index(self, batch)

    monkeypatch.setattr(Worker, "_index", held)
    with running(replace(parts, most_pairs=40)) as service:
        large = service.send(*(pair_of(path, said) for _ in range(40)))
        answer = service.client.post("/v1/pairs", json={"pairs": [pair_of(path, said)]})
        assert "are waiting, as much as may be" in problem(answer, 429)
        assert answer.headers["retry-after"] == "30"
        assert len(service.parts.uploads) <= 40
        go_on.set()
        service.end(large)
        service.end(service.send(pair_of(path, said)))
    go_on.clear()
    with running(replace(parts, folder=parts.folder / "2", most_bytes=2000)) as service:
        pairs = [pair_of(path, said) for _ in range(2)]
        first = service.send(*pairs)
        answer = service.client.post("/v1/pairs", json={"pairs": pairs})
        assert problem(answer, 429)
        go_on.set()
        service.end(first)
        assert service.is_clean()


def test_keys_are_asked_for(parts: Parts, rows: list[Row]) -> None:
    pairs = {"pairs": [pair_of(*rows[0], id="a/b")]}
    with running(replace(parts, keys=Keys((READ,), (WRITE,)))) as service:
        ask = service.client.request
        for method, path in (
            ("POST", "/v1/pairs"),
            ("DELETE", "/v1/images/a/b"),
            ("DELETE", "/v1/sources/x"),
        ):
            body = pairs if method == "POST" else None
            problem(ask(method, path, json=body), 401)
            problem(ask(method, path, json=body, headers={"X-API-Key": READ}), 403)
        problem(ask("GET", "/v1/jobs/x"), 401)
        problem(ask("GET", "/v1/jobs/x", headers={"X-API-Key": "a key of somebody else"}), 403)
        assert service.parts.uploads == []
        assert service.figure("captionary_queue_pairs") == 0
        service.client.headers["X-API-Key"] = WRITE
        service.end(service.send(*pairs["pairs"]))
        service.client.headers["X-API-Key"] = READ
        problem(service.client.get("/v1/jobs/x"), 404)


def test_the_service_describes_itself(parts: Parts) -> None:
    with parts.opened() as dictionary:
        document = replace(parts, limits=Limits(pairs=7)).app(dictionary).openapi()
    assert not (parts.folder / "jobs").exists()  # nothing is made before it runs
    asked = document["paths"]["/v1/pairs"]["post"]
    bodies = {kind: body["schema"] for kind, body in asked["requestBody"]["content"].items()}
    form, body = bodies["multipart/form-data"], bodies["application/json"]
    assert {*form["properties"]} == {"image", "caption", "id", "source", "tag", "regions"}
    assert body["properties"]["pairs"]["maxItems"] == 7
    assert "url" in body["properties"]["pairs"]["items"]["properties"]
    assert {"202", "400", "401", "403", "413", "415", "422", "429", "503"} <= {*asked["responses"]}
    for path, method in (
        ("/v1/jobs/{id}", "get"),
        ("/v1/images/{id}", "delete"),
        ("/v1/sources/{name}", "delete"),
    ):
        operation = document["paths"][path][method]
        assert {"401", "403", "404"} <= {*operation["responses"]}
        assert operation["security"] == [{"APIKeyHeader": []}]


def test_a_picture_is_found_by_what_it_was_called(parts: Parts, rows: list[Row]) -> None:
    """Ids and sources with all sorts of letters come back by the address made of them."""
    path, said = rows[0]
    names = ["with space", "a/b//c", "ä?#&", "100%"]
    with running(parts) as service:
        service.end(service.send(pair_of(path, said, id=names[0], source=names[2])))
        for name in names:
            service.end(service.send(pair_of(path, said, id=name)))
            found = service.dictionary.picture(name)
            assert isinstance(found, Picture)
            service.end(service.remove(f"images/{quote(name, safe='')}"))
            assert service.dictionary.picture(name) is None
