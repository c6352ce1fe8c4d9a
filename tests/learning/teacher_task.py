"""A loss of two parts, one of them from a teacher that follows its student."""

import copy
import math
from collections.abc import Mapping
from pathlib import Path

import torch

from captionary.learning.processes import Processes
from tests.learning.flag_pictures import CPU, tiny_preprocessor


class TaughtModule(torch.nn.Module):
    """Predicts tokens from colours; a mean over examples, so that equal parts of a batch add up."""

    loss_names = ("tokens", "teacher")

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.student = torch.nn.Linear(6, 4)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.shares: torch.Tensor
        self.register_buffer("shares", torch.zeros(()))

    def forward(self, pictures: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        halves = torch.stack(pictures.float().chunk(2, dim=2))
        colours = halves.mean(dim=(3, 4)).permute(1, 0, 2).flatten(1) / 255
        predicted = self.student(colours)
        right = (predicted - tokens[:, :4] / 100).square().mean()
        alike = (predicted - self.teacher(1 - colours)).square().mean()
        return torch.stack([right.float(), 0.5 * alike.float()])

    @torch.no_grad()
    def after_step(self, done: float) -> None:
        self.shares += done
        share = 0.05 * (1 + math.cos(math.pi * done))
        for own, other in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            own.lerp_(other, share)


class TaughtTask:
    """It has no metrics, and writes its weights as text."""

    metric_names = ()
    loss_names = TaughtModule.loss_names

    def __init__(self, processes: Processes = CPU) -> None:
        self.module = TaughtModule().to(processes.device)
        self.preprocessor = tiny_preprocessor()

    def after_step(self, done: float) -> None:
        self.module.after_step(done)

    def evaluate(self) -> Mapping[str, float]:
        return {}

    def write(self, folder: Path) -> None:
        state = {name: value.tolist() for name, value in self.module.state_dict().items()}
        (folder / "weights.txt").write_text(str(state))
