"""The plan of a training: what to train, on what, and how, as named on the command line."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from captionary.learning.methods.registry import METHODS
from captionary.schemas.errors import WrongInput

if TYPE_CHECKING:
    from captionary.learning.processes import Processes


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What to train on what, as named on the command line; None where nothing was named.

    Raises:
        WrongInput: there is no such method, or it has not what is named for it.
    """

    method: str
    source: str | None
    world: str | None
    images: str | None
    model: str | None
    weights: str | None
    merges: int | None
    masked: float
    without: frozenset[str]
    held_out: int | None
    evaluate: Path | None
    workers: int | None
    device: str

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise WrongInput(f"unknown method {self.method!r}; choose {', '.join(METHODS)}")
        chosen = METHODS[self.method]
        if self.masked and not chosen.masked:
            raise WrongInput(f"{self.method} learns without --masked; leave it out")
        for part in sorted(self.without - {*chosen.parts}):
            choice = f"choose {', '.join(chosen.parts)}" if chosen.parts else "it has none"
            raise WrongInput(f"{self.method} has no part {part!r} to do --without; {choice}")

    @property
    def scene_scale(self) -> int:
        """How large scenes are drawn, times the model's input size."""
        return METHODS[self.method].scene_scale

    def worker_count(self, processes: "Processes") -> int:
        """Processes that read pictures.

        The default is one for a CPU, which has the model to run; for a GPU, what keeps it busy.
        """
        if self.workers is not None:
            return self.workers
        cores = (os.cpu_count() or 1) // processes.count
        return max(1, min(16, cores)) if processes.device.type == "cuda" else 1
