"""`captionary vocabulary teach` and its like: one line of what was done, and the way back."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.schemas.pointing import FIRST_POINTED
from tests.cli.running import World, captionary
from tests.stores import copy_store


@pytest.fixture
def store(world: World, tmp_path: Path) -> Path:
    """A copy of the dictionary, to be changed."""
    return copy_store(world.store, tmp_path / "store")


def said(*arguments: object) -> str:
    """The one line that a command prints."""
    answer = captionary("vocabulary", *arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count("\n") == 1
    return answer.out.rstrip("\n")


def place_of(store: Path, noun: str) -> tuple[str, int]:
    """Picture and region of a noun's first exemplar, as `show` prints them."""
    words = captionary("vocabulary", "show", noun, "--store", store).out.split()
    return words[words.index("box") - 1], int(words[words.index("region") + 1].rstrip(":"))


def test_teaching_from_a_file_is_shown_and_undone(
    world: World, store: Path, models: tuple[str, ...], tmp_path: Path
) -> None:
    options = ("--store", store, *models)
    mask = np.zeros((96, 96), np.uint8)
    mask[10:60, 20:70] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    boxed = said("teach", "Zeppelins", world.images[0], "--box", "10,10,40,40", *options)
    assert boxed.startswith("'zeppelin' is region ")
    assert boxed.endswith(f"undo with 'captionary vocabulary undo 1 --store {store}'")
    masked = ("teach", "zeppelin", world.images[1], "--mask", tmp_path / "mask.png", *options)
    assert "'captionary vocabulary undo 2 " in said(*masked)
    assert said(*masked).startswith("that is in force already")
    shown = captionary("vocabulary", "show", "zeppelin", "--store", store).out
    assert "regions, spread" in shown
    assert ", pointed at\n" in shown
    assert place_of(store, "zeppelin")[1] >= FIRST_POINTED
    said("teach", "zeppelin", world.images[2], "--not", *options)
    assert ", refused\n" in captionary("vocabulary", "show", "zeppelin", "--store", store).out
    listed = json.loads(said("history", "--json", "--store", store))
    assert [item["kind"] for item in listed] == ["teach", "teach", "refuse"]
    lines = captionary("vocabulary", "history", "--store", store).out.splitlines()
    assert lines[0].startswith("   1  'zeppelin' is region ")
    assert lines[-1] == "3 corrections"
    assert said("undo", *options).startswith("undone 3: 'zeppelin' is not region ")
    assert said("undo", 1, *options).startswith("undone 1: 'zeppelin' is region ")
    assert said("undo", *options).startswith("undone 2: ")
    assert captionary("vocabulary", "show", "zeppelin", "--store", store).code == 2


def test_a_stored_region_is_refused_and_confirmed(store: Path, models: tuple[str, ...]) -> None:
    options = ("--store", store, *models)
    image, region = place_of(store, "night sky")
    line = said("untag", "night sky", image, "--region", region, *options)
    assert line.startswith(f"'night sky' is not region {region} of picture {image}; ")
    line = said("teach", "night sky", image, "--region", region, *options)
    assert line.startswith(f"'night sky' is region {region} of picture {image}; ")
    line = said("untag", "night sky", image, *options)
    assert line.startswith(f"'night sky' is nowhere in picture {image}; ")


def test_names_are_changed_and_each_change_is_said(store: Path, models: tuple[str, ...]) -> None:
    options = ("--store", store, *models)
    assert said("rename", "bus", "Coach", *options).startswith("'bus' is called 'coach'; ")
    assert said("merge", "coach", "man", *options).startswith("'coach' is a part of 'man'; ")
    assert said("alias", "man", "chap", *options).startswith("'chap' is another name of 'man'; ")
    assert said("block", "apple", *options).startswith("'apple' is not learned; ")
    nouns = captionary("vocabulary", "list", "--store", store, "--limit", 0).out.split()
    assert {"bus", "coach", "apple"}.isdisjoint(nouns)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("teach", "dog", "a.png", "--box", "1,2,3"), "--box '1,2,3' is not four numbers"),
        (("teach", "dog", "a.png", "--box", "1,2,3,4", "--region", 1), "point in one way"),
        (("teach", "dog", "missing.png"), "missing.png"),
        (("teach", "dog", "nobody", "--region", 0), "the dictionary has no picture 'nobody'"),
        (("untag", "dog", "nobody"), "the dictionary has no picture 'nobody'"),
        (("rename", "zeppelin", "airship"), "the dictionary has no noun 'zeppelin'"),
        (("undo", 7), "there is no correction 7 to undo"),
    ],
)
def test_what_cannot_be_corrected_is_said_in_one_line(
    arguments: tuple[object, ...], message: str, world: World, models: tuple[str, ...]
) -> None:
    answer = captionary("vocabulary", *arguments, "--store", world.store, *models)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err
