import csv
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from captionary.learning.processes import Processes
from captionary.learning.progress import Progress
from captionary.learning.settings import Settings
from captionary.learning.stop_signals import stop_requests
from captionary.learning.trainer import mixed_precision
from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.vision.hardware import has_bfloat16
from tests.learning.drawn import Flags, tiny_batches, tiny_inputs, tiny_task, tiny_trainer
from tests.learning.groupers import grouping_task, pgseg_losses, vilseg_losses
from tests.learning.taught import Taught, TaughtTask

SETTINGS = Settings(
    steps=30,
    batch_size=8,
    learning_rate=2e-3,
    warm_up=5,
    evaluate_every=20,
    save_every=7,
    seed=1,
)


class Killed(Exception):
    """Ends a run without anything being saved."""


def at_step(step: int, act: Callable[[], None]) -> Callable[[Progress], None]:
    def report(now: Progress) -> None:
        if now.step == step:
            act()

    return report


def kill() -> None:
    raise Killed


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def curve(folder: Path) -> list[Mapping[str, str]]:
    """The log, but for how fast it went."""
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: row[key] for key in row if key != "examples_per_second"} for row in rows]


def picture(folder: Path) -> bytes:
    return (folder / "curves.svg").read_bytes()


def weights(folder: Path) -> bytes:
    return (folder / "open_clip_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing has cut short."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    tiny_trainer(folder, SETTINGS, task=tiny_task(held_out=Flags(10))).train()
    return folder


def test_the_loss_falls_and_is_logged(whole: Path) -> None:
    rows = curve(whole)

    assert [row["step"] for row in rows] == ["10", "20", "30"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) - 0.2
    assert [bool(row["image_to_text_1"]) for row in rows] == [False, True, True]


def test_a_loss_of_one_part_is_logged_once(whole: Path) -> None:
    assert list(curve(whole)[0])[:3] == ["step", "loss", "learning_rate"]


@pytest.mark.parametrize("step", [10, 20])
def test_a_killed_run_goes_on_as_if_it_had_not_been(whole: Path, tmp_path: Path, step: int) -> None:
    with pytest.raises(Killed):
        tiny_trainer(tmp_path, SETTINGS, task=tiny_task(held_out=Flags(10))).train(
            at_step(step, kill)
        )
    figures = tiny_trainer(tmp_path, SETTINGS, task=tiny_task(held_out=Flags(10))).train()

    assert weights(tmp_path) == weights(whole)
    assert curve(tmp_path) == curve(whole)
    assert picture(tmp_path) == picture(whole)
    assert f"{figures['image_to_text_1']:.4f}" == curve(whole)[-1]["image_to_text_1"]


def test_an_interrupted_run_loses_no_step(whole: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, save_every=1000)
    before = signal.getsignal(signal.SIGINT)
    trainer = tiny_trainer(tmp_path, settings, task=tiny_task(held_out=Flags(10)))
    with pytest.raises(KeyboardInterrupt):
        trainer.train(at_step(20, interrupt))
    assert signal.getsignal(signal.SIGINT) == before
    steps = []
    trainer = tiny_trainer(tmp_path, settings, task=tiny_task(held_out=Flags(10)))
    trainer.train(lambda now: steps.append(now.step))

    assert steps == [30]
    assert weights(tmp_path) == weights(whole)
    assert curve(tmp_path) == curve(whole)


def test_a_finished_run_is_left_alone(whole: Path) -> None:
    before = curve(whole), weights(whole)
    steps: list[int] = []
    trainer = tiny_trainer(whole, SETTINGS, task=tiny_task(held_out=Flags(10)))

    figures = trainer.train(lambda now: steps.append(now.step))

    assert not steps
    assert (curve(whole), weights(whole)) == before
    assert set(figures) == set(tiny_task(held_out=Flags(10)).measures)


def test_a_run_is_resumed_only_as_it_was_begun(whole: Path) -> None:
    for changed, complaint in (
        (replace(SETTINGS, steps=60), "steps 30, not 60"),
        (replace(SETTINGS, batch_size=4), "batch_size 8, not 4"),
        (replace(SETTINGS, seed=2), "seed 1, not 2"),
    ):
        with pytest.raises(WrongInput, match=complaint):
            tiny_trainer(whole, changed).train()
    with pytest.raises(WrongInput, match="pictures None, not many"):
        tiny_trainer(whole, SETTINGS, facts={"pictures": "many"}).train()
    tiny_trainer(whole, replace(SETTINGS, save_every=1, evaluate_every=3)).train()


@pytest.mark.parametrize(
    "make",
    [tiny_task, lambda: grouping_task(pgseg_losses()), lambda: grouping_task(vilseg_losses())],
    ids=["clip", "pgseg", "vilseg"],
)
def test_a_loss_that_is_no_number_ends_the_run(make: Callable[[], Any], tmp_path: Path) -> None:
    task = make()
    torch.nn.init.constant_(task.module.clip.logit_scale, torch.nan)

    with pytest.raises(CaptionaryError, match="the loss is nan at step 10"):
        tiny_trainer(tmp_path, SETTINGS, task=task).train()


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

    losses = ("noise",)
    measures = ("weight",)

    def __init__(self) -> None:
        self.module = Noisy()
        self.inputs = tiny_inputs()

    def after_step(self, done: float) -> None: ...

    def evaluate(self) -> Mapping[str, float]:
        assert not self.module.training
        assert not torch.is_grad_enabled()
        return {"weight": self.module.weight.item()}

    def write(self, folder: Path) -> None:
        (folder / "weight.txt").write_text(str(self.module.weight.item()))


def test_what_a_step_draws_does_not_depend_on_the_steps_before(tmp_path: Path) -> None:
    figures = tiny_trainer(tmp_path / "a", SETTINGS, task=NoisyTask()).train()
    with pytest.raises(Killed):
        tiny_trainer(tmp_path / "b", SETTINGS, task=NoisyTask()).train(at_step(20, kill))
    resumed = tiny_trainer(tmp_path / "b", SETTINGS, task=NoisyTask()).train()

    assert figures == resumed
    assert (tmp_path / "b" / "weight.txt").read_text() == str(figures["weight"])


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


def test_the_parts_of_a_loss_are_logged_and_add_up(tmp_path: Path) -> None:
    told: list[Progress] = []
    tiny_trainer(tmp_path, SETTINGS, task=TaughtTask()).train(told.append)

    rows = curve(tmp_path)
    assert list(rows[0]) == ["step", "loss", "loss_tokens", "loss_teacher", "learning_rate"]
    for row, now in zip(rows, told, strict=True):
        assert now.loss == sum(now.parts.values())
        assert {name: f"{value:.6f}" for name, value in now.parts.items()} == {
            "tokens": row["loss_tokens"],
            "teacher": row["loss_teacher"],
        }


def test_a_teacher_is_not_trained_but_follows(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=4, warm_up=0)
    task, before = TaughtTask(), Taught()
    tiny_trainer(tmp_path, settings, task=task).train()

    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["state"]
    assert all(value.grad is None for value in task.module.teacher.parameters())
    assert len(state["optimizer"]["state"]) == 2  # weight and bias of the pupil
    assert not torch.equal(task.module.teacher.weight, before.teacher.weight)
    assert not torch.equal(task.module.teacher.weight, task.module.pupil.weight)
    assert task.module.shares.item() == pytest.approx(0.25 + 0.5 + 0.75 + 1)


def test_accumulated_parts_teach_what_a_whole_batch_does(tmp_path: Path) -> None:
    whole, parts = TaughtTask(), TaughtTask()
    tiny_trainer(tmp_path / "1", SETTINGS, task=whole).train()
    tiny_trainer(tmp_path / "4", replace(SETTINGS, accumulate=4), task=parts).train()

    for ours, theirs in zip(parts.module.parameters(), whole.module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    losses = [[float(row["loss"]) for row in curve(tmp_path / name)] for name in ("1", "4")]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    with pytest.raises(WrongInput, match="accumulate 4, not 1"):
        tiny_trainer(tmp_path / "4", SETTINGS, task=TaughtTask()).train()


@pytest.mark.parametrize(
    ("count", "complaint"),
    [
        (1, "a batch of 8 does not divide into 3 equal parts; give a --batch that is a multiple"),
        (2, "into 3 equal parts in each of 2 processes; give a --batch that is a multiple of 6"),
    ],
)
def test_a_batch_that_does_not_divide_is_refused(
    tmp_path: Path, count: int, complaint: str
) -> None:
    processes = Processes(torch.device("cpu"), 0, count)

    with pytest.raises(WrongInput, match=complaint):
        tiny_trainer(
            tmp_path, replace(SETTINGS, accumulate=3), task=TaughtTask(), processes=processes
        )


class Size:
    """Measures how much a model takes, as it was written."""

    measures = ("bytes",)

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def __call__(self, folder: Path) -> Mapping[str, float]:
        assert torch.is_grad_enabled()
        self.folders.append(folder)
        return {"bytes": sum(file.stat().st_size for file in folder.iterdir())}


def test_the_written_model_is_measured_too(whole: Path, tmp_path: Path) -> None:
    measure = Size()
    task = tiny_task(held_out=Flags(10))

    figures = tiny_trainer(tmp_path, SETTINGS, task=task, measure=measure).train()

    assert len(measure.folders) == 2  # at steps 20 and 30
    assert tuple(figures) == (*task.measures, "bytes")
    assert figures["bytes"] == sum(
        (whole / name).stat().st_size
        for name in ("open_clip_model.safetensors", "open_clip_config.json", "merges.txt.gz")
    )
    assert [row["bytes"] for row in curve(tmp_path)] == ["", *[f"{figures['bytes']:.4f}"] * 2]
    assert weights(tmp_path) == weights(whole)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in whole.iterdir()}


@pytest.mark.parametrize("scaled", [False, True])
def test_one_update_equals_torch(tmp_path: Path, scaled: bool) -> None:
    """Also where gradients are scaled, as for float16: they are clipped as they are, unscaled."""
    settings = replace(SETTINGS, steps=1, warm_up=0, clip_norm=0.05, weight_decay=0.3)
    task, plain = tiny_task(), tiny_task().module
    (batch,) = tiny_batches(tiny_inputs(), settings).stream(0, 1)
    plain(*batch).backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
    decaying = [v for n, v in plain.named_parameters() if v.ndim > 1 and "embedding" not in n]
    others = [v for n, v in plain.named_parameters() if v.ndim < 2 or "embedding" in n]
    groups = [
        {"params": decaying, "weight_decay": 0.3},
        {"params": others, "weight_decay": 0},
    ]
    torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.98), eps=1e-6).step()

    trainer = tiny_trainer(tmp_path, settings, task=task)
    trainer._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, enabled=scaled)
    trainer.train()

    for ours, theirs in zip(task.module.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_second_request_to_stop_is_obeyed_at_once() -> None:
    with stop_requests() as stop:
        assert not stop.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_short_numbers_are_those_that_the_processor_has() -> None:
    cpu = torch.device("cpu")

    assert mixed_precision(cpu) == (torch.bfloat16 if has_bfloat16(cpu) else None)


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
