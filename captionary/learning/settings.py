"""How a run goes: its settings, and the learning rate and weight decay that follow from them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is told.

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


def learning_rate(step: int, settings: Settings) -> float:
    """The rate of a step, counted from 0: a straight rise, then half a cosine down to zero."""
    if step < settings.warm_up:
        return settings.learning_rate * (step + 1) / settings.warm_up
    done = (step - settings.warm_up) / max(1, settings.steps - settings.warm_up)
    return settings.learning_rate * (1 + math.cos(math.pi * min(1.0, done))) / 2


def decayed(model: torch.nn.Module, weight_decay: float) -> Iterator[dict[str, object]]:
    """Groups of parameters for the optimiser: matrices decay; all else and embeddings do not."""
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    matrices = [value for name, value in named if value.ndim > 1 and "embedding" not in name]
    chosen = {id(value) for value in matrices}
    yield {"params": matrices, "weight_decay": weight_decay}
    yield {"params": [value for _, value in named if id(value) not in chosen], "weight_decay": 0.0}
