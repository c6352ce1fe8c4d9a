"""The training loop. It knows nothing of what it trains, but that a batch has a loss."""

import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from captionary.learning.checkpoints import LOG_FILE, Checkpoints, Facts, Log
from captionary.learning.curves import CURVES_FILE, draw_curves
from captionary.learning.data.batches import Batch, Batches
from captionary.learning.processes import Processes
from captionary.learning.progress import Clock, Progress, log_columns
from captionary.learning.settings import Settings, decayed, learning_rate
from captionary.learning.stop_signals import Stop, stop_requests
from captionary.learning.task import Measure, Task
from captionary.schemas.errors import CaptionaryError, WrongInput, one_line
from captionary.vision.hardware import has_bfloat16

LOG_EVERY = 10
MEASURED = "measured"
"""Folder inside of the run's, for a model while it is measured. The run's own has a model only
where it has a checkpoint: else a killed run would not be known as one."""
BETAS = (0.9, 0.98)
EPSILON = 1e-6
FREE = {"evaluate_every", "save_every"}
"""Settings that may change when a run is resumed: its weights do not depend on them."""


class Trainer:
    """Trains a task, and goes on where a run in the same folder was cut short.

    AdamW with warm-up and cosine, gradients clipped and, if told to, accumulated, in bfloat16 (or
    scaled float16) where the processor has it.

    Args:
        task:      its module is on the device of `processes`.
        batches:   of the size that the settings name.
        folder:    for the checkpoint, the log, its curves and the model; it exists.
        facts:     what the curve depends on beside the settings; when a run is resumed, all must
            be as they were.
        processes: where this one stands among those that train together.
        measure:   more that is to be measured at evaluations, of the model as it is written.

    Raises:
        WrongInput: a batch does not divide into the parts that it is to go through in.
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
        measure: Measure | None = None,
    ) -> None:
        _check_parts(settings, processes)
        self._task, self._batches, self._settings = task, batches, settings
        self._measure = measure
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
        self._loss, self._losses = torch.zeros(len(task.losses), device=self._device), 0
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
        clock = Clock(self._settings.batch_size)
        with self._log() as log, stop_requests() as stop:
            for batch in self._batches.stream(self._step, self._settings.steps):
                self._update(model, batch)
                clock.steps += 1
                if self._due(LOG_EVERY) or self._due(self._settings.evaluate_every):
                    progress = self._look(clock.speed())
                    log(progress)
                    if self.processes.first:
                        self._draw()
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
        """Write the state; all processes must do so together."""
        loss = self.processes.mean(self._loss)  # for all, when they go on
        if self.processes.first:
            state = {
                "module": self._task.module.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
                "step": self._step,
                "loss": loss,
                "losses": self._losses,
                "figures": dict(self._figures),
            }
            with self._writing():
                self._checkpoints.save(state)
                self._task.write(self._folder)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, RuntimeError) as error:  # torch tells of a full disk by the second
            raise CaptionaryError(
                f"cannot save into {self._folder} ({one_line(error)}); make room there and "
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
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._accumulate(model, batch)
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), self._settings.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._step += 1
        self._task.after_step(self._step / self._settings.steps)
        self._loss = self._loss + losses  # read only when looked at: a GPU runs on
        self._losses += 1

    def _accumulate(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Find the gradients of a batch, in as many parts as told: the parts of its loss, (P,)."""
        count = self._settings.accumulate
        total = torch.zeros_like(self._loss)
        pieces = zip(*(tensor.chunk(count) for tensor in batch), strict=True)
        for number, piece in enumerate(pieces, start=1):
            # Processes average their gradients once, with the last part.
            with nullcontext() if number == count else self.processes.alone(model):
                on_device = [tensor.to(self._device, non_blocking=True) for tensor in piece]
                with self._short():
                    losses = model(*on_device)
                self._scaler.scale(losses.sum() / count).backward()
            total += losses.detach() / count
        return total

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
        losses = self.processes.mean(self._loss / self._losses).tolist()
        self._loss, self._losses = torch.zeros_like(self._loss), 0
        loss = sum(losses)
        if not math.isfinite(loss):
            raise CaptionaryError(
                f"the loss is {loss} at step {self._step}; train into another --out with a smaller "
                "--learning-rate or a longer --warm-up"
            )
        evaluating = self._due(self._settings.evaluate_every)
        if evaluating and self.processes.first:
            self._figures = self._evaluated()
        parts = dict(zip(self._task.losses, losses, strict=True))
        rate = learning_rate(self._step - 1, self._settings)
        return Progress(self._step, loss, parts, rate, speed, self._figures if evaluating else {})

    def _draw(self) -> None:
        """Renew the picture of the curves, if it is time to."""
        if self._due(self._settings.evaluate_every):
            with self._writing():
                draw_curves(self._folder / LOG_FILE, self._folder / CURVES_FILE)

    def _evaluated(self) -> dict[str, float]:
        """Measure the model as it is now, and as it is when written."""
        self._task.module.eval()
        with torch.no_grad(), self._short():
            figures = dict(self._task.evaluate())
        self._task.module.train()
        if self._measure is not None:
            with self._written() as folder:
                figures.update(self._measure(folder))
        return figures

    @contextmanager
    def _written(self) -> Iterator[Path]:
        """The model of this moment in a folder of its own, for a while."""
        folder = self._folder / MEASURED
        try:
            with self._writing():
                folder.mkdir(exist_ok=True)
                self._task.write(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _log(self) -> Iterator[Callable[[Progress], None]]:
        """What writes a line into the log; nothing does in other processes than the first."""
        if not self.processes.first:
            yield lambda _: None
            return
        measures = self._task.measures + (self._measure.measures if self._measure else ())
        columns = log_columns(self._task.losses, measures)
        log = Log(self._folder / LOG_FILE, columns, step=self._step)
        try:
            yield lambda now: log.write(now.row)
        finally:
            log.close()


def mixed_precision(device: torch.device) -> torch.dtype | None:
    """The short number type to multiply in; None: the processor has none."""
    if has_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else None


def _check_parts(settings: Settings, processes: Processes) -> None:
    parts = processes.count * settings.accumulate
    if settings.batch_size % parts:
        among = f" in each of {processes.count} processes" * (processes.count > 1)
        raise WrongInput(
            f"a batch of {settings.batch_size} does not divide into {settings.accumulate} equal "
            f"parts{among}; give a --batch that is a multiple of {parts}, or another --accumulate"
        )
