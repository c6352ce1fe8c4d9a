"""How far a run has come: loss, metrics and speed, for the log and for a report."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LOSS_PREFIX = "loss_"
"""What the columns of a loss's parts begin with, where it has more than one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    loss:    mean over the steps since the last report.
    parts:   what it is the sum of, by name.
    speed:   examples a second, over all processes, since the last report.
    metrics: of the evaluation at this step; empty where there was none.
    """

    step: int
    loss: float
    parts: Mapping[str, float]
    learning_rate: float
    speed: float
    metrics: Mapping[str, float]

    @property
    def row(self) -> dict[str, str]:
        """The line of the log, by the names of its columns."""
        parts = self.parts if len(self.parts) > 1 else {}
        return {
            "step": str(self.step),
            "loss": f"{self.loss:.6f}",
            **{f"{LOSS_PREFIX}{name}": f"{value:.6f}" for name, value in parts.items()},
            "learning_rate": f"{self.learning_rate:.4g}",
            "examples_per_second": f"{self.speed:.1f}",
            **{name: f"{value:.4f}" for name, value in self.metrics.items()},
        }


def log_columns(loss_names: Sequence[str], metric_names: Sequence[str]) -> tuple[str, ...]:
    """The columns of a log, which include those of `Progress.row`.

    Args:
        loss_names:   of the parts of the loss.
        metric_names: of the evaluations.
    """
    parts = [f"{LOSS_PREFIX}{name}" for name in loss_names] if len(loss_names) > 1 else []
    return ("step", "loss", *parts, "learning_rate", "examples_per_second", *metric_names)


class SpeedMeter:
    """Measures examples a second since its last restart."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self.steps, self._start = 0, time.perf_counter()

    def speed(self) -> float:
        """Examples a second since the restart."""
        return self.steps * self._batch_size / (time.perf_counter() - self._start)
