"""The training loop. It knows nothing of what it trains, but that a batch has a loss."""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from learning.batches import Batch, Batches
from learning.checkpoints import LOG_FILE, Checkpoints, Facts, Log
from learning.processes import Processes
from learning.settings import Settings, decayed, learning_rate
from learning.stopping import Stop, stop_requests
from schemas.errors import CaptionaryError
from vision.clip_files import first_line
from vision.hardware import has_bfloat16

LOG_EVERY = 10
BETAS = (0.9, 0.98)
EPSILON = 1e-6
FREE = {"evaluate_every", "save_every"}
"""Settings that may change when a run is resumed: its weights do not depend on them."""


class Task(Protocol):
    """What is trained."""

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the figures that `evaluate` answers."""
        ...

    @property
    def module(self) -> torch.nn.Module:
        """Called with the tensors of a batch it answers their loss, a scalar."""
        ...

    def after_step(self) -> None:
        """Put right what an update of the weights may have put wrong."""
        ...

    def evaluate(self) -> Mapping[str, float]:
        """Measure how good it is by now."""
        ...

    def write(self, folder: Path) -> None:
        """Write the model for use."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come.

    loss:    mean over the last steps.
    speed:   examples a second, over all processes, lately.
    figures: what was measured at this step; empty where nothing was.
    """

    step: int
    loss: float
    learning_rate: float
    speed: float
    figures: Mapping[str, float]


class Trainer:
    """Trains a task, and goes on where a run in the same folder was cut short.

    AdamW with warm-up and cosine, gradients clipped, in bfloat16 (or scaled float16) where the
    processor has it.

    Args:
        task:      its module is on the device of `processes`.
        batches:   of the size that the settings name.
        folder:    for the checkpoint, the log and the model; it exists.
        facts:     what the curve depends on beside the settings; when a run is resumed, all must
            be as they were.
        processes: where this one stands among those that train together.
    """

    def __init__(
        self,
        task: Task,
        batches: Batches[Any],
        settings: Settings,
        *,
        folder: Path,
        facts: Facts,
        processes: Processes,
    ) -> None:
        self._task, self._batches, self._settings = task, batches, settings
        self._folder, self.processes, self._device = folder, processes, processes.device
        fixed = {name: value for name, value in asdict(settings).items() if name not in FREE}
        self._checkpoints = Checkpoints(folder, {**facts, **fixed})
        if self._device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        self._type = mixed_precision(self._device)
        self._optimizer = torch.optim.AdamW(
            decayed(task.module, settings.weight_decay),
            lr=settings.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            fused=self._device.type in ("cuda", "cpu"),
        )
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=self._type == torch.float16)
        self._step = 0
        self._loss, self._losses = torch.zeros((), device=self._device), 0
        self._figures: Mapping[str, float] = {}

    def train(self, report: Callable[[Progress], None] = lambda _: None) -> Mapping[str, float]:
        """Train to the last step.

        Args:
            report: called every LOG_EVERY steps and at evaluations, in the first process only.

        Returns:
            The last evaluation.

        Raises:
            WrongInput: the folder holds another run, or a damaged one.
            CaptionaryError: the loss is no number any more.
            KeyboardInterrupt: the run was told to stop (SIGINT, SIGTERM); its state is saved.
        """
        self._resume()
        model = self.processes.wrapped(self._task.module).train()
        clock = _Clock(self._settings.batch_size)
        with self._log() as log, stop_requests() as stop:
            for batch in self._batches.stream(self._step, self._settings.steps):
                self._update(model, batch)
                clock.steps += 1
                if self._due(LOG_EVERY) or self._due(self._settings.evaluate_every):
                    progress = self._look(clock.speed())
                    log(progress)
                    if self.processes.first:
                        report(progress)
                    clock.restart()
                self._save_or_stop(stop)
        self._save()
        return self._figures

    def _due(self, every: int) -> bool:
        return self._step % every == 0 or self._step == self._settings.steps

    def _resume(self) -> None:
        state = self._checkpoints.load(self._device)
        if state is not None:
            self._task.module.load_state_dict(state["module"])
            self._optimizer.load_state_dict(state["optimizer"])
            if state["scaler"]:  # empty where it was saved on a device that needs no scaling
                self._scaler.load_state_dict(state["scaler"])
            self._step, self._losses = state["step"], state["losses"]
            self._loss, self._figures = state["loss"], state["figures"]

    def _save(self) -> None:
        if self.processes.first:
            state = {
                "module": self._task.module.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
                "step": self._step,
                "loss": self._loss,
                "losses": self._losses,
                "figures": dict(self._figures),
            }
            try:
                self._checkpoints.save(state)
                self._task.write(self._folder)
            except (OSError, RuntimeError) as error:  # torch tells of a full disk by the second
                raise CaptionaryError(
                    f"cannot save into {self._folder} ({first_line(error)}); make room there and "
                    "run the same command again"
                ) from error

    def _save_or_stop(self, stop: Stop) -> None:
        # Processes must stop at one step; to agree on it at every step would cost time.
        agreeing = self.processes.count == 1 or self._due(LOG_EVERY)
        stopping = agreeing and self.processes.any(here=stop.asked)
        if stopping or (self._due(self._settings.save_every) and not self._finished):
            self._save()
        if stopping and not self._finished:
            raise KeyboardInterrupt

    @property
    def _finished(self) -> bool:
        return self._step == self._settings.steps

    def _update(self, model: torch.nn.Module, batch: Batch) -> None:
        """Take one step down."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._step, self._settings)
        self._seed()
        on_device = [part.to(self._device, non_blocking=True) for part in batch]
        with self._short():
            loss = model(*on_device)
        self._optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), self._settings.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._task.after_step()
        self._step += 1
        self._loss = self._loss + loss.detach()  # read only when looked at: a GPU runs on
        self._losses += 1

    def _seed(self) -> None:
        """Make what a step draws (dropout) independent of the steps before."""
        facts = (self._settings.seed, self._step, self.processes.rank)
        number = int(np.random.SeedSequence(facts).generate_state(1)[0])
        torch.default_generator.manual_seed(number)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _short(self) -> torch.autocast:
        """Multiply in the short number type, where there is one."""
        short = self._type
        return torch.autocast(self._device.type, dtype=short, enabled=short is not None)

    def _look(self, speed: float) -> Progress:
        """Read the loss, and measure if it is time to; all processes must do so together."""
        loss = self.processes.mean(self._loss / self._losses)
        self._loss, self._losses = torch.zeros_like(self._loss), 0
        if not math.isfinite(loss):
            raise CaptionaryError(
                f"the loss is {loss} at step {self._step}; train into another --out with a smaller "
                "--learning-rate or a longer --warm-up"
            )
        evaluating = self._due(self._settings.evaluate_every)
        if evaluating and self.processes.first:
            self._task.module.eval()
            with torch.no_grad(), self._short():
                self._figures = dict(self._task.evaluate())
            self._task.module.train()
        rate = learning_rate(self._step - 1, self._settings)
        return Progress(self._step, loss, rate, speed, self._figures if evaluating else {})

    @contextmanager
    def _log(self) -> Iterator[Callable[[Progress], None]]:
        """What writes a line into the log; nothing does in other processes than the first."""
        if not self.processes.first:
            yield lambda _: None
            return
        columns = ("step", "loss", "learning_rate", "examples_per_second", *self._task.measures)
        log = Log(self._folder / LOG_FILE, columns, step=self._step)
        try:
            yield lambda now: log.write(
                {
                    "step": now.step,
                    "loss": f"{now.loss:.6f}",
                    "learning_rate": f"{now.learning_rate:.4g}",
                    "examples_per_second": f"{now.speed:.1f}",
                    **{name: f"{value:.4f}" for name, value in now.figures.items()},
                }
            )
        finally:
            log.close()


class _Clock:
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


def mixed_precision(device: torch.device) -> torch.dtype | None:
    """The short number type to multiply in; None: the processor has none."""
    if has_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else None
