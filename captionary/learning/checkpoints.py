"""Checkpoints and the log of a run, from which a killed run goes on."""

import csv
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any, TypeAlias

import torch

from captionary.files.atomic import remove_drafts, write_atomically
from captionary.files.free_space import disk_full
from captionary.schemas.errors import WrongInput
from captionary.vision.clip.files import CONFIG_FILE

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.csv"

Facts: TypeAlias = Mapping[str, str | int | float]
"""What a run's result depends on; a run is resumed only with the same."""


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoint of a run's folder.

    Args:
        folder: it exists.
        facts:  what the run is; kept with its state.
    """

    folder: Path
    facts: Facts

    @property
    def path(self) -> Path:
        """Of the checkpoint's file."""
        return self.folder / CHECKPOINT_FILE

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a state in the place of the last one; a kill leaves one of the two, whole."""
        saved = {"facts": dict(self.facts), "state": dict(state)}
        remove_drafts(self.path)  # each of them is as large as a checkpoint
        write_atomically(self.path, partial(torch.save, saved))

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Load the state that was saved last; None: nothing was saved yet.

        Raises:
            WrongInput: it is damaged, or of a run with other facts.
        """
        if not self.path.exists():
            return None
        try:
            # Only weights: a checkpoint of somebody else must not run code here.
            saved = torch.load(self.path, map_location=device, weights_only=True)
            facts, state = saved["facts"], dict(saved["state"])
        except Exception as error:  # damaged files fail in many ways: zip, pickle, torch
            raise WrongInput(
                f"the checkpoint {self.path} cannot be read ({type(error).__name__}); "
                "remove it to train anew"
            ) from error
        # In both directions: another version of the program may have known more facts or fewer.
        for name in [*self.facts, *facts]:
            if facts.get(name) != self.facts.get(name):
                raise WrongInput(
                    f"{self.folder} holds a run with {name} {facts.get(name)}, not "
                    f"{self.facts.get(name)}; give that, or another --out"
                )
        return state


def make_run_folder(folder: Path) -> None:
    """Make the folder of a run, if it does not exist.

    Raises:
        WrongInput: it cannot be written to, or holds a model that no run has written.
    """
    # A run writes its checkpoint before its model: what has a model only is no run's folder.
    if (folder / CONFIG_FILE).exists() and not (folder / CHECKPOINT_FILE).exists():
        raise WrongInput(f"{folder} holds a model already; give another --out")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass  # only writing tells: root, read-only mounts and quotas pass every check of modes
    except OSError as error:
        wrong = WrongInput(f"cannot write into {folder} ({error.strerror}); change --out")
        raise disk_full(error, folder) or wrong from error


class Log:
    """A CSV file with a line for every so many steps.

    Args:
        path:    if it exists, its lines are kept up to `step`.
        columns: the first is the step.
        step:    the last step that is done already.

    Raises:
        WrongInput: the file is no log of a training.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, step: int) -> None:
        # Steps after the checkpoint are done again, so their lines go.
        kept = _read_rows(path, columns, step) if path.exists() else []
        lines = StringIO(newline="")
        writer = csv.DictWriter(lines, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
        write_atomically(path, lines.getvalue().encode())
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, columns)

    def write(self, row: Mapping[str, object]) -> None:
        """Add a line; columns that it lacks stay empty."""
        self._writer.writerow(row)
        self._file.flush()  # people follow it while the run goes on

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read_rows(path: Path, columns: Sequence[str], last_step: int) -> list[dict[str, str]]:
    """The lines of a log up to a step."""
    rows: list[dict[str, str]] = []
    step_before = 0
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames and list(reader.fieldnames[:2]) != list(columns[:2]):
            raise WrongInput(f"{path} is no log of this training; give another --out")
        for row in reader:
            # A kill may have cut the last line short: steps that do not rise end what is kept.
            text = row[columns[0]] or ""
            step = int(text) if text.isdigit() else 0
            if not step_before < step <= last_step:
                break
            step_before = step
            rows.append(row)
    return rows
