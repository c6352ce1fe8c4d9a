"""What docs/http.md shows is so: its commands and programs, run against the services."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from captionary.client import Client
from tests.served import ROOT, Served, ready, service

PAGE = ROOT / "docs" / "http.md"
KEY = "a-key-of-the-tests-0123456789"
SECONDS = 120
"""For a command or a program, at most."""

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shown:
    """A command of the page, and the JSON that stands under it as its answer, if any."""

    command: str
    answer: Any


def commands() -> list[Shown]:
    """All with curl, in the order of the page."""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    found = []
    for (kind, text), (next_kind, next_text) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if kind == "sh" and "curl" in text:
            found.append(Shown(text, json.loads(next_text) if next_kind == "json" else None))
    return found


def programs() -> list[str]:
    return [
        text for kind, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "python"
    ]


@pytest.fixture(scope="module")
def folder(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are run: `dog.jpg` lies there."""
    folder = tmp_path_factory.mktemp("pasted")
    with Image.open(sorted((scenes / "images").iterdir())[0]) as picture:
        picture.convert("RGB").save(folder / "dog.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def both(folder: Path) -> Iterator[Served]:
    words = ("--encoder", "mini", "--role", "both")
    with service(folder / "store", folder / "log", *words, CAPTIONARY_WRITE_KEYS=KEY) as served:
        ready(served.address)
        yield served


def settings(both: Served) -> dict[str, str]:
    """The environment that the page asks for."""
    wanted = {"CAPTIONARY_URL": both.address, "CAPTIONARY_KEY": KEY, "PYTHONPATH": str(ROOT)}
    return {**os.environ, **wanted}


def same_form(shown: Any, answered: Any) -> bool:
    """Whether two JSON values have the same names in the same places, with values of one kind.

    What is shown of a list is an example: one of the answer's must be like it.
    """
    if isinstance(shown, dict) and isinstance(answered, dict):
        return shown.keys() == answered.keys() and all(
            same_form(value, answered[name]) for name, value in shown.items()
        )
    if isinstance(shown, list) and isinstance(answered, list):
        return bool(shown) == bool(answered) and all(
            any(same_form(value, other) for other in answered) for value in shown
        )
    return type(shown) is type(answered)


def test_commands_can_be_pasted(both: Served, folder: Path) -> None:
    """In the order of the page, since the later ones show what the first have added."""
    environment = settings(both)
    for shown in commands():
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", shown.command],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert ran.returncode == 0, (shown.command, ran.stdout, ran.stderr)
        if shown.answer is None:
            continue
        answer = json.loads(ran.stdout)
        assert same_form(shown.answer, answer), (shown.command, answer)
        assert answer.get("status") == shown.answer.get("status")
        if "job" in answer and "state" not in answer:
            environment["JOB"] = answer["job"]
            with Client(both.address, key=KEY) as client:
                state = client.wait(answer["job"])
            assert (state.state, state.failures) == ("done", [])
    with Image.open(folder / "dog.classes.png") as classes, Image.open(folder / "dog.jpg") as dog:
        assert (classes.format, classes.size) == ("PNG", dog.size)
        assert set(np.unique(np.array(classes))) <= {0, 1, 2}
    with Image.open(folder / "dog.overlay.jpg") as overlay:
        assert overlay.format == "JPEG"


@pytest.mark.parametrize(
    ("number", "said"), [(0, r"dog \d+ [01]\.\d+"), (1, "404 the dictionary has")]
)
def test_programs_can_be_run(number: int, said: str, both: Served, folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", programs()[number]],
        cwd=folder,
        env=settings(both),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.search(said, ran.stdout)
    assert ran.stderr == ""


def test_the_page_shows_every_route() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for document in sorted((ROOT / "docs" / "openapi").iterdir()):
        for path in json.loads(document.read_text(encoding="utf-8"))["paths"]:
            assert f"{path}`" in text, path


def test_all_programs_are_run() -> None:
    assert len(programs()) == 2
    assert len(commands()) > 10
