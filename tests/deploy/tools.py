"""Where the files of deploy/ are, how they are read, and how tools that check them are run."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

SECRETS = (
    "CAPTIONARY_READ_KEYS",
    "CAPTIONARY_WRITE_KEYS",
    "QDRANT_API_KEY",
    "QDRANT_READ_ONLY_API_KEY",
)

Document: TypeAlias = dict[str, Any]


def run(name: str, *words: object) -> str:
    """Run a tool and answer what it printed; one that is not installed skips the test.

    Raises:
        AssertionError: it finds fault, and says so.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name}, which is not installed")
    done = subprocess.run(
        [found, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    if done.returncode:
        raise AssertionError(f"{name} finds fault:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def documents(text: str) -> list[Document]:
    """All documents of a YAML text."""
    return [document for document in yaml.safe_load_all(text) if document is not None]


def texts() -> dict[str, str]:
    """All files of deploy/, by name."""
    return {
        str(path.relative_to(DEPLOY)): path.read_text(encoding="utf-8")
        for path in sorted(DEPLOY.rglob("*"))
        # What an operator filled in is not ours.
        if path.is_file() and path.name not in (".env", "secrets.env")
    }
