"""The contract between trainer and what it trains, and the task of learning from captions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from captionary.learning.data.batches import Preprocessor
from captionary.learning.zero_shot import DualEncoder, ZeroShotEvaluation


class Task(Protocol):
    """What is trained."""

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the P parts of the loss."""
        ...

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics that `evaluate` returns."""
        ...

    @property
    def module(self) -> torch.nn.Module:
        """Takes the tensors of a batch and returns the parts of their loss, (P,) float32.

        Each part has its weight already: their sum is minimised. Parameters that require no
        gradient (those of a teacher) are saved with the others, and left alone.
        """
        ...

    def after_step(self, done: float, /) -> None:
        """Do what follows an update of the weights.

        Args:
            done: share of the run that is done, in (0, 1].
        """
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Measure the module as it is now."""
        ...

    def write(self, folder: Path, /) -> None:
        """Write the model for use."""
        ...


class ModelEvaluator(Protocol):
    """Evaluates a model as it was written for use."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Names of the metrics that it returns."""
        ...

    def __call__(self, folder: Path, /) -> Mapping[str, float]:
        """Evaluate the model of a folder."""
        ...


class CaptionModule(DualEncoder, Protocol):
    """A torch.nn.Module that learns from pictures and captions, as `Task.module` says."""

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        ...

    def after_step(self, done: float, /) -> None:
        """Do what follows an update of the weights, as `Task.after_step` says."""
        ...


M = TypeVar("M", bound=CaptionModule)


@dataclass(frozen=True)
class CaptionTask(Generic[M]):
    """A task whose module learns from pictures and captions.

    module:       on the device where it is to be trained.
    preprocessor: makes the module's input of examples.
    evaluation:   of the module.
    write:        writes the model into a folder, for use.
    """

    module: M
    preprocessor: Preprocessor[Any]
    evaluation: ZeroShotEvaluation
    write: Callable[[Path], None]

    @property
    def loss_names(self) -> tuple[str, ...]:
        """Those of the module."""
        return self.module.loss_names

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Those of the evaluation."""
        return self.evaluation.metric_names

    def after_step(self, done: float) -> None:
        """Leave it to the module."""
        self.module.after_step(done)

    def evaluate(self) -> Mapping[str, float]:
        """Evaluate the module zero-shot."""
        return self.evaluation.evaluate(self.module)
