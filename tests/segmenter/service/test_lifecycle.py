"""The segmenter's service before there is a dictionary, as it grows, and when it goes."""

import threading
import time
from pathlib import Path

import pytest

from captionary.schemas.bodies import AboutBody, RetrievalBody, SegmentationBody, VocabularyBody
from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.schemas.options import FUSIONS, Fusion
from captionary.segmenter.segmenter import Segmenter
from captionary.serving.work_queue import WorkQueue
from tests.segmenter.service.served import (
    SHORT,
    FilledDictionary,
    LoadedModels,
    Response,
    assert_problem,
    fill_dictionary,
    png,
    post_picture,
    running_service,
    wait_until,
)


def test_it_serves_before_it_has_opened_and_tries_again(filled: FilledDictionary) -> None:
    tries: list[float] = []
    may_open = threading.Event()

    def opened() -> Segmenter:
        tries.append(time.monotonic())
        if len(tries) == 2:
            raise OSError("no such device")
        if not may_open.is_set():
            raise WrongInput("there is no dictionary at store; make one")
        return filled.segmenter

    with running_service(opened, ready=False) as client:
        wait_until(lambda: len(tries) >= 4)
        reason = assert_problem(client.get("/readyz"), 503)
        refused = post_picture(client, png(), fusion="text")
        alive, page = client.get("/healthz"), client.get("/")
        about = AboutBody.model_validate(client.get("/v1/about").json())
        listing = client.get("/v1/vocabulary")
        figures = client.get("/metrics")
        may_open.set()
        wait_until(lambda: client.get("/readyz").is_success)
        response = post_picture(client, png(), fusion="text")
        tried = len(tries)

    assert reason == "there is no dictionary at store; make one"
    assert assert_problem(refused, 503) == reason
    assert int(refused.headers["Retry-After"]) > 0
    assert assert_problem(listing, 503) == reason
    assert (alive.status_code, page.status_code) == (200, 200)
    assert (about.images, about.fingerprint) == (0, "")
    assert 'captionary_dictionary{kind="images"} 0.0' in figures.text
    assert response.status_code == 200
    assert tries[2] - tries[0] >= 0.1
    assert len(tries) == tried


def test_a_fault_at_opening_is_told_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def opened() -> Segmenter:
        raise OSError("a secret path")

    with running_service(opened, ready=False) as client:
        wait_until(lambda: "cannot be opened" in assert_problem(client.get("/readyz"), 503))

    assert "a secret path" in caplog.text


def test_it_ends_while_it_still_tries(filled: FilledDictionary) -> None:
    def never() -> Segmenter:
        raise CaptionaryError("the server does not response")

    with running_service(never, ready=False) as client:
        assert client.get("/healthz").is_success
    start = time.monotonic()
    with running_service(lambda: filled.segmenter, ready=False):
        pass
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("fusion", list(FUSIONS))
def test_an_empty_dictionary_leaves_it_to_text(
    models: LoadedModels, filled: FilledDictionary, tmp_path: Path, fusion: Fusion
) -> None:
    with (
        fill_dictionary(models, filled.scenes, tmp_path / "store", pictures=0) as empty,
        running_service(lambda: empty.segmenter) as client,
    ):
        picture = filled.picture(20)
        fields = {"background": "auto", "threshold": "0.3", "evidence": "5"}
        response = post_picture(client, picture, fusion=fusion, **fields)
        by_text = post_picture(client, picture, fusion="text", **fields)
        near = RetrievalBody.model_validate(post_picture(client, picture, path="retrieve").json())
        listing = VocabularyBody.model_validate(client.get("/v1/vocabulary").json())

    body = SegmentationBody.model_validate(response.json())
    plain = SegmentationBody.model_validate(by_text.json())
    assert [mask.rle for mask in body.masks] == [mask.rle for mask in plain.masks]
    assert all(region.prototype is None and not region.evidence for region in body.regions)
    assert body.revision == (None if fusion == "text" else 0)
    assert (near.nouns, near.regions, near.revision) == ([], [], 0)
    assert (listing.nouns, listing.total) == ([], 0)


@pytest.mark.usefixtures("short_intervals")
def test_a_new_noun_is_used_without_a_restart(small: FilledDictionary) -> None:
    with running_service(lambda: small.segmenter) as client:
        before = client.get("/v1/vocabulary?limit=1000").json()
        known = {line["noun"] for line in before["nouns"]}
        small.index(2, 6)
        revision = small.dictionary.revision
        wait_until(lambda: client.get("/v1/vocabulary").json()["revision"] == revision)
        wait_until(lambda: client.get("/v1/about").json()["revision"] == revision)
        after = client.get("/v1/vocabulary?limit=1000").json()
        new = [line["noun"] for line in after["nouns"] if line["noun"] not in known]
        response = post_picture(
            client, small.picture(3), classes=", ".join(new), fusion="prototypes", evidence=1
        )
        about = client.get("/v1/about").json()
        near = post_picture(client, small.picture(5), path="retrieve", limit=1).json()

    assert new
    assert after["revision"] > before["revision"]
    body = SegmentationBody.model_validate(response.json())
    assert body.revision == after["revision"] == about["revision"]
    assert about["images"] == 6
    assert {evidence.noun for region in body.regions for evidence in region.evidence} <= set(new)
    assert any(region.prototype is not None for region in body.regions)
    assert near["regions"][0]["similarity"] == pytest.approx(1, abs=1e-4)


@pytest.mark.usefixtures("short_intervals")
def test_a_store_that_is_away_stops_what_needs_it(small: FilledDictionary) -> None:
    meta = next(small.store.glob("*.json"))
    with running_service(lambda: small.segmenter) as client:
        before = post_picture(client, small.picture(0), classes="dog")
        written = meta.read_bytes()
        meta.unlink()
        time.sleep(SHORT)
        refused: list[Response] = [
            post_picture(client, small.picture(0), classes="dog"),
            post_picture(client, small.picture(0), path="retrieve"),
            client.get("/v1/vocabulary"),
            client.get("/readyz"),
        ]
        by_text = post_picture(client, small.picture(0), classes="dog", fusion="text")
        alive, about = client.get("/healthz"), client.get("/v1/about")
        meta.write_bytes(written)
        wait_until(lambda: client.get("/readyz").is_success)
        after = post_picture(client, small.picture(0), classes="dog")

    for response in refused:
        assert "was removed or made anew" in assert_problem(response, 503)
        assert int(response.headers["Retry-After"]) > 0
    assert (by_text.status_code, alive.status_code) == (200, 200)
    assert about.json()["images"] == 0
    assert after.content == before.content


@pytest.mark.usefixtures("short_intervals")
def test_a_dictionary_of_other_models_is_told(small: FilledDictionary) -> None:
    meta = next(small.store.glob("*.json"))
    with running_service(lambda: small.segmenter) as client:
        running = small.models.extractor.fingerprint
        meta.write_text(meta.read_text().replace(running, "other models"))
        time.sleep(SHORT)
        readiness, refused = client.get("/readyz"), post_picture(client, small.picture(0))

    for response in (readiness, refused):
        detail = assert_problem(response, 503)
        assert "was built with 'other models' but this process runs" in detail


def test_who_comes_when_the_line_is_full_is_turned_away(filled: FilledDictionary) -> None:
    queue, done = WorkQueue(workers=1, waiting=2), threading.Event()
    with running_service(lambda: filled.segmenter, queue=queue) as client:
        assert client.portal is not None
        waiting = [client.portal.start_task_soon(queue.run, done.wait) for _ in range(3)]
        wait_until(lambda: queue.pending == 3)
        start = time.monotonic()
        refused = [
            post_picture(client, filled.picture(20), path=path)
            for path in ("segment", "retrieve") * 5
        ]
        took, inside = time.monotonic() - start, queue.pending
        figures = client.get("/metrics").text
        alive, listing = client.get("/healthz"), client.get("/v1/vocabulary")
        done.set()
        for task in waiting:
            task.result(timeout=10)
        response = post_picture(client, filled.picture(20), fusion="text")

    for each in refused:
        assert "requests are under way, as many as may be" in assert_problem(each, 503)
        assert int(each.headers["Retry-After"]) > 0
    assert (took < 10, inside) == (True, 3)
    assert "captionary_queue 3.0" in figures
    assert (alive.status_code, listing.status_code, response.status_code) == (200, 200, 200)


def test_what_is_at_work_ends_before_the_service_does(filled: FilledDictionary) -> None:
    queue = WorkQueue(workers=1, waiting=1)
    with running_service(lambda: filled.segmenter, queue=queue) as client:
        assert client.portal is not None
        task = client.portal.start_task_soon(queue.run, threading.Event().wait, 0.2)

    assert task.result(timeout=0) is False


def test_it_needs_a_segmenter_with_a_dictionary(
    models: LoadedModels, caplog: pytest.LogCaptureFixture
) -> None:
    alone = Segmenter(models.extractor, models.encoder)
    with running_service(lambda: alone, ready=False) as client:
        wait_until(lambda: "cannot be opened" in assert_problem(client.get("/readyz"), 503))

    assert "a service needs a Segmenter with a retriever" in caplog.text


def _never() -> Segmenter:
    raise CaptionaryError("there is nothing to open here")
