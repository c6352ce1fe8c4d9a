"""`captionary vocabulary report`, `calibrate` and `prune`."""

import json
from pathlib import Path

import pytest

from tests.cli.running import World, captionary
from tests.stores import copy_store


@pytest.fixture
def store(world: World, tmp_path: Path) -> Path:
    """A copy of the dictionary, to be changed."""
    return copy_store(world.store, tmp_path / "store")


def test_report_prints_and_writes_the_same(store: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "report.html", tmp_path / "report.json"
    shown = captionary("vocabulary", "report", "--store", store, "--out", page)
    plain = captionary("vocabulary", "report", "--store", store, "--out", figures, "--json")

    assert (shown.code, plain.code) == (0, 0)
    assert json.loads(plain.out) == json.loads(figures.read_text())
    nouns = [item["noun"] for item in json.loads(plain.out)["nouns"]]
    assert f"{len(nouns)} nouns asked" in shown.out
    assert all(noun in page.read_text() for noun in nouns)

    wrong = captionary("vocabulary", "report", "--store", store, "--out", tmp_path / "report.txt")
    assert wrong.code == 2
    assert "neither .html nor .json" in wrong.err


def test_calibrate_keeps_what_masks_choose_until_it_is_reset(store: Path, world: World) -> None:
    on = ("--on", world.captions.parent, "--part", "1/4")
    tried = captionary("vocabulary", "calibrate", "--store", store, *on, "--dry-run")
    before = captionary("vocabulary", "stats", "--store", store, "--json")
    chosen = captionary("vocabulary", "calibrate", "--store", store, *on)
    after = captionary("vocabulary", "stats", "--store", store, "--json")
    back = captionary("vocabulary", "calibrate", "--store", store, "--reset")
    again = captionary("vocabulary", "stats", "--store", store, "--json")

    assert (tried.code, chosen.code, back.code) == (0, 0, 0)
    assert "nothing was written" in tried.out
    assert chosen.out.splitlines()[0] == tried.out.splitlines()[0]
    assert json.loads(before.out)["weights"] == {}
    assert ("chosen" in chosen.out) == bool(json.loads(after.out)["weights"])
    assert again == before


def test_calibrate_by_captions_of_few_pictures_changes_nothing(store: Path) -> None:
    answer = captionary("vocabulary", "calibrate", "--store", store)

    assert answer.code == 0
    assert "as in any dictionary" in answer.out


def test_calibrate_wants_a_dataset_for_a_part(store: Path) -> None:
    answer = captionary("vocabulary", "calibrate", "--store", store, "--part", "1/2")

    assert answer.code == 2
    assert "--part is of a dataset" in answer.err


def test_prune_does_what_it_says_beforehand(store: Path) -> None:
    said = captionary("vocabulary", "prune", "--store", store, "--dry-run", "--json")
    done = captionary("vocabulary", "prune", "--store", store)

    assert (said.code, done.code) == (0, 0)
    count = len(json.loads(said.out))
    assert ("nothing was changed" in done.out) if not count else (f"{count} nouns" in done.out)
