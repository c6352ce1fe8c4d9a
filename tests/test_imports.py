"""Imports run downwards only, from one root, and what is light stays light."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "captionary"

LOWEST = {"schemas", "files"}
MAY_IMPORT: dict[str, set[str]] = {
    "schemas": set(),
    "files": {"schemas"},
    "vision": LOWEST,
    "vocabulary": LOWEST,
    "serving": {"schemas"},
    "client": {"schemas"},
    "pictograms": LOWEST,
    "indexer": {*LOWEST, "serving", "vision", "vocabulary"},
    "segmenter": {*LOWEST, "serving", "vision", "vocabulary"},
    "learning": {*LOWEST, "vision"},
}
"""What each room may import; what stands in `captionary` itself may import all of these."""
FRONT = {"build", "build_services", "build_training", "correcting", "dictionary", "exchanging"}
"""The modules of `captionary` that put all together."""
MAY_IMPORT["demo"] = {*MAY_IMPORT, "build", "dictionary"}
MAY_IMPORT["cli"] = {*MAY_IMPORT, "build", "build_services", "build_training", "dictionary"}
BARE = {*MAY_IMPORT, "build"} - {"files"}
"""Names that a user's own modules may have, so that no import of ours may begin with one."""

NOT_IN_SCHEMAS = {"torch", "qdrant_client", "qdrant_edge", "open_clip", "spacy"}
HEAVY = {
    "torch",
    "spacy",
    "open_clip",
    "sklearn",
    "skimage",
    "scipy",
    "matplotlib",
    "qdrant_client",
    "qdrant_edge",
    "pyarrow",
    "pydantic",
    "fastapi",
}


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every absolute import of a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def violations(root: Path) -> list[str]:
    """Every import of the package under `root` that does not run downwards, or is a bare one."""
    found = set()
    for path in sorted((root / PACKAGE).rglob("*.py")):
        room = path.relative_to(root / PACKAGE).parts[0].removesuffix(".py")
        above = set() if room == "__main__" else {"cli", "demo"}
        allowed = MAY_IMPORT.get(room, {*MAY_IMPORT, *FRONT} - above) | {room}
        for line, name in imported(path):
            top, _, rest = name.partition(".")
            inside = rest.partition(".")[0]
            upwards = top == PACKAGE and inside in {*MAY_IMPORT, *FRONT} and inside not in allowed
            heavy = room == "schemas" and top in NOT_IN_SCHEMAS
            if upwards or heavy or top in {*BARE, "tests", "tools", "benchmarks"}:
                shown = f"{PACKAGE}.{inside}" if top == PACKAGE else top
                found.add((path.relative_to(root).as_posix(), line, shown))
    return [f"{place}:{line} imports {name}" for place, line, name in sorted(found)]


def test_imports_run_downwards() -> None:
    assert violations(ROOT) == []


def test_no_test_or_tool_imports_a_bare_room() -> None:
    files = [
        path for name in ("tests", "tools", "benchmarks") for path in ROOT.rglob(f"{name}/**/*.py")
    ]
    own = [path for path in files if ".venv" not in path.parts]

    assert own
    assert not [
        f"{path}:{line}"
        for path in own
        for line, name in imported(path)
        if name.partition(".")[0] in BARE
    ]


def test_a_planted_violation_is_found(tmp_path: Path) -> None:
    for room in ("schemas", "vision", "indexer/readers"):
        (tmp_path / PACKAGE / room).mkdir(parents=True)
    (tmp_path / PACKAGE / "schemas/arrays.py").write_text("import numpy\nimport torch.nn as nn\n")
    (tmp_path / PACKAGE / "vision/clip.py").write_text("import torch\nimport schemas.arrays\n")
    (tmp_path / PACKAGE / "indexer/readers/rows.py").write_text(
        "from captionary.vision.clip import x\n\n\ndef f():\n"
        "    from captionary.segmenter.scores import vote\n    from captionary import cli\n"
    )

    assert violations(tmp_path) == [
        "captionary/indexer/readers/rows.py:5 imports captionary.segmenter",
        "captionary/indexer/readers/rows.py:6 imports captionary.cli",
        "captionary/schemas/arrays.py:2 imports torch",
        "captionary/vision/clip.py:2 imports schemas",
    ]


def test_every_room_has_a_place_in_the_order() -> None:
    rooms = {path.parent.name for path in (ROOT / PACKAGE).glob("*/__init__.py")}

    assert rooms == MAY_IMPORT.keys()


@pytest.mark.parametrize("name", ["indexer", "segmenter", "schemas"])
def test_the_rooms_that_the_owner_named_stand_at_the_top_too(name: str) -> None:
    link = ROOT / name

    assert link.is_symlink()
    assert link.readlink() == Path(PACKAGE, name)


def modules_of(code: str, cwd: Path = ROOT) -> tuple[str, set[str]]:
    """Run code in a new interpreter: what it printed, and the packages that it has imported."""
    answer = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    lines = answer.stderr.splitlines()
    return answer.stdout, {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def test_help_imports_nothing_heavy() -> None:
    code = "import sys\nfrom captionary.cli.main import main\nmain(['--help'])"
    said, modules = modules_of(code)

    assert "index" in said
    assert HEAVY & modules == set()


def test_the_package_imports_nothing_before_it_is_used() -> None:
    said, modules = modules_of("import captionary\nprint(len(captionary.__all__))")

    assert int(said) > 0
    assert HEAVY & modules == set()
    assert "numpy" not in modules


def test_the_client_needs_no_models() -> None:
    _, modules = modules_of("from captionary.client import AsyncClient, Client")

    assert {"httpx", "pydantic"} <= modules
    assert (HEAVY - {"pydantic"}) & modules == set()
    assert "numpy" not in modules
