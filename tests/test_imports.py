"""Imports run downwards only, and `captionary --help` stays light."""

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT: dict[str, set[str]] = {
    "schemas": set(),
    "vision": {"schemas"},
    "vocabulary": {"schemas"},
    "serving": {"schemas"},
    "client": {"schemas"},
    "indexer": {"schemas", "serving", "vision", "vocabulary"},
    "segmenter": {"schemas", "serving", "vision", "vocabulary"},
    "learning": {"schemas", "vision", "vocabulary"},
    "pictograms": {"schemas"},
}
MAY_IMPORT["captionary"] = {*MAY_IMPORT}
HOUSE = {*MAY_IMPORT, "tests", "benchmarks"}
NOT_IN_SCHEMAS = {"torch", "qdrant_client", "qdrant_edge", "open_clip", "spacy"}
HEAVY = {
    "torch",
    "spacy",
    "open_clip",
    "sklearn",
    "skimage",
    "matplotlib",
    "qdrant_client",
    "qdrant_edge",
    "pyarrow",
    "pydantic",
    "fastapi",
}


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level name of every absolute import of a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


def violations(root: Path) -> list[str]:
    """Every import of the house under `root` that does not run downwards."""
    found = []
    for package, allowed in MAY_IMPORT.items():
        forbidden = HOUSE - allowed - {package}
        if package == "schemas":
            forbidden |= NOT_IN_SCHEMAS
        for path in sorted((root / package).rglob("*.py")):
            found += [
                f"{path.relative_to(root).as_posix()}:{line} imports {name}"
                for line, name in imported(path)
                if name in forbidden
            ]
    return found


def test_imports_run_downwards() -> None:
    assert violations(ROOT) == []


def test_a_planted_violation_is_found(tmp_path: Path) -> None:
    for package in ("schemas", "vision", "indexer/readers"):
        (tmp_path / package).mkdir(parents=True)
    (tmp_path / "schemas/arrays.py").write_text("import numpy\nimport torch.nn as nn\n")
    (tmp_path / "vision/clip.py").write_text("import torch\nimport schemas.arrays, vision.load\n")
    (tmp_path / "indexer/readers/rows.py").write_text(
        "from vision.clip import x\n\n\ndef f():\n    from segmenter.scores import vote\n"
        "    from . import segmenter\n"
    )

    assert violations(tmp_path) == [
        "schemas/arrays.py:2 imports torch",
        "indexer/readers/rows.py:5 imports segmenter",
    ]


def test_every_package_has_a_place_in_the_order() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = settings["tool"]["setuptools"]["packages"]["find"]["include"]

    assert {pattern.rstrip("*") for pattern in packages} <= MAY_IMPORT.keys()


@pytest.mark.skipif(
    not (ROOT / "captionary" / "__main__.py").exists(), reason="there is no command line yet"
)
def test_help_imports_nothing_heavy() -> None:
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "captionary", "--help"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    modules = {line.rpartition("|")[2].strip() for line in answer.stderr.splitlines()}

    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "index" in answer.stdout
    assert HEAVY & {module.partition(".")[0] for module in modules} == set()
