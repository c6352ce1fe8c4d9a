"""The command starts in a folder whose modules are named as rooms of the package."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHADOWS = ("schemas.py", "client.py", "indexer.py", "segmenter.py", "vision/__init__.py")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's folder, none of whose modules may be imported."""
    for name in SHADOWS:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise AssertionError('a module of the user was imported')\n")
    return tmp_path


MODULE = (sys.executable, "-m", "captionary")


@pytest.mark.parametrize(
    "command",
    [
        (Path(sys.executable).with_name("captionary"), "--help"),
        (*MODULE, "--help"),
        (*MODULE, "train", "--help"),  # as torchrun starts it
        (*MODULE, "world", "scenes", "--scenes", "1", "--size", "16"),
    ],
    ids=["command", "module", "torchrun", "world"],
)
def test_modules_of_the_user_are_left_alone(command: tuple[str, ...], project: Path) -> None:
    done = subprocess.run(
        command,
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout
