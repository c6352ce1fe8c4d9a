"""`captionary world`: a folder that the other commands can use."""

import json
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.running import captionary
from tests.processes import captionary_process

ROOT = Path(__file__).parents[2]
SMALL = ("--scenes", 4, "--size", 32)


def test_it_says_what_it_did_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "world"

    answer = captionary("world", out, *SMALL, "--seed", 7, "--nouns", "novel", "--captions", 2)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("4 scenes of ")
    assert f" classes in {out}; try 'captionary index {out / 'captions.jsonl'}'" in answer.out
    assert answer.out.count("\n") == 1
    assert sorted(path.name for path in out.iterdir()) == [
        *("captions.jsonl", "classes.txt", "images", "masks", "world.json")
    ]
    rows = [json.loads(line) for line in (out / "captions.jsonl").read_text().splitlines()]
    assert [row["image"] for row in rows] == [f"images/0000{number}.png" for number in range(4)]
    assert all(len(row["captions"]) == 2 for row in rows)
    with Image.open(out / "images" / "00003.png") as picture:
        assert (picture.size, picture.mode) == ((32, 32), "RGB")
    facts = json.loads((out / "world.json").read_text())
    assert (facts["seed"], facts["nouns"], facts["split"]) == (7, "novel", "held-out")


def test_the_other_commands_can_use_it(models: tuple[str, ...], tmp_path: Path) -> None:
    out, store, figures = tmp_path / "world", tmp_path / "store", tmp_path / "figures.json"
    captionary("world", out, *SMALL, "--nouns", "novel")

    masks = ("--proposer", f"masks:{out / 'masks'}")
    indexed = captionary("index", out / "captions.jsonl", "--store", store, *masks, *models)
    evaluated = captionary("evaluate", out, "--store", store, "--json", figures, *masks, *models)

    assert (indexed.code, indexed.err) == (0, "")
    assert indexed.out.startswith("4 pairs: 4 indexed, 0 known already, 0 refused; ")
    assert evaluated.code == 0
    (said,) = evaluated.err.splitlines()
    assert said.startswith("captionary: the dictionary has no noun for ")
    measured = json.loads(figures.read_text())
    assert measured["images"] == 4
    assert 0 <= measured["miou"] <= 1


@pytest.mark.slow
def test_more_classes_than_8_bits_hold(models: tuple[str, ...], tmp_path: Path) -> None:
    out, figures, segmented = tmp_path / "world", tmp_path / "figures.json", tmp_path / "segmented"
    captionary("world", out, *SMALL, "--nouns", "seen")

    masks = ("--proposer", f"masks:{out / 'masks'}", "--fusion", "text")
    evaluated = captionary("evaluate", out, "--json", figures, *masks, *models)
    picture, classes = out / "images" / "00000.png", f"@{out / 'classes.txt'}"
    answer = captionary(
        "segment", picture, "--classes", classes, "--out", segmented, *masks, *models
    )

    assert (evaluated.code, evaluated.err) == (0, "")
    assert len(json.loads(figures.read_text())["iou"]) > 255
    assert (answer.code, answer.err) == (0, "")
    with Image.open(segmented / "00000.png") as class_map:
        assert (class_map.size, class_map.mode) == ((32, 32), "I;16")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scenes", "0"), "Invalid value for '--scenes'"),
        (("--size", "8"), "Invalid value for '--size'"),
        (("--seed", "-1"), "Invalid value for '--seed'"),
        (("--captions", "0"), "Invalid value for '--captions'"),
        (("--nouns", "old"), "Invalid value for '--nouns'"),
        (("--split", "test"), "Invalid value for '--split'"),
        (("--seed", "1"), "holds a world with seed 0, not 1; give that, or another folder"),
        (("--scenes", "3"), "is to hold 4 scenes, more than 3"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    options: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    captionary("world", tmp_path, *SMALL)

    answer = captionary("world", tmp_path, *SMALL, *options)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    answer = captionary("world", tmp_path, *SMALL)

    assert answer.code == 2
    assert "holds something else (it has no world.json)" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "world"
    command = ["world", folder, "--size", "32", "--scenes", "100000"]
    run = captionary_process(command, tmp_path)
    while not (folder / "masks" / "00020.png").exists() and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)

    assert run.wait() == 130
    assert run.errors.read_text() == "interrupted; nothing is lost, run the same command again\n"
    for path in folder.glob("*/*.png"):
        with Image.open(path) as picture:
            picture.load()
