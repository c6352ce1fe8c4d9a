"""Two real processes that train one model, joined by gloo."""

import csv
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from captionary.learning.data.batches import Batch, Inputs, Prepared
from captionary.learning.processes import Processes, joined
from captionary.learning.settings import Settings
from tests.learning.drawn import Flags, tiny_task, tiny_trainer
from tests.learning.groupers import (
    GROUPING,
    grouping_task,
    pgseg_inputs,
    pgseg_losses,
    random_weights,
    view_inputs,
    vilseg_losses,
)
from tests.learning.taught import TaughtTask

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(steps=12, batch_size=8, learning_rate=2e-3, warm_up=3, save_every=5)


def train(folder: Path) -> None:
    torch.set_num_threads(1)
    with joined(torch.device("cpu")) as processes:
        task = tiny_task(processes, held_out=Flags(10) if processes.first else None)
        reported: list[int] = []
        trainer = tiny_trainer(folder, SETTINGS, task=task, processes=processes)
        trainer.train(lambda now: reported.append(now.step))
        assert bool(reported) == processes.first
        apart = replace(SETTINGS, accumulate=4 // processes.count)
        taught = TaughtTask(processes)
        tiny_trainer(folder / "taught", apart, task=taught, processes=processes).train()
        few = replace(SETTINGS, steps=4)
        # Each process looks among its own nouns.
        views = grouping_task(vilseg_losses(processes, nouns=False))
        tiny_trainer(folder / "views", few, task=views, processes=processes).train()
        groups = grouping_task(pgseg_losses(GROUPING, processes))
        tiny_trainer(folder / "groups", few, task=groups, processes=processes).train()
        torch.save(groups.module.state_dict(), folder / f"groups-{processes.rank}.pt")
        cut = CutTask(processes)
        with pytest.raises(Cut):
            tiny_trainer(folder / "cut", apart, task=cut, processes=processes).train()
        again = TaughtTask(processes)
        tiny_trainer(folder / "cut", apart, task=again, processes=processes).train()
        find_gradients(folder, processes)
        move_prototypes(folder, processes)


class Cut(Exception):
    """Ends a run between two looks at its loss, after it was saved."""


class CutTask(TaughtTask):
    """It does not come to its eighth step."""

    def after_step(self, done: float) -> None:
        super().after_step(done)
        if done > 0.6:
            raise Cut


def part_of_batch(processes: Processes, inputs: Inputs[Batch]) -> Batch:
    """What a process is given of eight pictures and captions."""
    data = Prepared(Flags(), inputs, seed=0)
    whole = inputs.together([data[index, 0] for index in range(8)])
    return tuple(tensor.chunk(processes.count)[processes.rank] for tensor in whole)


def move_prototypes(folder: Path, processes: Processes) -> None:
    """Look at them once in training; write PGSeg's prototypes as they are then."""
    module = pgseg_losses(processes=processes).train()
    part = part_of_batch(processes, pgseg_inputs())
    torch.manual_seed(processes.rank)
    module(*part)
    if processes.first:
        moved = [stage.prototypes for stage in module.clip.visual.stages]
        torch.save(moved, folder / "prototypes.pt")


def find_gradients(folder: Path, processes: Processes) -> None:
    """Write those of ViL-Seg's losses, as the optimizer gets them."""
    module = vilseg_losses(processes, nouns=False)
    assert module.clusters is not None
    random_weights(module.clusters, spread=1.0)  # at first it says the same of all
    model = processes.wrapped(module).train()
    model(*part_of_batch(processes, view_inputs())).sum().backward()
    if processes.first:
        found = {n: each.grad for n, each in module.named_parameters() if each.requires_grad}
        torch.save(found, folder / "gradients.pt")


def losses(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def state(folder: Path) -> dict[str, torch.Tensor]:
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    return dict(saved["state"]["module"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process has trained, and what two have."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    program = f"""
from pathlib import Path
from tests.learning.test_processes import train
train(Path({str(two)!r}))
"""
    script = two / "program.py"
    script.write_text(program)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, "--standalone", str(script)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    train(one)
    return one, two


def test_two_processes_learn_what_one_learns(folders: tuple[Path, Path]) -> None:
    one, two = folders

    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    for name, value in state(one).items():
        torch.testing.assert_close(state(two)[name], value, atol=1e-3, rtol=1e-2)


def test_two_processes_accumulate_what_one_does_and_keep_a_teacher(
    folders: tuple[Path, Path],
) -> None:
    one, two = (folder / "taught" for folder in folders)

    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    for name, value in state(one).items():
        torch.testing.assert_close(state(two)[name], value)


def test_two_processes_learn_from_views_what_one_does(folders: tuple[Path, Path]) -> None:
    """Teacher, centre, and clusters that are compared over the whole batch."""
    one, two = (folder / "views" for folder in folders)

    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    start = vilseg_losses(nouns=False).state_dict()
    for name, value in state(one).items():
        torch.testing.assert_close(state(two)[name], value, atol=1e-3, rtol=1e-2)
    for name in ("centre", "teacher.head.layers.0.weight", "clusters.layers.0.weight"):
        assert not torch.equal(state(two)[name], start[name])


def test_gradients_of_two_processes_are_those_of_one(folders: tuple[Path, Path]) -> None:
    """In size, too: what the optimizer makes of them would not tell."""
    one, two = (torch.load(folder / "gradients.pt", weights_only=True) for folder in folders)

    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, atol=1e-5, rtol=1e-3)
    assert one["clusters.layers.2.weight"].abs().max() > 0.01


def test_two_processes_learn_groups_and_stay_alike(folders: tuple[Path, Path]) -> None:
    """Of their own parts, by their own chances."""
    two = folders[1]
    states = [torch.load(two / f"groups-{rank}.pt", weights_only=True) for rank in range(2)]
    start = pgseg_losses(GROUPING).state_dict()

    assert all(np.isfinite(losses(two / "groups")))
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    for name in ("stages.1.prototypes", "stages.0.group_tokens", "blocks.0.mlp.c_fc.weight"):
        assert not torch.equal(states[0][f"clip.visual.{name}"], start[f"clip.visual.{name}"])


def test_two_processes_go_on_with_the_loss_of_both(folders: tuple[Path, Path]) -> None:
    """The log tells its mean since the look before, also where the run was cut in between."""
    for folder in folders:
        assert losses(folder / "cut") == pytest.approx(losses(folder / "taught"), abs=2e-6)


def test_prototypes_move_to_the_mean_over_all_processes(folders: tuple[Path, Path]) -> None:
    module = pgseg_losses().train()
    stages = module.clip.visual.stages
    found = []
    for rank in range(2):
        pictures, *_ = part_of_batch(Processes(torch.device("cpu"), rank, 2), pgseg_inputs())
        torch.manual_seed(rank)
        found.append(module.clip.visual.grouped((pictures.float() / 255 - 0.5) / 0.5).prototypes)

    moved = torch.load(folders[1] / "prototypes.pt", weights_only=True)

    for number, stage in enumerate(stages):
        everywhere = torch.cat([each[number] for each in found])
        assert len(everywhere) == 8
        expected = normalize(0.9 * stage.prototypes + 0.1 * everywhere.mean(dim=0), dim=1)
        torch.testing.assert_close(moved[number], expected)
        alone = normalize(0.9 * stage.prototypes + 0.1 * found[0][number].mean(dim=0), dim=1)
        assert (expected - alone).abs().max() > 1e-3


def test_one_process_goes_on_where_two_have_stopped(folders: tuple[Path, Path]) -> None:
    _, two = folders

    figures = tiny_trainer(two, SETTINGS, task=tiny_task(held_out=Flags(10))).train()

    assert "image_to_text_1" in figures


def test_one_process_needs_no_others() -> None:
    with joined(torch.device("cpu")) as processes:
        assert processes == Processes(torch.device("cpu"))
        module = torch.nn.Linear(2, 2)
        assert processes.wrapped(module) is module
        with processes.alone(module):
            pass
        assert processes.mean(torch.tensor(3)) == 3
        assert processes.any(here=True)
        rows = torch.ones(2, 3)
        assert processes.gathered(rows) is rows
