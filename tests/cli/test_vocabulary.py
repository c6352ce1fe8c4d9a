"""`captionary vocabulary`: what the dictionary holds, and taking things out of it."""

import json
from pathlib import Path

import pytest

from tests.cli.running import World, captionary
from tests.stores import copy_store


@pytest.fixture
def store(world: World, tmp_path: Path) -> Path:
    """A copy of the dictionary, to be changed."""
    return copy_store(world.store, tmp_path / "store")


def test_list_begins_with_the_nouns_of_most_pictures(world: World) -> None:
    answer = captionary("vocabulary", "list", "--store", world.store, "--limit", 0)

    *table, total = answer.out.splitlines()
    heading, *lines = (line.split() for line in table)
    assert (answer.code, answer.err) == (0, "")
    assert heading == ["noun", "pictures", "regions", "prototypes"]
    assert total == f"{len(lines)} nouns"
    pictures = [int(line[-3]) for line in lines]
    assert pictures == sorted(pictures, reverse=True)
    assert ["teddy", "bear"] in [line[:2] for line in lines]


def test_list_stops_at_its_limit(world: World) -> None:
    answer = captionary("vocabulary", "list", "--store", world.store, "--limit", 3)

    assert len(answer.out.splitlines()) == 5


def test_show_tells_the_captions_behind_a_noun(world: World) -> None:
    answer = captionary("vocabulary", "show", "night sky", "--store", world.store)

    assert answer.code == 0
    assert answer.out.startswith("night sky: 1 pictures, 1 regions\nprototype 0: 1 regions")
    assert "a hound, a bus and the teddy bear under the night sky" in answer.out


@pytest.mark.parametrize("name", ["Night_Sky", "night-skies", "the night sky"])
def test_show_takes_any_spelling(world: World, name: str) -> None:
    answer = captionary("vocabulary", "show", name, "--store", world.store)

    assert answer == captionary("vocabulary", "show", "night sky", "--store", world.store)


def test_show_of_an_unknown_noun(world: World) -> None:
    answer = captionary("vocabulary", "show", "zeppelin", "--store", world.store)

    assert (answer.code, answer.out) == (2, "")
    assert "the dictionary has no noun 'zeppelin'" in answer.err


def test_stats_as_json_have_the_documented_keys(world: World) -> None:
    answer = captionary("vocabulary", "stats", "--json", "--store", world.store)

    figures = json.loads(answer.out)
    assert {"images", "regions", "nouns", "prototypes", "fingerprint"} <= figures.keys()
    assert figures["images"] == 8
    assert 10 < figures["nouns"] <= figures["prototypes"]


def test_removing_a_picture_takes_its_nouns_along(store: Path, models: tuple[str, ...]) -> None:
    before = json.loads(captionary("vocabulary", "stats", "--json", "--store", store).out)
    shown = captionary("vocabulary", "show", "night sky", "--store", store).out
    image = shown.split()[shown.split().index("box") - 1]

    answer = captionary("vocabulary", "remove", "--image", image, "--store", store, *models)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("1 pictures removed, ")
    after = json.loads(captionary("vocabulary", "stats", "--json", "--store", store).out)
    assert after["images"] == before["images"] - 1
    assert after["regions"] < before["regions"]
    gone = captionary("vocabulary", "show", "night sky", "--store", store)
    assert (gone.code, gone.out) == (2, "")
    assert "the dictionary has no noun 'night sky'" in gone.err


def test_removing_the_only_source_leaves_an_empty_dictionary(
    world: World, store: Path, models: tuple[str, ...], tmp_path: Path
) -> None:
    answer = captionary("vocabulary", "remove", "--source", "drawn", "--store", store, *models)

    assert answer.out.startswith("8 pictures removed, ")
    figures = json.loads(captionary("vocabulary", "stats", "--json", "--store", store).out)
    assert {figures[name] for name in ("images", "regions", "nouns", "prototypes")} == {0}
    assert captionary("vocabulary", "list", "--store", store).out.endswith("0 nouns\n")
    segmenting = captionary(
        *("segment", world.images[0], "--classes", "bear, grass", "--store", store),
        *("--out", tmp_path / "out", *models),
    )
    assert segmenting.code == 2
    assert segmenting.err.endswith("is empty; fill it with 'captionary index'\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "name what to remove: either --image ID or --source NAME"),
        (("--image", "a", "--source", "b"), "name what to remove: either"),
        (("--image", "nobody"), "has no picture 'nobody'; nothing was removed"),
        (("--source", "nowhere"), "has no source 'nowhere'; nothing was removed"),
    ],
)
def test_what_cannot_be_removed_is_said_in_one_line(
    options: tuple[str, ...], message: str, world: World
) -> None:
    answer = captionary("vocabulary", "remove", *options, "--store", world.store)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err


@pytest.mark.parametrize("command", ["list", "stats"])
def test_no_dictionary_is_made_by_looking(command: str, tmp_path: Path) -> None:
    answer = captionary("vocabulary", command, "--store", tmp_path / "store")

    assert answer.code == 2
    assert f"there is no dictionary at {tmp_path / 'store'}" in answer.err
    assert not (tmp_path / "store").exists()
