"""A small demo from end to end, with the real models."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from captionary.demo.folder import MADE
from captionary.demo.run import run_demo
from captionary.demo.scenes import Sizes

SIZES = Sizes(seen=4, novel=2, captioned=6, held_out=2, taught=3, asked=1)
FUSIONS = ["text", "calibrated", "prototypes", "both", "all"]


class Progress:
    """Remembers the lines of progress: label, total and how much was done."""

    def __init__(self) -> None:
        self.lines: list[ProgressLine] = []

    def add(self, label: str, total: int | None = None) -> "ProgressLine":
        self.lines.append(ProgressLine(label, total))
        return self.lines[-1]


class ProgressLine:
    def __init__(self, label: str, total: int | None) -> None:
        self.label, self.total, self.done = label, total, 0

    def show(self, done: int, total: int | None = None) -> None:
        self.done, self.total = done, self.total if total is None else total


def run(folder: Path) -> tuple[dict[str, Any], Progress]:
    progress = Progress()
    return run_demo(folder, "mini", seed=0, sizes=SIZES, progress=progress), progress


@pytest.fixture(scope="module")
def results(folder: Path) -> tuple[dict[str, Any], Progress]:
    return run(folder)


@pytest.fixture(scope="module")
def figures(results: tuple[dict[str, Any], Progress]) -> dict[str, Any]:
    return results[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "a demo & <more>"


def test_the_figures_are_fractions_under_the_documented_keys(
    folder: Path, figures: dict[str, Any]
) -> None:
    written = json.loads((folder / "results.json").read_text(encoding="utf-8"))

    assert written == figures
    assert figures.keys() == {"seen", "novel", "growth", "settings", "seconds"}
    for group in ("seen", "novel"):
        assert list(figures[group]) == FUSIONS
    growth = figures["growth"]
    assert growth.keys() == {"noun", "text", "before", "after"}
    shares = [*figures["seen"].values(), *figures["novel"].values()]
    shares += [growth[name] for name in ("text", "before", "after")]
    assert all(share is None or 0 <= share <= 1 for share in shares)
    assert figures["settings"]["taught"] == SIZES.taught
    assert all(seconds > 0 for seconds in figures["seconds"].values())


def test_progress_comes_to_its_end(results: tuple[dict[str, Any], Progress]) -> None:
    _, progress = results

    assert [line.label for line in progress.lines] == [
        "captioned scenes",
        "nouns",
        "held-out scenes",
        "newcomer-held-out scenes",
        "newcomer scenes",
        "nouns",
    ]
    assert all(line.done == line.total for line in progress.lines)


def test_the_page_shows_every_picture_and_fetches_nothing(
    folder: Path, figures: dict[str, Any]
) -> None:
    html = (folder / "index.html").read_text(encoding="utf-8")
    sources = re.findall(r'<img src="([^"]+)"', html)

    assert sorted(sources) == sorted(
        path.relative_to(folder).as_posix() for path in (folder / "pictures").iterdir()
    )
    for source in sources:
        with Image.open(folder / source) as picture:
            picture.load()
    assert len(sources) >= 4 + 4 * SIZES.held_out + SIZES.taught + 4
    assert figures["growth"]["noun"] in html
    assert "http" not in html
    assert "$" not in html
    assert "&#x27;" in html or "&amp;" in html
    assert "<more>" not in html


def test_everything_made_is_listed(folder: Path, figures: dict[str, Any]) -> None:
    assert figures
    assert {path.name for path in folder.iterdir()} == {"ABOUT.txt", *MADE}
    with Image.open(folder / "story.png") as story:
        assert story.width == 1200


def test_again_is_the_same_and_spares_what_is_not_its_own(
    folder: Path, figures: dict[str, Any]
) -> None:
    (folder / "segmented").mkdir()
    page = (folder / "pictures" / "shown-1-4.png").read_bytes()

    again, _ = run(folder)

    assert {**again, "seconds": None} == {**figures, "seconds": None}
    assert (folder / "pictures" / "shown-1-4.png").read_bytes() == page
    assert (folder / "segmented").is_dir()
