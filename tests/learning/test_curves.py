import ast
import csv
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.learning.curves import MAX_POINTS, average_down, draw_curves
from captionary.learning.progress import Progress, log_columns

ROOT = Path(__file__).parents[2]


def write_log(path: Path, *, parts: tuple[str, ...], names: tuple[str, ...]) -> Path:
    """Sixty lines whose loss becomes negative; every twentieth has metrics."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, log_columns(parts, names))
        writer.writeheader()
        for step in range(10, 610, 10):
            losses = {name: 3 / step - number / 9 for number, name in enumerate(parts)}
            metrics = dict.fromkeys(names, step / 600) if step % 200 == 0 else {}
            progress = Progress(step, sum(losses.values()), losses, 1 / step, 7.0, metrics)
            writer.writerow(progress.row)
    return path


def words(picture: Path) -> set[str]:
    """The words that are written in a picture, but for numbers."""
    elements = xml.etree.ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")
    texts = {"".join(text.itertext()) for text in elements}
    return {text for text in texts if any(letter.isalpha() for letter in text)}


@pytest.mark.parametrize(
    ("parts", "names", "expected"),
    [
        (("contrast",), (), set()),
        (("contrast",), ("miou",), {"figures of the evaluations", "miou"}),
        (
            ("contrast", "picture_prototypes"),
            ("image_to_text_1", "accuracy"),
            {
                "contrast",
                "picture prototypes",
                "figures of the evaluations",
                "image to text 1",
                "accuracy",
            },
        ),
    ],
)
def test_what_is_in_the_log_is_drawn_and_named(
    tmp_path: Path, parts: tuple[str, ...], names: tuple[str, ...], expected: set[str]
) -> None:
    log = write_log(tmp_path / "log.csv", parts=parts, names=names)

    draw_curves(log, tmp_path / "curves.svg")

    assert words(tmp_path / "curves.svg") == {"loss", "learning rate", "step"} | expected
    assert {file.name for file in tmp_path.iterdir()} == {"log.csv", "curves.svg"}


def test_equal_logs_give_equal_pictures(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", parts=("a", "b"), names=("miou",))
    for name in ("one.svg", "two.svg"):
        draw_curves(log, tmp_path / name)

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_log_before_the_first_evaluation_is_drawn(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", parts=("a",), names=("miou",))
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))

    draw_curves(log, tmp_path / "curves.svg")

    assert "loss" in words(tmp_path / "curves.svg")


@given(st.integers(1, 5 * MAX_POINTS))
def test_a_long_line_is_thinned_to_means(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    means = average_down(values)

    assert len(means) == min(count, MAX_POINTS)
    assert values.min() <= means.min() <= means.max() <= values.max()
    if count % MAX_POINTS == 0:
        np.testing.assert_allclose(means, values.reshape(MAX_POINTS, -1).mean(axis=1))
    assert (np.diff(average_down(np.arange(count, dtype=np.float64))) > 0).all()


def test_what_does_not_draw_imports_nothing_for_it() -> None:
    """matplotlib takes as long to import as torch, and processes of a run import the trainer."""
    files = [*(ROOT / "captionary/learning").rglob("*.py")]
    imports = [
        node
        for path in files
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert len(imports) > len(files)
    assert not [node for node in imports if "matplotlib" in ast.unparse(node)]
