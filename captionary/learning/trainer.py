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

from captionary.files.free_space import disk_full
from captionary.learning.checkpoints import LOG_FILE, Checkpoints, Facts, Log
from captionary.learning.curves import CURVES_FILE, draw_curves
from captionary.learning.data.batches import Batch, Batches
from captionary.learning.processes import Processes
from captionary.learning.progress import Progress, SpeedMeter, log_columns
from captionary.learning.settings import Settings, learning_rate, parameter_groups
from captionary.learning.stop_signals import StopFlag, stop_requests
from captionary.learning.task import ModelEvaluator, Task
from captionary.schemas.errors import CaptionaryError, one_line
from captionary.vision.hardware import has_bfloat16

LOG_EVERY = 10
EVALUATED_FOLDER = "measured"
"""Folder inside of the run's, for a model while it is evaluated. The run's own has a model only
where it has a checkpoint: else a killed run would not be known as one."""
BETAS = (0.9, 0.98)
EPSILON = 1e-6
CHANGEABLE = {"evaluate_every", "save_every"}
"""Settings that may change when a run is resumed: its weights do not depend on them."""


class Trainer:
    """Trains a task, and goes on where a run in the same folder was cut short.

    AdamW with warm-up and cosine, gradients clipped and, where set, accumulated, in mixed precision
    where a short number type is given.

    Args:
        task:            its module is on the device of `processes`.
        batches:         of the size that the settings name.
        folder:          for the checkpoint, the log, its curves and the model; it exists.
        facts:           what the result depends on beside the settings; when a run is resumed, all
            must be as they were.
        processes:       where this one stands among those that train together.
        short_type:      number type that matrix products are computed in (choose_short_type);
            float16 gradients are scaled. None: float32.
        evaluator:       of the model as it is written, at each evaluation.

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
        short_type: torch.dtype | None,
        evaluator: ModelEvaluator | None = None,
    ) -> None:
        settings.validate_parts(processes.count)
        self._task, self._batches, self._settings = task, batches, settings
        self._evaluator = evaluator
        self._folder, self.processes, self._device = folder, processes, processes.device
        fixed = {name: value for name, value in asdict(settings).items() if name not in CHANGEABLE}
        self._checkpoints = Checkpoints(folder, {**facts, **fixed})
        if self._device.type == "cuda":
            torch.set_float32_matmul_precision("high")
        self._short_type = short_type
        self._optimizer = torch.optim.AdamW(
            parameter_groups(task.module, settings.weight_decay),
            lr=settings.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            fused=self._device.type in ("cuda", "cpu"),
        )
        scaled = short_type == torch.float16
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=scaled)
        self._step = 0
        self._loss_sum = torch.zeros(len(task.loss_names), device=self._device)
        self._loss_count = 0
        self._metrics: Mapping[str, float] = {}

    def train(self, report: Callable[[Progress], None] = lambda _: None) -> Mapping[str, float]:
        """Train to the last step.

        Args:
            report: called every LOG_EVERY steps and at evaluations, in the first process only.

        Returns:
            The last evaluation.

        Raises:
            WrongInput: the folder holds another run, or a damaged one.
            CaptionaryError: the loss is not finite any more.
            KeyboardInterrupt: the run was interrupted (SIGINT, SIGTERM); its state is saved.
        """
        self._resume()
        model = self.processes.wrap(self._task.module).train()
        meter = SpeedMeter(self._settings.batch_size)
        with self._open_log() as log, stop_requests() as stop:
            for batch in self._batches.stream(self._step, self._settings.steps):
                self._update(model, batch)
                meter.steps += 1
                if self._due(LOG_EVERY) or self._due(self._settings.evaluate_every):
                    progress = self._summarize(meter.speed())
                    log(progress)
                    if self.processes.first:
                        self._draw_curves()
                        report(progress)
                    meter.restart()
                self._save_or_stop(stop)
        self._save()
        return self._metrics

    def _due(self, every: int) -> bool:
        return self._step % every == 0 or self._step == self._settings.steps

    def _resume(self) -> None:
        state = self._checkpoints.load(self._device)
        if state is not None:
            self._task.module.load_state_dict(state["module"])
            self._optimizer.load_state_dict(state["optimizer"])
            if state["scaler"]:  # empty where it was saved on a device that needs no scaling
                self._scaler.load_state_dict(state["scaler"])
            self._step, self._loss_count = state["step"], state["losses"]
            self._loss_sum, self._metrics = state["loss"], state["figures"]

    def _save(self) -> None:
        """Write checkpoint and model; all processes must do so at one step."""
        loss = self.processes.mean(self._loss_sum)  # for all, when they go on
        if self.processes.first:
            state = {
                "module": self._task.module.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "scaler": self._scaler.state_dict(),
                "step": self._step,
                # Names that checkpoints have always had: sum, count, metrics.
                "loss": loss,
                "losses": self._loss_count,
                "figures": dict(self._metrics),
            }
            with self._write_errors():
                self._checkpoints.save(state)
                self._task.write(self._folder)

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        """Turn what writing raises into an error for the user."""
        try:
            yield
        except (OSError, RuntimeError) as error:  # torch raises the second on a full disk
            raise disk_full(error, self._folder) or CaptionaryError(
                f"cannot save into {self._folder} ({one_line(error)}); make room there and "
                "run the same command again"
            ) from error

    def _save_or_stop(self, stop: StopFlag) -> None:
        # Processes must stop at one step; to agree on it at every step would cost time.
        agreeing = self.processes.count == 1 or self._due(LOG_EVERY)
        stopping = agreeing and self.processes.any(here=stop.requested)
        if stopping or (self._due(self._settings.save_every) and not self._finished):
            self._save()
        if stopping and not self._finished:
            raise KeyboardInterrupt

    @property
    def _finished(self) -> bool:
        return self._step == self._settings.steps

    def _update(self, model: torch.nn.Module, batch: Batch) -> None:
        """Take a step of the optimiser."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._step, self._settings)
        self._seed()
        self._optimizer.zero_grad(set_to_none=True)
        losses = self._accumulate(model, batch)
        # Clipped as they are, not as they were scaled for float16.
        self._scaler.unscale_(self._optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), self._settings.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._step += 1
        self._task.after_step(self._step / self._settings.steps)
        # Summed where it is and read only for a report: a GPU need not be waited for at each step.
        self._loss_sum = self._loss_sum + losses
        self._loss_count += 1

    def _accumulate(self, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        """Compute the gradients of a batch, in `accumulate` parts: the parts of its loss, (P,)."""
        count = self._settings.accumulate
        total = torch.zeros_like(self._loss_sum)
        pieces = zip(*(tensor.chunk(count) for tensor in batch), strict=True)
        for number, piece in enumerate(pieces, start=1):
            # Processes average their gradients once, with the last part.
            with nullcontext() if number == count else self.processes.no_sync(model):
                on_device = [tensor.to(self._device, non_blocking=True) for tensor in piece]
                with self._autocast():
                    losses = model(*on_device)
                self._scaler.scale(losses.sum() / count).backward()
            total += losses.detach() / count
        return total

    def _seed(self) -> None:
        """Make what a step draws (dropout) independent of the steps before.

        A run that is resumed draws what an undisturbed one does.
        """
        facts = (self._settings.seed, self._step, self.processes.rank)
        number = int(np.random.SeedSequence(facts).generate_state(1)[0])
        torch.default_generator.manual_seed(number)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(number)

    def _autocast(self) -> torch.autocast:
        """Compute matrix products in the short number type, where there is one."""
        short = self._short_type
        return torch.autocast(self._device.type, dtype=short, enabled=short is not None)

    def _summarize(self, speed: float) -> Progress:
        """Read the loss, and evaluate if it is time to; all processes must do so at one step."""
        losses = self.processes.mean(self._loss_sum / self._loss_count).tolist()
        self._loss_sum, self._loss_count = torch.zeros_like(self._loss_sum), 0
        loss = sum(losses)
        if not math.isfinite(loss):
            raise CaptionaryError(
                f"the loss is {loss} at step {self._step}; train into another --out with a smaller "
                "--learning-rate or a longer --warm-up"
            )
        evaluating = self._due(self._settings.evaluate_every)
        if evaluating and self.processes.first:
            self._metrics = self._evaluate()
        parts = dict(zip(self._task.loss_names, losses, strict=True))
        rate = learning_rate(self._step - 1, self._settings)
        return Progress(self._step, loss, parts, rate, speed, self._metrics if evaluating else {})

    def _draw_curves(self) -> None:
        """Draw the curves anew, if it is time to."""
        if self._due(self._settings.evaluate_every):
            with self._write_errors():
                draw_curves(self._folder / LOG_FILE, self._folder / CURVES_FILE)

    def _evaluate(self) -> dict[str, float]:
        """Evaluate the module, and the model as it is when written."""
        self._task.module.eval()
        with torch.no_grad(), self._autocast():
            metrics = dict(self._task.evaluate())
        self._task.module.train()
        # In float32 and with gradients on, as for any user of the written model.
        if self._evaluator is not None:
            with self._temporary_model() as folder:
                metrics.update(self._evaluator(folder))
        return metrics

    @contextmanager
    def _temporary_model(self) -> Iterator[Path]:
        """The model of this moment in a folder of its own, which is removed in the end."""
        folder = self._folder / EVALUATED_FOLDER
        try:
            with self._write_errors():
                folder.mkdir(exist_ok=True)
                self._task.write(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _open_log(self) -> Iterator[Callable[[Progress], None]]:
        """A function that writes a line into the log, and does nothing but in the first process."""
        if not self.processes.first:
            yield lambda _: None
            return
        evaluated = self._evaluator.metric_names if self._evaluator else ()
        columns = log_columns(self._task.loss_names, self._task.metric_names + evaluated)
        log = Log(self._folder / LOG_FILE, columns, step=self._step)
        try:
            yield lambda progress: log.write(progress.row)
        finally:
            log.close()


def choose_short_type(device: torch.device) -> torch.dtype | None:
    """The number type for mixed precision; None: the processor has none."""
    if has_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else None
