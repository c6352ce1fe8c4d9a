"""`captionary segment`: what it writes, and what it refuses."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.running import World, captionary
from tests.scenes import SIDE
from tests.stores import copy_store

ROOT = Path(__file__).parents[2]
CLASSES = "teddy bear, grass, person: man | woman, zeppelin"


@contextmanager
def opened_elsewhere(store: Path) -> Iterator[None]:
    """Another process has the store open."""
    code = "import sys\nfrom captionary.vocabulary.engines.edge import EdgeEngine\n"
    code += "e = EdgeEngine(sys.argv[1]); "
    code += "print('open', flush=True); sys.stdin.read(); e.close()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(store)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        yield
        other.communicate()


def test_a_picture_becomes_the_files_asked_for(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    options = ("--classes", CLASSES, "--store", world.store, "--out", tmp_path, *models)

    answer = captionary(
        "segment", world.images[0], *options, "--format", "overlay,png,json,coco", "--evidence", 1
    )

    assert answer.code == 0
    assert answer.err == (
        "captionary: the dictionary has no noun for grass, zeppelin: judged by text, or by "
        "near nouns\n"
    )
    assert answer.out == f"1 of 1 pictures segmented into {tmp_path}\n"
    stem = world.images[0].stem
    names = {f"{stem}{end}" for end in (".overlay.jpg", ".png", ".json", ".coco.json")}
    assert {path.name for path in tmp_path.iterdir()} == {*names, "classes.txt"}
    with Image.open(tmp_path / f"{stem}.png") as picture:
        labels = np.asarray(picture)
    assert labels.shape == (SIDE, SIDE)
    assert labels.max() < 4
    told = json.loads((tmp_path / f"{stem}.json").read_text(encoding="utf-8"))
    assert (told["size"], told["classes"][2]) == ([SIDE, SIDE], "person")
    assert told["without_noun"] == ["grass", "zeppelin"]
    assert sum(mask["area"] for mask in told["masks"]) == SIDE * SIDE
    assert max(len(region["evidence"]) for region in told["regions"]) == 1
    coco = json.loads((tmp_path / f"{stem}.coco.json").read_text(encoding="utf-8"))
    assert coco["images"][0]["file_name"] == world.images[0].name


def test_a_folder_without_a_dictionary_by_text(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for image in world.images[:2]:
        shutil.copy(image, folder)
    (folder / "notes.txt").write_text("no picture")
    (tmp_path / "classes.txt").write_text("bear\nperson | man\n")

    answer = captionary(
        *("segment", folder, "--classes", f"@{tmp_path / 'classes.txt'}", "--fusion", "text"),
        *("--format", "png", "--out", out, "--background", "auto", *models),
    )

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("2 of 2 pictures")
    assert len(list(out.glob("*.png"))) == 2
    assert (out / "classes.txt").read_text() == "bear\nperson\nbackground\n"


def test_bad_pictures_are_told_and_the_good_ones_done(
    world: World, models: tuple[str, ...], wrong_pictures: dict[str, Path], tmp_path: Path
) -> None:
    pictures = (*wrong_pictures.values(), world.images[0])

    answer = captionary(
        *("segment", *pictures, "--classes", CLASSES, "--store", world.store, *models),
        *("--format", "png", "--out", tmp_path / "out"),
    )

    assert answer.code == 2
    assert answer.out.startswith("1 of 6 pictures segmented")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 6  # one line a picture, and one for classes without a noun
    assert all(str(path) in answer.err for path in wrong_pictures.values())
    assert (tmp_path / "out" / f"{world.images[0].stem}.png").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--classes", ""), "the class list is empty; give at least one name"),
        (("--classes", " , ,"), "the class list is empty; give at least one name"),
        (("--classes", "road, sky, Road"), "'Road' stands twice in the class list"),
        (("--classes", "person: man, man"), "'man' stands twice in the class list"),
        (("--classes", "classes.txt"), "is the name of a file; write @classes.txt to have"),
        (("--classes", "dog . cat . bus"), "has full stops between words; write commas"),
        (("--classes", __file__), f"{__file__} is a file; write @{__file__} to have the classes"),
        (("--classes", "@nowhere.txt"), "cannot read the class list nowhere.txt"),
        (("--format", "gif"), "the format list names gif; it may hold overlay, png, json, coco"),
        (("--format", ""), "the format list names nothing"),
        (("--threshold", "7"), "Invalid value for '--threshold'"),
        (("--fusion", "magic"), "Invalid value for '--fusion'"),
        (("--background", "magic"), "Invalid value for '--background'"),
        (("--evidence", "-1"), "Invalid value for '--evidence'"),
        (("--clases", "road"), "No such option: --clases"),
        (("--store", "nowhere"), "there is no dictionary at nowhere; make one with"),
        (("--store", "ftp://localhost/x"), "the store ftp://... is of no known kind"),
        (("--proposer", "whole"), "but this process runs 'whole+crop-"),
        (("--proposer", "masks:nowhere"), "the folder of masks nowhere does not exist"),
        (("--looks", "none"), "the store was built with 'superpixels-"),
        (("--looks", "look-lite0@2"), "-looks-"),
        (("--looks", "look-lite0:16"), "with 16 pixels on the shorter side; give 32 to 2048"),
        (("--looks", "look-lite0@99"), "has no block 99"),
        (("--looks", "local-dir:nowhere"), "nowhere does not exist"),
        (("--encoder", "local-dir:nowhere"), "the encoder folder nowhere does not exist"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    options: tuple[str, ...],
    message: str,
    world: World,
    models: tuple[str, ...],
    tmp_path: Path,
) -> None:
    answer = captionary(
        *("segment", world.images[0], "--classes", CLASSES, "--store", world.store),
        *("--out", tmp_path / "out", *models, *options),
    )

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fusion", ["calibrated", "prototypes", "both"])
def test_what_reads_a_dictionary_wants_one(
    fusion: str, world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    """An empty folder is no dictionary, and looking for one makes none."""
    store = tmp_path / "none"
    store.mkdir()
    answer = captionary(
        *("segment", world.images[0], "--classes", CLASSES, "--fusion", fusion),
        *("--store", store, *models),
    )

    assert answer.code == 2
    assert answer.err == (
        f"captionary: there is no dictionary at {store}; "
        "make one with 'captionary index', or give another --store\n"
    )
    assert not any(store.iterdir())


def test_another_class_list_is_not_overwritten(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    """The user's own class file may stand in the folder that results go to."""
    classes = tmp_path / "classes.txt"
    classes.write_text("bear | grizzly\ngrass\n")
    options = ("--classes", f"@{classes}", "--fusion", "text", "--out", tmp_path, *models)
    answer = captionary("segment", world.images[0], *options)
    assert answer.code == 2
    assert "lists other classes" in answer.err
    assert classes.read_text() == "bear | grizzly\ngrass\n"


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    answer = captionary("segment", tmp_path, "--classes", CLASSES, "--fusion", "text")

    assert answer.code == 2
    assert f"the folder {tmp_path} has no pictures" in answer.err


def test_pictures_that_would_write_the_same_files_are_refused(world: World, tmp_path: Path) -> None:
    twin = shutil.copy(world.images[0], tmp_path)

    answer = captionary("segment", world.images[0], twin, "--classes", CLASSES, "--fusion", "text")

    assert answer.code == 2
    assert "would write the same results" in answer.err


def test_an_out_that_is_a_file_is_refused(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("mine")

    answer = captionary(
        *("segment", world.images[0], "--classes", CLASSES, "--fusion", "text"),
        *("--out", tmp_path / "out", *models),
    )

    assert answer.code == 2
    assert answer.err.startswith(f"captionary: cannot write into {tmp_path / 'out'}")
    assert (tmp_path / "out").read_text() == "mine"


def test_a_store_in_use_is_refused_and_unharmed(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    store = copy_store(world.store, tmp_path / "store")
    refusal = f"captionary: the store {store} is in use by another process"
    command = ("segment", world.images[0], "--classes", CLASSES, "--store", store, *models)

    with opened_elsewhere(store):
        segmenting = captionary(*command, "--out", tmp_path / "out")
        indexing = captionary("index", world.captions, "--store", store, *models)
        listing = captionary("vocabulary", "list", "--store", store)

    for answer in (segmenting, indexing, listing):
        assert (answer.code, answer.out) == (2, "")
        assert answer.err.startswith(refusal)
        assert answer.err.count("\n") == 1
    assert captionary("vocabulary", "list", "--store", store).code == 0


def test_the_store_remembers_its_models(world: World, tmp_path: Path) -> None:
    """No --encoder is named: the one that the store was built with is taken, not the default."""
    options = ("--classes", CLASSES, "--store", world.store, "--out", tmp_path, "--device", "cpu")
    answer = captionary("segment", world.images[0], *options)
    assert answer.code == 0
