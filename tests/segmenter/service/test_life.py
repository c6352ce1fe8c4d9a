"""The segmenter's service before there is a dictionary, as it grows, and when it goes."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from captionary.schemas.bodies import AboutBody, RetrievalBody, SegmentationBody, VocabularyBody
from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.schemas.options import Fusion
from captionary.segmenter.segmenter import Segmenter
from captionary.segmenter.service.live import LOOK_EVERY
from captionary.serving.limits import Gate
from tests.segmenter.service.served import (
    Answer,
    Looking,
    Taught,
    ask,
    png,
    problem,
    started,
    teach,
    until,
)


@pytest.fixture
def small(looking: Looking, scenes: Path, tmp_path: Path) -> Iterator[Taught]:
    """A dictionary of two pictures, to be changed."""
    with teach(looking, scenes, tmp_path / "store", pictures=2) as taught:
        yield taught


def test_it_serves_before_it_has_opened_and_tries_again(taught: Taught) -> None:
    tries: list[float] = []
    may_open = threading.Event()

    def opened() -> Segmenter:
        tries.append(time.monotonic())
        if len(tries) == 2:
            raise OSError("no such device")
        if not may_open.is_set():
            raise WrongInput("there is no dictionary at store; make one")
        return taught.segmenter

    with started(opened, ready=False) as client:
        until(lambda: len(tries) >= 4)
        reason = problem(client.get("/readyz"), 503)
        refused = ask(client, png(), fusion="text")
        alive, page = client.get("/healthz"), client.get("/")
        about = AboutBody.model_validate(client.get("/v1/about").json())
        listing = client.get("/v1/vocabulary")
        figures = client.get("/metrics")
        may_open.set()
        until(lambda: client.get("/readyz").is_success)
        answer = ask(client, png(), fusion="text")
        tried = len(tries)

    assert reason == "there is no dictionary at store; make one"
    assert problem(refused, 503) == reason
    assert int(refused.headers["Retry-After"]) > 0
    assert problem(listing, 503) == reason
    assert (alive.status_code, page.status_code) == (200, 200)
    assert (about.images, about.fingerprint) == (0, "")
    assert 'captionary_dictionary{kind="images"} 0.0' in figures.text
    assert answer.status_code == 200
    assert tries[2] - tries[0] >= 0.1
    assert len(tries) == tried


def test_a_fault_at_opening_is_told_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def opened() -> Segmenter:
        raise OSError("a secret path")

    with started(opened, ready=False) as client:
        until(lambda: "cannot be opened" in problem(client.get("/readyz"), 503))

    assert "a secret path" in caplog.text


def test_it_ends_while_it_still_tries(taught: Taught) -> None:
    def never() -> Segmenter:
        raise CaptionaryError("the server does not answer")

    with started(never, ready=False) as client:
        assert client.get("/healthz").is_success
    start = time.monotonic()
    with started(lambda: taught.segmenter, ready=False):
        pass
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("fusion", get_args(Fusion))
def test_an_empty_dictionary_leaves_it_to_text(
    looking: Looking, taught: Taught, tmp_path: Path, fusion: Fusion
) -> None:
    with (
        teach(looking, taught.scenes, tmp_path / "store", pictures=0) as empty,
        started(lambda: empty.segmenter) as client,
    ):
        picture = taught.picture(20)
        fields = {"background": "auto", "threshold": "0.3", "evidence": "5"}
        answer = ask(client, picture, fusion=fusion, **fields)
        by_text = ask(client, picture, fusion="text", **fields)
        near = RetrievalBody.model_validate(ask(client, picture, path="retrieve").json())
        listing = VocabularyBody.model_validate(client.get("/v1/vocabulary").json())

    body = SegmentationBody.model_validate(answer.json())
    plain = SegmentationBody.model_validate(by_text.json())
    assert [mask.rle for mask in body.masks] == [mask.rle for mask in plain.masks]
    assert all(region.prototype is None and not region.evidence for region in body.regions)
    assert body.revision == (None if fusion == "text" else 0)
    assert (near.nouns, near.regions, near.revision) == ([], [], 0)
    assert (listing.nouns, listing.total) == ([], 0)


def test_a_new_noun_is_used_without_a_restart(small: Taught) -> None:
    with started(lambda: small.segmenter) as client:
        before = client.get("/v1/vocabulary?limit=1000").json()
        known = {line["noun"] for line in before["nouns"]}
        small.index(2, 6)
        revision = small.dictionary.revision
        until(lambda: client.get("/v1/vocabulary").json()["revision"] == revision)
        until(lambda: client.get("/v1/about").json()["revision"] == revision)
        after = client.get("/v1/vocabulary?limit=1000").json()
        new = [line["noun"] for line in after["nouns"] if line["noun"] not in known]
        asked = ask(
            client, small.picture(3), classes=", ".join(new), fusion="prototypes", evidence=1
        )
        about = client.get("/v1/about").json()
        near = ask(client, small.picture(5), path="retrieve", limit=1).json()

    assert new
    assert after["revision"] > before["revision"]
    body = SegmentationBody.model_validate(asked.json())
    assert body.revision == after["revision"] == about["revision"]
    assert about["images"] == 6
    assert {evidence.noun for region in body.regions for evidence in region.evidence} <= set(new)
    assert any(region.prototype is not None for region in body.regions)
    assert near["regions"][0]["similarity"] == pytest.approx(1, abs=1e-4)


def test_a_store_that_is_away_stops_what_needs_it(small: Taught) -> None:
    meta = next(small.store.glob("*.json"))
    with started(lambda: small.segmenter) as client:
        asked_before = ask(client, small.picture(0), classes="dog")
        written = meta.read_bytes()
        meta.unlink()
        time.sleep(LOOK_EVERY)
        refused: list[Answer] = [
            ask(client, small.picture(0), classes="dog"),
            ask(client, small.picture(0), path="retrieve"),
            client.get("/v1/vocabulary"),
            client.get("/readyz"),
        ]
        by_text = ask(client, small.picture(0), classes="dog", fusion="text")
        alive, about = client.get("/healthz"), client.get("/v1/about")
        meta.write_bytes(written)
        until(lambda: client.get("/readyz").is_success)
        asked_after = ask(client, small.picture(0), classes="dog")

    for answer in refused:
        assert "was removed or made anew" in problem(answer, 503)
        assert int(answer.headers["Retry-After"]) > 0
    assert (by_text.status_code, alive.status_code) == (200, 200)
    assert about.json()["images"] == 0
    assert asked_after.content == asked_before.content


def test_a_dictionary_of_other_models_is_told(small: Taught) -> None:
    meta = next(small.store.glob("*.json"))
    with started(lambda: small.segmenter) as client:
        running = small.looking.extractor.fingerprint
        meta.write_text(meta.read_text().replace(running, "other models"))
        time.sleep(LOOK_EVERY)
        readiness, refused = client.get("/readyz"), ask(client, small.picture(0))

    for answer in (readiness, refused):
        assert "was built with 'other models' but this process runs" in problem(answer, 503)


def test_who_comes_when_the_line_is_full_is_turned_away(taught: Taught) -> None:
    gate, done = Gate(working=1, waiting=2), threading.Event()
    with started(lambda: taught.segmenter, gate=gate) as client:
        assert client.portal is not None
        waiting = [client.portal.start_task_soon(gate.run, done.wait) for _ in range(3)]
        until(lambda: gate.inside == 3)
        start = time.monotonic()
        refused = [
            ask(client, taught.picture(20), path=path) for path in ("segment", "retrieve") * 5
        ]
        took, inside = time.monotonic() - start, gate.inside
        figures = client.get("/metrics").text
        alive, listing = client.get("/healthz"), client.get("/v1/vocabulary")
        done.set()
        for task in waiting:
            task.result(timeout=10)
        answer = ask(client, taught.picture(20), fusion="text")

    for each in refused:
        assert "requests are under way, as many as may be" in problem(each, 503)
        assert int(each.headers["Retry-After"]) > 0
    assert (took < 10, inside) == (True, 3)
    assert "captionary_queue 3.0" in figures
    assert (alive.status_code, listing.status_code, answer.status_code) == (200, 200, 200)


def test_what_is_at_work_ends_before_the_service_does(taught: Taught) -> None:
    gate = Gate(working=1, waiting=1)
    with started(lambda: taught.segmenter, gate=gate) as client:
        assert client.portal is not None
        task = client.portal.start_task_soon(gate.run, threading.Event().wait, 0.5)

    assert task.result(timeout=0) is False


PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@pytest.mark.parametrize(
    ("indexer", "connects"),
    [
        (None, "connect-src 'self'"),
        ("", "connect-src 'self'"),
        ("http://127.0.0.1:8001", "connect-src 'self' http://127.0.0.1:8001"),
        ("https://indexer.example/some/path", "connect-src 'self' https://indexer.example"),
    ],
)
def test_the_page_may_talk_to_the_two_services_only(indexer: str | None, connects: str) -> None:
    with started(_never, ready=False, indexer=indexer) as client:
        page = client.get("/")
        head = client.head("/")

    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert policy == [
        "default-src 'self'",
        "img-src 'self' data: blob:",
        connects,
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ]
    assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert (head.status_code, head.content) == (200, b"")


def test_files_of_the_page_are_served_and_no_others() -> None:
    with started(_never, ready=False) as client:
        whole, file = client.get("/"), client.get("/page/index.html")
        script = client.get("/page/page.js")
        again = client.get("/page/index.html", headers={"If-None-Match": file.headers["ETag"]})
        outside = [
            client.get(f"/page/{path}")
            for path in (
                "..%2fservice.py",
                "%2e%2e/service.py",
                "../service.py",
                "%2fetc%2fpasswd",
                "/etc/passwd",
                "..%5cservice.py",
                "index.html%00",
                "x" * 5000,
                "missing.js",
            )
        ]
        written = client.post("/page/index.html")

    assert file.content == whole.content != b""
    assert {name: file.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert script.headers["content-type"].startswith("text/javascript")
    assert again.status_code == 304
    for answer in outside:
        problem(answer, 404)
    problem(written, 405)


def test_it_needs_a_segmenter_with_a_dictionary(
    looking: Looking, caplog: pytest.LogCaptureFixture
) -> None:
    alone = Segmenter(looking.extractor, looking.encoder)
    with started(lambda: alone, ready=False) as client:
        until(lambda: "cannot be opened" in problem(client.get("/readyz"), 503))

    assert "a service needs a Segmenter with a retriever" in caplog.text


def _never() -> Segmenter:
    raise CaptionaryError("there is nothing to open here")
