"""The very commands of the images, run as processes: start, health, work, figures, SIGTERM."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml

from captionary.cli.main import main
from tests.deploy.dockerfile import Stage
from tests.deploy.test_monitoring import alerts, names_of, questions
from tests.deploy.tools import DEPLOY
from tests.scenes import draw
from tests.served import PATIENCE, Served, finished, ready, stand_in

READ, WRITE = "read-of-tests-0123456789", "write-of-tests-0123456789"
KEYS = {"CAPTIONARY_READ_KEYS": READ, "CAPTIONARY_WRITE_KEYS": WRITE}


def environment(image: Stage, folder: Path) -> dict[str, str]:
    """What the image sets, with its volumes in a folder and its programs those of the tests."""
    moved = {name: inside(value, image, folder) for name, value in image.environment.items()}
    return {**moved, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def inside(text: str, image: Stage, folder: Path) -> str:
    for volume in image.volumes:
        text = text.replace(volume, f"{folder}{volume}")
    return text


def process(image: Stage, folder: Path, *words: str) -> Served:
    """What a container of the image runs; the last word on an option counts."""
    for volume in image.volumes:
        Path(f"{folder}{volume}").mkdir(parents=True)
    command = (*image.entrypoint, *image.command, "--host", "127.0.0.1", "--port", "0", *words)
    program, *arguments = (inside(word, image, folder) for word in command)
    assert program == "captionary"
    settings = {**environment(image, folder), **KEYS, "HF_HUB_OFFLINE": "1"}
    return Served(main, (arguments,), folder / "log", settings)


@dataclass(frozen=True)
class Running:
    """Both services, ready, with what has been indexed."""

    indexer: Served
    segmenter: Served
    picture: bytes
    job: dict[str, object]


@pytest.fixture(scope="module")
def running(
    images: dict[str, Stage], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("images")
    scenes = draw(folder / "scenes", 2)
    row = json.loads((scenes / "captions.jsonl").read_text(encoding="utf-8").splitlines()[0])
    picture = (scenes / row["image"]).read_bytes()
    with stand_in(folder / "qdrant", folder / "qdrant.log") as qdrant:
        store = ("--store", f"{qdrant.address}/captionary")
        writing = process(images["indexer"], folder / "indexer", *store, "--encoder", "mini")
        reading = process(images["segmenter"], folder / "segmenter", *store)
        with writing.begin() as indexer, reading as segmenter:
            ready(indexer.address)
            accepted = httpx.post(
                f"{indexer.address}/v1/pairs",
                files={"image": picture},
                data={"caption": row["captions"]},
                headers={"X-API-Key": WRITE},
                timeout=PATIENCE,
            )
            job = finished(indexer.address, accepted.raise_for_status().json()["job"], key=READ)
            ready(segmenter.address)
            yield Running(indexer, segmenter, picture, job)


@pytest.mark.parametrize("target", ["indexer", "segmenter"])
def test_without_keys_an_image_refuses_in_one_line(
    images: dict[str, Stage], target: str, tmp_path: Path
) -> None:
    image = images[target]
    ended = subprocess.run(
        [*image.entrypoint, *image.command],
        env=environment(image, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert "CAPTIONARY_READ_KEYS" in line


def test_captions_in_by_one_masks_out_by_the_other(running: Running) -> None:
    assert (running.job["state"], running.job["failures"]) == ("done", [])

    def segment(key: str) -> httpx.Response:
        return httpx.post(
            f"{running.segmenter.address}/v1/segment",
            files={"image": running.picture},
            data={"classes": "dog, grass"},
            headers={"X-API-Key": key},
            timeout=60,
        )

    assert segment(READ).raise_for_status().json()["revision"] >= 1
    assert segment("x" * 20).status_code == 403


@pytest.mark.parametrize("target", ["indexer", "segmenter"])
def test_the_health_check_of_the_image_finds_it_well(
    images: dict[str, Stage], running: Running, target: str
) -> None:
    served: Served = getattr(running, target)
    here = served.address.removeprefix("http://")
    assert check(images[target], here) == 0
    nobody = here.rpartition(":")[0] + ":1"
    assert check(images[target], nobody) != 0


def check(image: Stage, address: str) -> int:
    command = [word.replace(f"127.0.0.1:{image.port}", address) for word in image.healthcheck]
    assert command != image.healthcheck
    return subprocess.run(
        command, env=environment(image, Path("/")), capture_output=True, timeout=60
    ).returncode


@pytest.mark.parametrize("target", ["indexer", "segmenter"])
def test_every_route_that_the_deployment_asks_is_there(running: Running, target: str) -> None:
    address = getattr(running, target).address
    text = (DEPLOY / f"kubernetes/base/{target}.yaml").read_text(encoding="utf-8")
    text += (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    text += (DEPLOY / "kubernetes/components/monitoring/monitors.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"(?:127\.0\.0\.1:8000|path: )(/\w+)", text))
    assert asked == {"/healthz", "/readyz", "/metrics"}
    for path in asked:
        assert httpx.get(f"{address}{path}").status_code == 200


def test_every_figure_that_is_looked_at_exists(running: Running) -> None:
    pages = [
        httpx.get(f"{served.address}/metrics").text
        for served in (running.indexer, running.segmenter)
    ]
    shown = {name for page in pages for name in re.findall(r"^([a-z_]+)[ {]", page, re.MULTILINE)}
    board = DEPLOY / "monitoring/grafana/dashboards/captionary.json"
    asked = questions(json.loads(board.read_text(encoding="utf-8")))
    assert len(asked) > 15
    for expression in asked:
        assert names_of(expression) <= shown, expression
    # promtool's tests feed figures by name too.
    tests = yaml.safe_load((Path(__file__).with_name("alerts_test.yml")).read_text("utf-8"))
    fed = " ".join(row["series"] for test in tests["tests"] for row in test["input_series"])
    assert names_of(fed) <= shown


def test_routes_and_labels_in_the_rules_are_the_programs(running: Running) -> None:
    page = httpx.get(f"{running.segmenter.address}/metrics").text
    page += httpx.get(f"{running.indexer.address}/metrics").text
    rules = " ".join(rule["expr"] for rule in alerts())
    for route in re.findall(r'route="([^"]+)"', rules):
        assert f'route="{route}"' in page
    for outcome in re.findall(r'outcome="([^"]+)"', rules):
        assert f'outcome="{outcome}"' in page


def test_the_signal_of_the_image_ends_it_well(images: dict[str, Stage], running: Running) -> None:
    """Comes last, as it ends what the others use."""
    for target in ("segmenter", "indexer"):
        assert images[target].signal == "SIGTERM"
        assert getattr(running, target).stop() == 0
