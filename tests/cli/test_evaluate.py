"""`captionary evaluate`: figures, as a table and as JSON."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import World, captionary
from tests.scenes import SIDE

KEYS = {
    *("miou", "pixel_accuracy", "iou", "images", "seconds_per_image"),
    *("left_out", "notes", "settings", "without_noun", "kinds"),
}


@pytest.fixture
def dataset(world: World, tmp_path: Path) -> Path:
    """Two pictures: left half bear, right half grass, a strip of neither; no fish anywhere."""
    folder = tmp_path / "data[set]"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, SIDE // 2 :] = 1
    mask[:5] = 255
    for image in world.images[:2]:
        shutil.copy(image, folder / "images")
        Image.fromarray(mask).save(folder / "masks" / f"{image.stem}.png")
    (folder / "classes.txt").write_text("[bear]\ngrass | lawn\nfish\n")
    return folder


@pytest.mark.parametrize("fusion", ["text", "both"])
def test_figures_are_fractions_under_the_documented_keys(
    fusion: str, dataset: Path, world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    store = ("--store", world.store) if fusion == "both" else ()

    answer = captionary(
        "evaluate", dataset, "--fusion", fusion, "--json", tmp_path / "a.json", *store, *models
    )

    assert answer.code == 0
    assert answer.err == (fusion == "both") * (
        "captionary: the dictionary has no noun for [bear], grass, fish: judged by text, or by "
        "near nouns\n"
    )
    assert "\x1b" not in answer.out
    assert "[bear]" in answer.out
    assert "2 pictures" in answer.out
    figures = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert figures.keys() == KEYS
    assert figures["images"] == 2
    assert figures["without_noun"] == (["[bear]", "grass", "fish"] if fusion == "both" else [])
    assert figures["seconds_per_image"] > 0
    assert list(figures["iou"]) == ["[bear]", "grass", "fish"]
    shares = [figures["miou"], figures["pixel_accuracy"], *figures["iou"].values()]
    assert all(share is None or 0 <= share <= 1 for share in shares)
    assert figures["settings"]["fusion"] == fusion
    assert figures["settings"]["fingerprint"].startswith("superpixels-")


def test_a_part_has_a_part_of_the_pictures(
    dataset: Path, models: tuple[str, ...], tmp_path: Path
) -> None:
    answer = captionary(
        *("evaluate", dataset, "--fusion", "text", "--part", "2/2"),
        *("--json", tmp_path / "a.json", *models),
    )

    assert answer.code == 0
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["images"] == 1


def test_masks_that_ignore_everything_give_no_figures(
    dataset: Path, models: tuple[str, ...]
) -> None:
    for mask in (dataset / "masks").iterdir():
        Image.fromarray(np.full((SIDE, SIDE), 255, np.uint8)).save(mask)

    answer = captionary("evaluate", dataset, "--fusion", "text", *models)

    assert (answer.code, answer.err) == (0, "")
    assert "mIoU - %" in answer.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--part", "3/2"), "the part '3/2' is not of the form n/m"),
        (("--part", "half"), "the part 'half' is not of the form n/m"),
        (("--json", "nowhere/a.json"), "cannot write nowhere/a.json: No such file or directory"),
        (("--json", "."), "cannot write .: Is a directory"),
        (("--store", "nowhere", "--fusion", "both"), "there is no dictionary at nowhere"),
        (("--threshold", "7"), "Invalid value for '--threshold'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    options: tuple[str, ...], message: str, dataset: Path, models: tuple[str, ...]
) -> None:
    answer = captionary("evaluate", dataset, "--fusion", "text", *models, *options)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err


@pytest.mark.parametrize("missing", ["images", "masks", "classes.txt"])
def test_a_dataset_that_lacks_something_is_refused(missing: str, dataset: Path) -> None:
    part = dataset / missing
    shutil.rmtree(part) if part.is_dir() else part.unlink()

    answer = captionary("evaluate", dataset, "--fusion", "text")

    assert answer.code == 2
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert missing in answer.err


def test_what_cannot_be_read_is_left_out_and_counted(
    dataset: Path, world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    shutil.copy(world.images[2], dataset / "images")
    Image.new("L", (SIDE, SIDE), 7).save(dataset / "masks" / f"{world.images[2].stem}.png")
    image = dataset / "images" / world.images[0].name
    image.write_bytes(image.read_bytes()[:500])

    answer = captionary(
        "evaluate", dataset, "--fusion", "text", "--json", tmp_path / "a.json", *models
    )

    assert answer.code == 2
    assert "1 pictures, " in answer.out
    assert "each, 2 left out" in answer.out
    mask, picture = answer.err.splitlines()
    assert "holds the value 7 but classes.txt has 3 classes" in mask
    assert f"{image} is truncated or damaged" in picture
    figures = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [f"captionary: {reason}" for reason in figures["left_out"]] == [mask, picture]


def test_no_figures_where_nothing_can_be_read(dataset: Path, models: tuple[str, ...]) -> None:
    for image in (dataset / "images").iterdir():
        image.write_bytes(image.read_bytes()[:500])

    answer = captionary("evaluate", dataset, "--fusion", "text", *models)

    assert (answer.code, answer.out) == (2, "")
    assert "no picture can be used; the first: " in answer.err


def test_masks_of_black_and_white_score_as_those_of_0_and_1(
    dataset: Path, models: tuple[str, ...], tmp_path: Path
) -> None:
    figures = []
    (dataset / "classes.txt").write_text("bear\ngrass\n")
    for white in (1, 255):
        for mask in (dataset / "masks").iterdir():
            values = np.zeros((SIDE, SIDE), np.uint8)
            values[:, SIDE // 2 :] = white
            Image.fromarray(values).save(mask)
        answer = captionary(
            "evaluate", dataset, "--fusion", "text", "--json", tmp_path / "a.json", *models
        )
        assert answer.code == 0
        figures.append(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["iou"])

    assert figures[0] == figures[1]
    assert answer.err.startswith(
        "masks of 0 and 255, in which 0 was taken for 'bear' and 255 for 'grass': 2 (first: "
    )
