"""Runs of a few steps: their settings, how to end them early, and what they leave behind."""

import csv
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from captionary.learning.progress import Progress
from captionary.learning.settings import Settings

SETTINGS = Settings(
    steps=30,
    batch_size=8,
    learning_rate=2e-3,
    warm_up=5,
    evaluate_every=20,
    save_every=7,
    seed=1,
)


class Killed(Exception):
    """Ends a run without anything being saved."""


def at_step(step: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    def report(progress: Progress) -> None:
        if progress.step == step:
            act()

    return report


def kill() -> None:
    raise Killed


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def curve(folder: Path) -> list[Mapping[str, str]]:
    """The log, but for how fast it went."""
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: row[key] for key in row if key != "examples_per_second"} for row in rows]


def picture(folder: Path) -> bytes:
    return (folder / "curves.svg").read_bytes()


def weights(folder: Path) -> bytes:
    return (folder / "open_clip_model.safetensors").read_bytes()
