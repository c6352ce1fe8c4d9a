"""The command line as a whole: help, `models`, `doctor`, the process and its exit code."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from captionary.vision.clip.catalogue import BUNDLED, CATALOGUE, LOOK_MODELS
from tests.cli.running import captionary

ROOT = Path(__file__).parents[2]
COMMANDS = ("demo", "index", "segment", "evaluate", "vocabulary", "serve", "models", "doctor")


@pytest.mark.parametrize(
    "command",
    [
        (),
        *((name,) for name in COMMANDS),
        *(("vocabulary", name) for name in ("list", "show", "remove", "stats", "copy")),
    ],
)
def test_every_command_has_help(command: tuple[str, ...]) -> None:
    answer = captionary(*command, "--help")

    assert (answer.code, answer.err) == (0, "")
    assert f"Usage: {' '.join(('captionary', *command))}" in answer.out


def test_the_help_names_every_command() -> None:
    said = captionary("--help").out

    assert all(f" {name} " in said for name in COMMANDS)


def test_the_version_is_told() -> None:
    answer = captionary("--version")

    assert (answer.code, answer.out) == (
        0,
        f"captionary {importlib.metadata.version('captionary')}\n",
    )


def test_a_command_that_does_not_exist_is_refused() -> None:
    answer = captionary("segmint")

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: No such command 'segmint'")
    assert answer.err.endswith("see 'captionary --help'\n")


@pytest.mark.parametrize("command", ["index", "segment", "evaluate"])
def test_a_missing_argument_is_named(command: str) -> None:
    answer = captionary(command)

    assert (answer.code, answer.out) == (2, "")
    assert "Missing" in answer.err
    assert answer.err.endswith(f"see 'captionary {command} --help'\n")
    assert answer.err.count("\n") == 1


def test_models_lists_the_catalogue() -> None:
    answer = captionary("models")

    assert (answer.code, answer.err) == (0, "")
    first_words = {line.split()[0] for line in answer.out.splitlines()}
    assert first_words >= {*CATALOGUE, *LOOK_MODELS, "encoder", "looks"}
    assert {"mini", "look-lite0"} <= first_words


def test_models_lists_all_names_on_request() -> None:
    names = captionary("models", "--all").out.splitlines()

    assert set(CATALOGUE) - set(BUNDLED) <= set(names)
    assert len(names) > 100


def test_doctor_tries_what_indexing_needs() -> None:
    answer = captionary("doctor")

    assert (answer.code, answer.err) == (0, "")
    assert "torch" in answer.out
    assert [line.split()[0] for line in answer.out.splitlines()[-4:]] == [
        "device",
        "nouns",
        "looks",
        "store",
    ]
    assert "dog, fire hydrant, hydrant" in answer.out


def test_a_process_ends_with_the_exit_code() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "captionary", "vocabulary", "list", "--store", "nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("captionary: there is no dictionary at nowhere")
    assert answer.stderr.count("\n") == 1
