"""The examples run as they stand, in an empty folder, without data and network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def run(example: str, folder: Path, *arguments: str) -> str:
    answer = subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    return answer.stdout


@pytest.mark.slow
def test_a_word_is_taught(tmp_path: Path) -> None:
    said = run("teach_a_word.py", tmp_path, "--out", "taught")
    before, after = map(int, re.findall(r"IoU of the tractor (\d+)%", said))
    assert before < 10
    assert after > 30
    assert {path.name for path in (tmp_path / "taught").glob("*.jpg")} == {
        "before.jpg",
        "after.jpg",
    }


@pytest.mark.slow
def test_a_dictionary_is_grown_and_corrected(tmp_path: Path) -> None:
    said = run("grow_filter_correct.py", tmp_path, "--out", "corrected")
    assert re.search(r"\d+ pictures removed, \d+ nouns refreshed", said)
    names = {path.name for path in (tmp_path / "corrected").iterdir()}
    assert {"before.jpg", "after.jpg", "classes.txt"} < names
    assert "picture.coco.json" in names


@pytest.mark.slow
def test_a_word_is_taught_by_pointing(tmp_path: Path) -> None:
    said = run("teach_by_pointing.py", tmp_path, "--out", "pointed")
    before, after = map(int, re.findall(r"IoU of the tractor (\d+)%", said))
    assert before < 10
    assert after > 30
    assert "one taken back; 5 boxes are left" in said
    assert {"before.jpg", "after.jpg"} < {path.name for path in (tmp_path / "pointed").iterdir()}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_run_here(example: Path) -> None:
    assert example.name in Path(__file__).read_text(encoding="utf-8")
