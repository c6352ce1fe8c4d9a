import csv
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.learning.curves import MOST_POINTS, draw_curves, thinned
from captionary.learning.progress import Progress, log_columns


def write_log(path: Path, *, parts: tuple[str, ...], measures: tuple[str, ...]) -> Path:
    """Sixty lines whose loss becomes negative; every twentieth has figures."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, log_columns(parts, measures))
        writer.writeheader()
        for step in range(10, 610, 10):
            losses = {name: 3 / step - number / 9 for number, name in enumerate(parts)}
            figures = dict.fromkeys(measures, step / 600) if step % 200 == 0 else {}
            now = Progress(step, sum(losses.values()), losses, 1 / step, 7.0, figures)
            writer.writerow(now.row)
    return path


def words(picture: Path) -> set[str]:
    """The words that are written in a picture, but for numbers."""
    said = xml.etree.ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")
    texts = {"".join(text.itertext()) for text in said}
    return {text for text in texts if any(letter.isalpha() for letter in text)}


@pytest.mark.parametrize(
    ("parts", "measures", "expected"),
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
    tmp_path: Path, parts: tuple[str, ...], measures: tuple[str, ...], expected: set[str]
) -> None:
    log = write_log(tmp_path / "log.csv", parts=parts, measures=measures)

    draw_curves(log, tmp_path / "curves.svg")

    assert words(tmp_path / "curves.svg") == {"loss", "learning rate", "step"} | expected
    assert {file.name for file in tmp_path.iterdir()} == {"log.csv", "curves.svg"}


def test_equal_logs_give_equal_pictures(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", parts=("a", "b"), measures=("miou",))
    for name in ("one.svg", "two.svg"):
        draw_curves(log, tmp_path / name)

    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_a_log_before_the_first_evaluation_is_drawn(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", parts=("a",), measures=("miou",))
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:2]))

    draw_curves(log, tmp_path / "curves.svg")

    assert "loss" in words(tmp_path / "curves.svg")


@given(st.integers(1, 5 * MOST_POINTS))
def test_a_long_line_is_thinned_to_means(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    means = thinned(values)

    assert len(means) == min(count, MOST_POINTS)
    assert values.min() <= means.min() <= means.max() <= values.max()
    if count % MOST_POINTS == 0:
        np.testing.assert_allclose(means, values.reshape(MOST_POINTS, -1).mean(axis=1))
    assert (np.diff(thinned(np.arange(count, dtype=np.float64))) > 0).all()


def test_who_does_not_draw_imports_nothing_for_it() -> None:
    program = "import sys, captionary.learning.trainer; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
