"""What a run learns, logs and evaluates."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from captionary.learning.processes import Processes
from captionary.learning.progress import Progress
from captionary.learning.trainer import choose_short_type
from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.vision.hardware import has_bfloat16
from tests.learning.flag_pictures import (
    Flags,
    tiny_batches,
    tiny_preprocessor,
    tiny_task,
    tiny_trainer,
)
from tests.learning.grouping_models import grouping_task, pgseg_losses, vilseg_losses
from tests.learning.runs import SETTINGS, curve, weights
from tests.learning.teacher_task import TaughtModule, TaughtTask


def test_the_loss_falls_and_is_logged(whole: Path) -> None:
    rows = curve(whole)

    assert [row["step"] for row in rows] == ["10", "20", "30"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) - 0.2
    assert [bool(row["image_to_text_1"]) for row in rows] == [False, True, True]


def test_a_loss_of_one_part_is_logged_once(whole: Path) -> None:
    assert list(curve(whole)[0])[:3] == ["step", "loss", "learning_rate"]


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


def test_the_parts_of_a_loss_are_logged_and_add_up(tmp_path: Path) -> None:
    reported: list[Progress] = []
    tiny_trainer(tmp_path, SETTINGS, task=TaughtTask()).train(reported.append)

    rows = curve(tmp_path)
    assert list(rows[0]) == ["step", "loss", "loss_tokens", "loss_teacher", "learning_rate"]
    for row, progress in zip(rows, reported, strict=True):
        assert progress.loss == sum(progress.parts.values())
        assert {name: f"{value:.6f}" for name, value in progress.parts.items()} == {
            "tokens": row["loss_tokens"],
            "teacher": row["loss_teacher"],
        }


def test_a_teacher_is_not_trained_but_follows(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=4, warm_up=0)
    task, before = TaughtTask(), TaughtModule()
    tiny_trainer(tmp_path, settings, task=task).train()

    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["state"]
    assert all(value.grad is None for value in task.module.teacher.parameters())
    assert len(state["optimizer"]["state"]) == 2  # weight and bias of the student
    assert not torch.equal(task.module.teacher.weight, before.teacher.weight)
    assert not torch.equal(task.module.teacher.weight, task.module.student.weight)
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
    """Evaluates how many bytes a model takes, as it was written."""

    metric_names = ("bytes",)

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def __call__(self, folder: Path) -> Mapping[str, float]:
        assert torch.is_grad_enabled()
        self.folders.append(folder)
        return {"bytes": sum(file.stat().st_size for file in folder.iterdir())}


def test_the_written_model_is_evaluated_too(whole: Path, tmp_path: Path) -> None:
    evaluator = Size()
    task = tiny_task(held_out=Flags(10))

    metrics = tiny_trainer(tmp_path, SETTINGS, task=task, evaluator=evaluator).train()

    assert len(evaluator.folders) == 2  # at steps 20 and 30
    assert tuple(metrics) == (*task.metric_names, "bytes")
    assert metrics["bytes"] == sum(
        (whole / name).stat().st_size
        for name in ("open_clip_model.safetensors", "open_clip_config.json", "merges.txt.gz")
    )
    assert [row["bytes"] for row in curve(tmp_path)] == ["", *[f"{metrics['bytes']:.4f}"] * 2]
    assert weights(tmp_path) == weights(whole)
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in whole.iterdir()}


@pytest.mark.parametrize("scaled", [False, True])
def test_one_update_equals_torch(tmp_path: Path, scaled: bool) -> None:
    """Also where gradients are scaled, as for float16: they are clipped as they are, unscaled."""
    settings = replace(SETTINGS, steps=1, warm_up=0, clip_norm=0.05, weight_decay=0.3)
    task, plain = tiny_task(), tiny_task().module
    (batch,) = tiny_batches(tiny_preprocessor(), settings).stream(0, 1)
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


def test_a_run_in_bfloat16_learns_what_one_in_float32_does(whole: Path, tmp_path: Path) -> None:
    """On any processor: those that lack it compute it more slowly."""
    task = tiny_task(held_out=Flags(10))
    tiny_trainer(tmp_path, SETTINGS, task=task, short_type=torch.bfloat16).train()

    losses = [[float(row["loss"]) for row in curve(folder)] for folder in (whole, tmp_path)]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
    assert losses[0] != losses[1]


def test_the_short_number_type_is_one_that_the_processor_has() -> None:
    cpu = torch.device("cpu")

    assert choose_short_type(cpu) == (torch.bfloat16 if has_bfloat16(cpu) else None)
