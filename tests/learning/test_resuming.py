"""A run that was killed or interrupted goes on as if it had not been."""

import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from captionary.learning.processes import Processes
from captionary.learning.stop_signals import stop_requests
from captionary.schemas.errors import WrongInput
from tests.learning.flag_pictures import Flags, tiny_preprocessor, tiny_task, tiny_trainer
from tests.learning.runs import SETTINGS, Killed, at_step, curve, interrupt, kill, picture, weights
from tests.learning.teacher_task import TaughtTask


@pytest.mark.parametrize("step", [10, 20])
def test_a_killed_run_goes_on_as_if_it_had_not_been(whole: Path, tmp_path: Path, step: int) -> None:
    with pytest.raises(Killed):
        tiny_trainer(tmp_path, SETTINGS, task=tiny_task(held_out=Flags(10))).train(
            at_step(step, kill)
        )
    metrics = tiny_trainer(tmp_path, SETTINGS, task=tiny_task(held_out=Flags(10))).train()

    assert weights(tmp_path) == weights(whole)
    assert curve(tmp_path) == curve(whole)
    assert picture(tmp_path) == picture(whole)
    assert f"{metrics['image_to_text_1']:.4f}" == curve(whole)[-1]["image_to_text_1"]


def test_an_interrupted_run_loses_no_step(whole: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, save_every=1000)
    before = signal.getsignal(signal.SIGINT)
    trainer = tiny_trainer(tmp_path, settings, task=tiny_task(held_out=Flags(10)))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(at_step(20, interrupt))
    assert signal.getsignal(signal.SIGINT) == before
    steps = []
    trainer = tiny_trainer(tmp_path, settings, task=tiny_task(held_out=Flags(10)))
    trainer.train(lambda progress: steps.append(progress.step))

    assert steps == [30]
    assert weights(tmp_path) == weights(whole)
    assert curve(tmp_path) == curve(whole)


def test_a_finished_run_is_left_alone(whole: Path) -> None:
    before = curve(whole), weights(whole)
    steps: list[int] = []
    trainer = tiny_trainer(whole, SETTINGS, task=tiny_task(held_out=Flags(10)))

    metrics = trainer.train(lambda progress: steps.append(progress.step))

    assert not steps
    assert (curve(whole), weights(whole)) == before
    assert set(metrics) == set(tiny_task(held_out=Flags(10)).metric_names)


def test_a_run_is_resumed_only_as_it_was_begun(whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    for changed, complaint in (
        (replace(SETTINGS, steps=60), "steps 30, not 60"),
        (replace(SETTINGS, batch_size=4), "batch_size 8, not 4"),
        (replace(SETTINGS, seed=2), "seed 1, not 2"),
    ):
        with pytest.raises(WrongInput, match=complaint):
            tiny_trainer(run, changed).train()
    with pytest.raises(WrongInput, match="pictures None, not many"):
        tiny_trainer(run, SETTINGS, facts={"pictures": "many"}).train()
    tiny_trainer(run, replace(SETTINGS, save_every=1, evaluate_every=3)).train()


class Noisy(torch.nn.Module):
    """A loss that draws random numbers, as dropout does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, pictures: torch.Tensor, _tokens: torch.Tensor) -> torch.Tensor:
        assert self.training
        noise = torch.rand(len(pictures))
        loss: torch.Tensor = (self.weight - noise).square().mean()
        return loss[None]


class NoisyTask:
    """A task that has nothing to do with CLIP."""

    loss_names = ("noise",)
    metric_names = ("weight",)

    def __init__(self) -> None:
        self.module = Noisy()
        self.preprocessor = tiny_preprocessor()

    def after_step(self, done: float) -> None: ...

    def evaluate(self) -> Mapping[str, float]:
        assert not self.module.training
        assert not torch.is_grad_enabled()
        return {"weight": self.module.weight.item()}

    def write(self, folder: Path) -> None:
        (folder / "weight.txt").write_text(str(self.module.weight.item()))


def test_what_a_step_draws_does_not_depend_on_the_steps_before(tmp_path: Path) -> None:
    metrics = tiny_trainer(tmp_path / "a", SETTINGS, task=NoisyTask()).train()
    with pytest.raises(Killed):
        tiny_trainer(tmp_path / "b", SETTINGS, task=NoisyTask()).train(at_step(20, kill))
    resumed = tiny_trainer(tmp_path / "b", SETTINGS, task=NoisyTask()).train()

    assert metrics == resumed
    assert (tmp_path / "b" / "weight.txt").read_text() == str(metrics["weight"])


@pytest.mark.parametrize("accumulate", [1, 4])
def test_a_killed_run_with_a_teacher_goes_on_too(tmp_path: Path, accumulate: int) -> None:
    settings = replace(SETTINGS, accumulate=accumulate)
    one, two = tmp_path / "one", tmp_path / "two"
    tiny_trainer(one, settings, task=TaughtTask()).train()
    with pytest.raises(Killed):
        tiny_trainer(two, settings, task=TaughtTask()).train(at_step(20, kill))
    tiny_trainer(two, settings, task=TaughtTask()).train()

    assert (two / "weights.txt").read_bytes() == (one / "weights.txt").read_bytes()
    assert curve(two) == curve(one)


@pytest.mark.usefixtures("interruptible")
def test_the_second_request_to_stop_is_obeyed_at_once() -> None:
    with stop_requests() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_learns_what_a_cpu_learns(whole: Path, tmp_path: Path) -> None:
    gpu = Processes(torch.device("cuda", 0))
    with pytest.raises(Killed):
        tiny_trainer(
            tmp_path, SETTINGS, task=tiny_task(gpu, held_out=Flags(10)), processes=gpu
        ).train(at_step(20, kill))
    tiny_trainer(tmp_path, SETTINGS, task=tiny_task(gpu, held_out=Flags(10)), processes=gpu).train()

    losses = [[float(row["loss"]) for row in curve(folder)] for folder in (whole, tmp_path)]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
