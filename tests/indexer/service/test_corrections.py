"""Corrections over HTTP: what is said holds when its job is done, and undone it was never said."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.service.queue_file import QueueFile
from captionary.indexer.service.worker import Worker
from captionary.schemas.pointing import FIRST_POINTED
from captionary.serving.api_keys import Keys
from tests.indexer.planted import SCENES, dump, pairs
from tests.indexer.service.served import Parts, Running, pair_of, problem, running


@pytest.fixture
def parts(tmp_path: Path, nouns: NounExtractor) -> Parts:
    return Parts(tmp_path, nouns)


@pytest.fixture
def service(parts: Parts, rows: list[tuple[Path, str]]) -> Iterator[Running]:
    with running(parts) as service:
        sent = [pair_of(path, said, id=f"p{n}") for n, (path, said) in enumerate(rows)]
        assert service.end(service.send(*sent)).failures == []
        yield service


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    made = pairs(tmp_path_factory.mktemp("world") / "pictures", SCENES)
    return [(Path(pair.picture_name), pair.captions[0]) for pair in made]


def point(service: Running, path: Path, **fields: str) -> Any:
    files = {"image": ("new.png", path.read_bytes(), "image/png")}
    return service.client.post("/v1/corrections", data=fields, files=files)


def nouns_of(service: Running) -> set[str]:
    return {entry.noun for entry in service.dictionary.entries()}


def test_names_are_corrected_and_each_can_be_undone(service: Running) -> None:
    before = dump(service.dictionary)
    own = service.dictionary.prototypes(["apple"])[0].exemplars[0]
    region = {"image_id": own.image_id, "region": own.index}
    wanted: list[dict[str, Any]] = [
        {"kind": "rename", "noun": "apples", "other": "fruit"},
        {"kind": "merge", "noun": "banana", "other": "fruit"},
        {"kind": "alias", "noun": "leaf", "other": "foliage"},
        {"kind": "block", "noun": "lake"},
        {"kind": "refuse", "noun": "leaf", "image_id": "p1"},
        {"kind": "refuse", "noun": "fruit", **region},
        {"kind": "teach", "noun": "leaf", **region},
    ]
    for one in wanted:
        job = service.correct(**one)
        assert (job.state, job.pairs, job.failures) == ("done", 0, [])
    assert nouns_of(service) == {"fruit", "leaf"}
    listed = service.corrections()
    assert [item["number"] for item in listed] == list(range(1, 8))
    empty = {"other": None, "image_id": None, "region": None}
    spelled = [{**empty, **one, "noun": one["noun"].removesuffix("s")} for one in wanted]
    assert [{**item, "number": 0} for item in listed] == [{**one, "number": 0} for one in spelled]
    # Said again it is not listed again.
    assert service.correct(**wanted[-1]).state == "done"
    assert len(service.corrections()) == 7
    for item in reversed(listed):
        job = service.end(service.remove(f"corrections/{item['number']}"))
        assert (job.state, job.failures) == ("done", [])
    assert service.corrections() == []
    assert dump(service.dictionary) == before
    assert "no correction 7" in problem(service.client.delete("/v1/corrections/7"), 404)
    # No number is given twice.
    service.correct(kind="block", noun="lake")
    assert [item["number"] for item in service.corrections()] == [8]


def test_a_new_picture_is_pointed_at(service: Running, rows: list[tuple[Path, str]]) -> None:
    before = dump(service.dictionary)
    region = json.dumps({"box": [6, 6, 26, 26]})
    for fields in ({"not": "true"}, {"not": "false"}, {}):
        answer = point(service, rows[0][0], noun="a Gadget", region=region, **fields)
        assert answer.status_code == 202, answer.text
        assert service.end(answer.json()["job"]).failures == []
    assert "gadget" in nouns_of(service)
    refused, taught = service.corrections()
    assert (refused["kind"], taught["kind"]) == ("refuse", "teach")
    assert refused["image_id"] == taught["image_id"]
    assert refused["region"] == taught["region"] >= FIRST_POINTED
    (prototype,) = service.dictionary.prototypes(["gadget"])
    assert prototype.kind == "pointed"
    assert service.is_clean()
    for item in (taught, refused):
        service.end(service.remove(f"corrections/{item['number']}"))
    assert dump(service.dictionary) == before


def test_pairs_bring_regions(service: Running, rows: list[tuple[Path, str]], parts: Parts) -> None:
    path = parts.folder / "new.png"
    path.write_bytes(rows[0][0].read_bytes() + b" ")
    rle = {"size": [96, 96], "counts": [1000, 96, 8120]}
    regions = [
        {"noun": "widget", "box": [6, 6, 26.5, 26]},
        {"noun": "gizmo", "polygon": [50, 50, 90, 50, 90, 90]},
        {"noun": "gizmo", "polygon": [[10, 50, 30, 50, 30, 70], [1, 1, 9, 1, 9, 9]]},
        {"noun": "apple", "rle": rle, "not": True},
    ]
    job = service.end(service.send(pair_of(path, id="new", regions=regions)))
    assert (job.state, job.failures) == ("done", [])
    picture = service.dictionary.picture("new")
    assert picture is not None
    told = sorted((item.noun, item.refused) for item in picture.pointings)
    assert told == [("apple", True), ("gizmo", False), ("gizmo", False), ("widget", False)]
    assert {"widget", "gizmo"} <= nouns_of(service)
    form = {"regions": json.dumps(regions[:1]), "id": "new"}
    files = {"image": ("new.png", path.read_bytes(), "image/png")}
    answer = service.client.post("/v1/pairs", data=form, files=files)
    assert service.end(answer.json()["job"]).state == "done"
    assert service.dictionary.picture("new") == picture
    assert service.corrections() == []


@pytest.mark.parametrize(
    ("wanted", "status", "said"),
    [
        ({"kind": "rename", "noun": "zebra", "other": "horse"}, 404, "no noun 'zebra'"),
        ({"kind": "merge", "noun": "apple", "other": "zebra"}, 404, "no noun 'zebra'"),
        ({"kind": "rename", "noun": "apple", "other": "leaf"}, 422, "a noun 'leaf' already"),
        ({"kind": "teach", "noun": "apple", "image_id": "p9", "region": 0}, 404, "no picture 'p9'"),
        ({"kind": "teach", "noun": "apple", "image_id": "p0", "region": 9999}, 422, "no region"),
        ({"kind": "teach", "noun": "apple", "image_id": "p0"}, 422, "teach needs region"),
        ({"kind": "refuse", "noun": "apple"}, 422, "refuse needs image_id"),
        ({"kind": "rename", "noun": "apple"}, 422, "rename needs other"),
        ({"kind": "block", "noun": "apple", "other": "leaf"}, 422, "block takes no other"),
        ({"kind": "block", "noun": "apple", "region": 1}, 422, "block takes no region"),
        ({"kind": "forget", "noun": "apple"}, 422, "kind: Input should be"),
        ({"kind": "block", "noun": ""}, 422, "noun: String should have"),
        ([], 422, "Input should be"),
        ({"kind": [[]] * 30_000}, 413, "a correction has 65,536 bytes at most"),
    ],
)
def test_what_cannot_be_done_is_refused(
    service: Running, wanted: Any, status: int, said: str
) -> None:
    assert said in problem(service.client.post("/v1/corrections", json=wanted), status)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"noun": "a", "region": "[1, 2, 3, 4]"}, "region: give one area"),
        ({"noun": "a", "region": "{"}, "region is not JSON"),
        ({"noun": "a"}, "region: give one area"),
        ({"region": '{"box": [1, 1, 5, 5]}'}, "noun: String should have"),
        ({"noun": "a", "region": '{"box": [1, 1, 5, 5]}', "not": "no"}, "not is 'no'"),
        ({"noun": "a", "region": '{"box": [1, 1, 5, 5], "noun": "b"}'}, "region: give one area"),
        ({"noun": "a", "region": '{"box": [1, 1, 5]}'}, "box: List should have"),
        ({"noun": "a", "region": '{"box": [1, 1, 5, 0]}'}, "the box"),
        ({"noun": "a", "colour": "b"}, "there is no field 'colour'"),
    ],
)
def test_a_form_that_is_wrong_is_refused(
    service: Running, rows: list[tuple[Path, str]], fields: dict[str, str], said: str
) -> None:
    assert said in problem(point(service, rows[0][0], **fields), 422)
    assert service.is_clean()


def test_an_area_outside_is_the_jobs_failure(
    service: Running, rows: list[tuple[Path, str]]
) -> None:
    region = json.dumps({"box": [600, 6, 26, 26]})
    answer = point(service, rows[0][0], noun="gadget", region=region)
    job = service.end(answer.json()["job"])
    assert (job.state, job.pairs, len(job.failures)) == ("failed", 1, 1)
    assert service.corrections() == []
    assert service.is_clean()


def test_corrections_keep_their_place_among_pairs(
    parts: Parts, rows: list[tuple[Path, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is accepted before any of it is done; one of them cannot be done."""
    path, go = rows[0][0], threading.Event()
    step = Worker._step
    monkeypatch.setattr(Worker, "_step", lambda worker: go.wait() and step(worker))
    with running(parts) as service:
        service.send(pair_of(path, "a gadget", id="it"))
        wanted = {"kind": "rename", "noun": "gadget", "other": "widget"}
        jobs = [
            service.client.post("/v1/corrections", json={**wanted, "noun": noun}).json()["job"]
            for noun in ("gadget", "zebra")
        ]
        last = service.send(pair_of(path, "a gadget, too", id="it"))
        go.set()
        assert service.end(last).failures == []
        assert service.job(jobs[0]).state == "done"
        job = service.job(jobs[1])
        assert (job.state, job.pairs, job.done) == ("failed", 1, 1)
        assert (job.failures[0].image, job.failures[0].pair) == ("zebra", 0)
        assert "no noun 'zebra'" in job.failures[0].reason
        assert nouns_of(service) == {"widget"}


def test_orders_are_done_again_after_a_kill(parts: Parts, rows: list[tuple[Path, str]]) -> None:
    """What was done, but not marked as done, is done again, and makes no difference."""
    with running(parts) as service:
        service.end(service.send(pair_of(rows[0][0], "a gadget", id="it")))
    wanted: list[dict[str, Any] | int] = [
        {"kind": "rename", "noun": "gadget", "other": "widget"},
        {"kind": "refuse", "noun": "widget", "image_id": "it"},
        2,
        1,
    ]
    for one in wanted:
        with running(parts) as service:
            if isinstance(one, int):
                name = service.remove(f"corrections/{one}")
                assert service.end(name).state == "done"
            else:
                assert service.correct(**one).state == "done"
            before, listed = dump(service.dictionary), service.corrections()
        file = QueueFile(parts.folder / "jobs" / "queue.sqlite")
        file.open()
        with file.transaction() as db:
            last = "number = (SELECT MAX(number) FROM jobs)"
            db.execute(f"UPDATE jobs SET finished = NULL, started = 1 WHERE {last}")
            name = db.execute(f"SELECT id FROM jobs WHERE {last}").fetchone()["id"]
        file.close()
        with running(parts) as service:
            assert service.end(name).state == "done"
            assert (dump(service.dictionary), service.corrections()) == (before, listed)


def test_who_may_only_read_corrects_nothing(parts: Parts) -> None:
    read, write = "a-key-that-may-read", "a-key-that-may-write"
    with running(replace(parts, keys=Keys((read,), (write,)))) as service:
        call, wanted = service.client.request, {"kind": "block", "noun": "apple"}
        for key, status in ((read, 403), ("", 401), (write, 202)):
            headers = {"X-API-Key": key} if key else {}
            answer = call("POST", "/v1/corrections", json=wanted, headers=headers)
            assert answer.status_code == status
        service.client.headers["X-API-Key"] = read
        assert service.end(answer.json()["job"]).state == "done"
        assert len(service.corrections()) == 1
        assert call("DELETE", "/v1/corrections/1").status_code == 403
