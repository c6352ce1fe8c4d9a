"""What the trainer trains and measures, and the one task of all that learns from captions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from captionary.learning.data.batches import Inputs
from captionary.learning.recognition import Encoders, Recognition


class Task(Protocol):
    """What is trained."""

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the P parts of the loss."""
        ...

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the figures that `evaluate` answers."""
        ...

    @property
    def module(self) -> torch.nn.Module:
        """Called with the tensors of a batch it answers the parts of their loss, (P,) float32.

        Each part has its weight already: their sum is made small. Parameters that require no
        gradient (those of a teacher) are saved with the others, and left alone.
        """
        ...

    def after_step(self, done: float, /) -> None:
        """Do what follows an update of the weights.

        Args:
            done: share of the run that is behind, in (0, 1].
        """
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Measure how good it is by now."""
        ...

    def write(self, folder: Path, /) -> None:
        """Write the model for use."""
        ...


class Measure(Protocol):
    """Measures a model as it was written for use."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the figures that it answers."""
        ...

    def __call__(self, folder: Path, /) -> Mapping[str, float]:
        """Measure the model of a folder."""
        ...


class CaptionModule(Encoders, Protocol):
    """A torch.nn.Module that learns from pictures and captions, as `Task.module` says."""

    @property
    def losses(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        ...

    def after_step(self, done: float, /) -> None:
        """Do what follows an update of the weights, as `Task.after_step` says."""
        ...


M = TypeVar("M", bound=CaptionModule)


@dataclass(frozen=True)
class CaptionTask(Generic[M]):
    """A module that learns from pictures and captions, with what goes around it.

    module:      on the device where it is to be trained.
    inputs:      make of examples what the module is called with.
    recognition: what is measured of it.
    write:       writes the model into a folder, for use.
    """

    module: M
    inputs: Inputs[Any]
    recognition: Recognition
    write: Callable[[Path], None]

    @property
    def losses(self) -> tuple[str, ...]:
        """Those of the module."""
        return self.module.losses

    @property
    def measures(self) -> tuple[str, ...]:
        """Those of recognition."""
        return self.recognition.measures

    def after_step(self, done: float) -> None:
        """Leave it to the module."""
        self.module.after_step(done)

    def evaluate(self) -> Mapping[str, float]:
        """Measure recognition."""
        return self.recognition.figures(self.module)
