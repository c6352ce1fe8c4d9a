"""How far a run has come: what is told of it, what is logged, and how fast it goes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PART = "loss_"
"""What the columns of a loss's parts begin with, where it has more than one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    loss:    mean over the last steps.
    parts:   what it is the sum of, by name.
    speed:   examples a second, over all processes, lately.
    figures: what was measured at this step; empty where nothing was.
    """

    step: int
    loss: float
    parts: Mapping[str, float]
    learning_rate: float
    speed: float
    figures: Mapping[str, float]

    @property
    def row(self) -> dict[str, str]:
        """The line of the log, by the names of its columns."""
        parts = self.parts if len(self.parts) > 1 else {}
        return {
            "step": str(self.step),
            "loss": f"{self.loss:.6f}",
            **{f"{PART}{name}": f"{value:.6f}" for name, value in parts.items()},
            "learning_rate": f"{self.learning_rate:.4g}",
            "examples_per_second": f"{self.speed:.1f}",
            **{name: f"{value:.4f}" for name, value in self.figures.items()},
        }


def log_columns(losses: Sequence[str], measures: Sequence[str]) -> tuple[str, ...]:
    """The columns of a log; those of `Progress.row` are among them.

    Args:
        losses:   names of the loss's parts.
        measures: names of the figures.
    """
    parts = [f"{PART}{name}" for name in losses] if len(losses) > 1 else []
    return ("step", "loss", *parts, "learning_rate", "examples_per_second", *measures)


class Clock:
    """Measures examples a second between two looks."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self.steps, self._start = 0, time.perf_counter()

    def speed(self) -> float:
        """Examples a second since the start."""
        return self.steps * self._batch_size / (time.perf_counter() - self._start)
