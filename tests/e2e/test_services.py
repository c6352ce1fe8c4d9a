"""Two processes that meet in Qdrant: captions in by one, masks out by the other; kills of both."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from captionary.build import Parts
from tests.scenes import draw
from tests.served import PATIENCE, Served, finished, ready, service, stand_in

CLASSES = "dog, apple, umbrella, grass, sand"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("meeting") / "scenes", 24)


@pytest.fixture(scope="module")
def qdrant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("qdrant")
    with stand_in(folder / "store", folder / "log") as server:
        yield server


def pairs(scenes: Path) -> list[tuple[bytes, list[str]]]:
    rows = map(json.loads, (scenes / "captions.jsonl").read_text(encoding="utf-8").splitlines())
    return [((scenes / row["image"]).read_bytes(), row["captions"]) for row in rows]


def send(indexer: str, picture: bytes, captions: list[str], name: str) -> str:
    answer = httpx.post(
        f"{indexer}/v1/pairs",
        files={"image": (f"{name}.png", picture)},
        data={"caption": captions, "id": name, "source": "drawn"},
        timeout=PATIENCE,
    )
    assert answer.status_code == httpx.codes.ACCEPTED, answer.text
    return str(answer.json()["job"])


def segment(segmenter: str, picture: bytes) -> httpx.Response:
    return httpx.post(
        f"{segmenter}/v1/segment",
        files={"image": picture},
        data={"classes": CLASSES, "evidence": "1"},
        timeout=PATIENCE,
    )


@pytest.mark.slow
def test_captions_in_by_one_masks_out_by_the_other(
    qdrant: Served, scenes: Path, tmp_path: Path
) -> None:
    store = f"{qdrant.address}/meeting"
    reading = service(store, tmp_path / "segmenter.log", "--role", "segmenter")
    writing = service(
        store,
        tmp_path / "indexer.log",
        *("--role", "indexer", "--encoder", "mini", "--state", str(tmp_path / "state")),
    )
    captioned = pairs(scenes)
    with reading as segmenter:
        end = time.monotonic() + PATIENCE
        while (
            "there is no dictionary"
            not in httpx.get(f"{segmenter.address}/readyz", timeout=PATIENCE).text
        ):
            assert time.monotonic() < end, "it does not say what it waits for"
            time.sleep(0.1)
        refused = segment(segmenter.address, captioned[0][0])
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.headers["Retry-After"]
        with writing as indexer:
            jobs = [send(indexer.address, *pair, f"s{n}") for n, pair in enumerate(captioned)]
            states = [finished(indexer.address, job) for job in jobs]
            assert [state["failures"] for state in states] == [[]] * len(jobs)
            ready(segmenter.address)
            answer = segment(segmenter.address, captioned[0][0]).raise_for_status().json()
            assert {mask["class"] for mask in answer["masks"]} <= set(CLASSES.split(", "))
            assert answer["prototypes"][0]["exemplars"][0]["image_id"].startswith("s")
            known = httpx.get(f"{segmenter.address}/v1/vocabulary", timeout=PATIENCE).json()
            assert {"dog", "apple"} <= {entry["noun"] for entry in known["nouns"]}

            removal = httpx.delete(f"{indexer.address}/v1/sources/drawn", timeout=PATIENCE).json()
            assert finished(indexer.address, removal["job"])["state"] == "done"
            end = time.monotonic() + PATIENCE
            while httpx.get(f"{segmenter.address}/v1/vocabulary", timeout=PATIENCE).json()["total"]:
                assert time.monotonic() < end, "the segmenter did not follow"
                time.sleep(0.1)
            later = segment(segmenter.address, captioned[0][0]).raise_for_status().json()
            assert later["revision"] > answer["revision"]
            assert later["prototypes"] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_under_load_accepted_jobs_are_done_once(
    qdrant: Served, scenes: Path, tmp_path: Path
) -> None:
    store = f"{qdrant.address}/killed"
    writing = service(
        store,
        tmp_path / "indexer.log",
        *("--role", "indexer", "--encoder", "mini", "--state", str(tmp_path / "state")),
    )
    reading = service(store, tmp_path / "segmenter.log", "--role", "segmenter")
    captioned = pairs(scenes)
    with writing as indexer, reading as segmenter:
        accepted = []
        statuses = []
        over = threading.Event()

        def ask() -> None:
            while not over.wait(0.05):
                try:
                    statuses.append(segment(segmenter.address, captioned[0][0]).status_code)
                except httpx.TransportError:
                    statuses.append(0)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            for number, pair in enumerate(captioned):
                accepted.append(send(indexer.address, *pair, f"s{number}"))
                if number % 8 == 7:
                    time.sleep(0.3)
                    indexer.kill()
                    segmenter.kill()
                    indexer.start()
                    segmenter.start()
            states = [finished(indexer.address, job) for job in accepted]
            ready(segmenter.address)
            assert segment(segmenter.address, captioned[0][0]).is_success
        finally:
            over.set()
            asking.join()
        assert all((s["state"], s["done"], s["failures"]) == ("done", 1, []) for s in states)
        assert 200 in statuses
        assert set(statuses) <= {0, 200, 503}
        assert indexer.stop() == 0
        assert segmenter.stop() == 0
    with closing(Parts(store)) as parts:
        dictionary = parts.stored
        counts = dictionary.stats()
        assert counts.images == len(captioned)
        assert dictionary.pending() == {}
        assert counts.regions == dictionary.engine.collection("regions").count()
