"""Hyperparameters of a run, and the learning rate and weight decay that follow from them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from captionary.schemas.errors import WrongInput


@dataclass(frozen=True, slots=True)
class Settings:
    """Hyperparameters of a run.

    steps:          updates of the weights, in all.
    batch_size:     examples a step, over all processes.
    accumulate:     parts that each process's share of a batch goes through in, one by one; their
        gradients are averaged. A loss that compares examples compares those of a part.
    learning_rate:  the highest.
    warm_up:        steps in which it rises.
    clip_norm:      longer gradients are scaled to this length.
    evaluate_every: steps; there is always an evaluation at the end.
    save_every:     steps.
    """

    steps: int = 10_000
    batch_size: int = 256
    learning_rate: float = 1e-3
    warm_up: int = 500
    weight_decay: float = 0.1
    clip_norm: float = 1.0
    seed: int = 0
    evaluate_every: int = 1000
    save_every: int = 500
    accumulate: int = 1

    def validate_parts(self, processes: int) -> None:
        """Check that a batch divides into equal parts for so many processes.

        Raises:
            WrongInput: it does not.
        """
        parts = processes * self.accumulate
        if self.batch_size % parts:
            among = f" in each of {processes} processes" * (processes > 1)
            raise WrongInput(
                f"a batch of {self.batch_size} does not divide into {self.accumulate} equal "
                f"parts{among}; give a --batch that is a multiple of {parts}, or another "
                "--accumulate"
            )


def learning_rate(step: int, settings: Settings) -> float:
    """The rate of a step, counted from 0: linear warm-up, then half a cosine down to zero."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.learning_rate * (1 + math.cos(math.pi * min(1.0, done))) / 2


def parameter_groups(model: torch.nn.Module, weight_decay: float) -> Iterator[dict[str, object]]:
    """Groups of parameters for the optimiser: matrices decay; all else and embeddings do not."""
    # Decay would draw embeddings of rare words to nothing, as their gradients are mostly zero.
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    matrices = [value for name, value in named if value.ndim > 1 and "embedding" not in name]
    chosen = {id(value) for value in matrices}
    yield {"params": matrices, "weight_decay": weight_decay}
    yield {"params": [value for _, value in named if id(value) not in chosen], "weight_decay": 0.0}
