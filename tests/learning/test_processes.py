"""Two real processes that train one model, joined by gloo."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from captionary.indexer.readers.shard_pairs import SourceReader
from captionary.learning.data.batches import Batch, PreparedExamples, Preprocessor
from captionary.learning.data.sources import SourceLoader
from captionary.learning.processes import Processes, join_processes
from captionary.learning.settings import Settings
from tests.learning.child_processes import start_together
from tests.learning.data.shards import write_numbered_shards
from tests.learning.flag_pictures import Flags, no_progress, tiny_task, tiny_trainer
from tests.learning.grouping_models import (
    GROUPING,
    grouping_task,
    pgseg_losses,
    pgseg_preprocessor,
    random_weights,
    view_preprocessor,
    vilseg_losses,
)
from tests.learning.teacher_task import TaughtTask

SETTINGS = Settings(steps=12, batch_size=8, learning_rate=2e-3, warm_up=3, save_every=5)
FEW = replace(SETTINGS, steps=4)


def train(folder: Path) -> None:
    torch.set_num_threads(1)
    with join_processes(torch.device("cpu")) as processes:
        task = tiny_task(processes, held_out=Flags(10) if processes.first else None)
        reported: list[int] = []
        trainer = tiny_trainer(folder, SETTINGS, task=task, processes=processes)
        trainer.train(lambda progress: reported.append(progress.step))
        assert bool(reported) == processes.first
        train_parts(folder, processes)
        # Each process has its own nouns: those of both are not compared.
        views = grouping_task(vilseg_losses(processes, nouns=False))
        tiny_trainer(folder / "views", FEW, task=views, processes=processes).train()
        groups = grouping_task(pgseg_losses(GROUPING, processes))
        tiny_trainer(folder / "groups", FEW, task=groups, processes=processes).train()
        torch.save(groups.module.state_dict(), folder / f"groups-{processes.rank}.pt")
        save_gradients(folder, processes)
        save_group_prototypes(folder, processes)
        save_shard_split(folder, processes)


def train_parts(folder: Path, processes: Processes) -> None:
    """Accumulate gradients, once undisturbed and once cut between two reports, after a save."""
    settings = replace(SETTINGS, accumulate=4 // processes.count)
    task = TaughtTask(processes)
    tiny_trainer(folder / "taught", settings, task=task, processes=processes).train()
    cut = CutTask(processes)
    with pytest.raises(Cut):
        tiny_trainer(folder / "cut", settings, task=cut, processes=processes).train()
    again = TaughtTask(processes)
    tiny_trainer(folder / "cut", settings, task=again, processes=processes).train()


class Cut(Exception):
    """Ends a run without anything being saved."""


class CutTask(TaughtTask):
    """It does not come to its eighth step."""

    def after_step(self, done: float) -> None:
        super().after_step(done)
        if done > 0.6:
            raise Cut


def part_of_batch(processes: Processes, preprocessor: Preprocessor[Batch]) -> Batch:
    """A process's part of eight pictures and captions."""
    data = PreparedExamples(Flags(), preprocessor, seed=0)
    whole = preprocessor.collate([data[index, 0] for index in range(8)])
    return tuple(tensor.chunk(processes.count)[processes.rank] for tensor in whole)


def save_group_prototypes(folder: Path, processes: Processes) -> None:
    """Those of PGSeg after one forward pass in training."""
    module = pgseg_losses(processes=processes).train()
    part = part_of_batch(processes, pgseg_preprocessor())
    torch.manual_seed(processes.rank)
    module(*part)
    if processes.first:
        moved = [stage.prototypes for stage in module.clip.visual.stages]
        torch.save(moved, folder / "prototypes.pt")


def save_gradients(folder: Path, processes: Processes) -> None:
    """Those of ViL-Seg's losses, as the optimizer gets them."""
    module = vilseg_losses(processes, nouns=False)
    assert module.clusters is not None
    random_weights(module.clusters, spread=1.0)  # at first it gives all patches one cluster
    model = processes.wrap(module).train()
    model(*part_of_batch(processes, view_preprocessor())).sum().backward()
    if processes.first:
        found = {n: each.grad for n, each in module.named_parameters() if each.requires_grad}
        torch.save(found, folder / "gradients.pt")


def save_shard_split(folder: Path, processes: Processes) -> None:
    """Captions to learn from and those held out, of shards that lie beside the folder."""
    loader = SourceLoader(SourceReader(), folder / "listed", processes, no_progress)
    data = loader.load(str(folder.parent / "shards" / "{0..3}.tar"), images=None, held_out=7)
    assert data.held_out is not None
    held_out = [data.held_out[number].captions for number in range(7)]
    torch.save((data.name, [*data.captions], held_out), folder / f"shards-{processes.rank}.pt")


def losses(folder: Path) -> list[float]:
    with (folder / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def assert_alike(one: Path, two: Path, *, atol: float, rtol: float) -> dict[str, torch.Tensor]:
    """Two runs must have ended in nearly equal weights; returns those of the second."""
    states = [
        dict(torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["module"])
        for folder in (one, two)
    ]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        torch.testing.assert_close(states[1][name], value, atol=atol, rtol=rtol, msg=name)
    return states[1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What one process has trained, and what two have."""
    base = tmp_path_factory.mktemp("processes")
    write_numbered_shards(base / "shards", 60)
    one, two = base / "one", base / "two"
    one.mkdir()
    two.mkdir()
    children = start_together(base, 2, train, two)
    train(one)  # meanwhile
    for rank, child in enumerate(children):
        child.join(120)
        child.kill()
        child.join()
        assert child.exitcode == 0, (base / f"output-{rank}.txt").read_text()[-3000:]
    return one, two


def test_two_processes_learn_what_one_learns(folders: tuple[Path, Path]) -> None:
    one, two = folders

    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    assert_alike(one, two, atol=1e-3, rtol=1e-2)


def test_two_processes_accumulate_what_one_does_and_keep_a_teacher(
    folders: tuple[Path, Path],
) -> None:
    one, two = (folder / "taught" for folder in folders)

    assert losses(two) == pytest.approx(losses(one), abs=1e-5)
    assert_alike(one, two, atol=1e-5, rtol=1.3e-6)


def test_two_processes_learn_from_views_what_one_does(folders: tuple[Path, Path]) -> None:
    """Teacher, centre, and clusters that are compared over the whole batch."""
    one, two = (folder / "views" for folder in folders)

    assert losses(two) == pytest.approx(losses(one), abs=1e-4)
    end = assert_alike(one, two, atol=1e-3, rtol=1e-2)
    start = vilseg_losses(nouns=False).state_dict()
    for name in ("centre", "teacher.head.layers.0.weight", "clusters.layers.0.weight"):
        assert not torch.equal(end[name], start[name])


def test_gradients_of_two_processes_are_those_of_one(folders: tuple[Path, Path]) -> None:
    """In size, too: what the optimizer makes of them would not tell."""
    one, two = (torch.load(folder / "gradients.pt", weights_only=True) for folder in folders)

    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, atol=1e-5, rtol=1e-3)
    assert one["clusters.layers.2.weight"].abs().max() > 0.01


def test_two_processes_learn_groups_and_stay_alike(folders: tuple[Path, Path]) -> None:
    """From their own parts, with their own random numbers."""
    two = folders[1]
    states = [torch.load(two / f"groups-{rank}.pt", weights_only=True) for rank in range(2)]
    start = pgseg_losses(GROUPING).state_dict()

    assert all(np.isfinite(losses(two / "groups")))
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    for name in ("stages.1.prototypes", "stages.0.group_tokens", "blocks.0.mlp.c_fc.weight"):
        assert not torch.equal(states[0][f"clip.visual.{name}"], start[f"clip.visual.{name}"])


def test_two_processes_go_on_with_the_loss_of_both(folders: tuple[Path, Path]) -> None:
    """The log has its mean since the last report, also where the run was cut in between."""
    for folder in folders:
        assert losses(folder / "cut") == pytest.approx(losses(folder / "taught"), abs=2e-6)


def test_group_prototypes_move_to_the_mean_over_all_processes(folders: tuple[Path, Path]) -> None:
    module = pgseg_losses().train()
    stages = module.clip.visual.stages
    each_rank = []
    for rank in range(2):
        processes = Processes(torch.device("cpu"), rank, 2)
        pictures, *_ = part_of_batch(processes, pgseg_preprocessor())
        torch.manual_seed(rank)
        pixels = (pictures.float() / 255 - 0.5) / 0.5
        each_rank.append(module.clip.visual.group_patches(pixels).group_prototypes)

    moved = torch.load(folders[1] / "prototypes.pt", weights_only=True)

    for number, stage in enumerate(stages):
        everywhere = torch.cat([prototypes[number] for prototypes in each_rank])
        assert len(everywhere) == 8
        expected = normalize(0.9 * stage.prototypes + 0.1 * everywhere.mean(dim=0), dim=1)
        torch.testing.assert_close(moved[number], expected)
        alone = normalize(0.9 * stage.prototypes + 0.1 * each_rank[0][number].mean(dim=0), dim=1)
        assert (expected - alone).abs().max() > 1e-3


def test_two_processes_list_what_one_lists(folders: tuple[Path, Path]) -> None:
    """Of three shards and one that is missing, two of them each; the lists are shared."""
    one, two = folders
    expected = torch.load(one / "shards-0.pt", weights_only=True)
    _, learned, held_out = expected
    captions = {*learned, *(caption for texts in held_out for caption in texts)}

    assert captions == {"dog", *(f"number {number}" for number in range(60))}
    for rank in range(2):
        assert torch.load(two / f"shards-{rank}.pt", weights_only=True) == expected
    assert len(list((two / "listed" / "shards").iterdir())) == 3


def test_one_process_goes_on_where_two_have_stopped(folders: tuple[Path, Path]) -> None:
    _, two = folders

    metrics = tiny_trainer(two, SETTINGS, task=tiny_task(held_out=Flags(10))).train()

    assert "image_to_text_1" in metrics


def test_one_process_needs_no_others() -> None:
    with join_processes(torch.device("cpu")) as processes:
        assert processes == Processes(torch.device("cpu"))
        module = torch.nn.Linear(2, 2)
        assert processes.wrap(module) is module
        with processes.no_sync(module):
            pass
        assert processes.mean(torch.tensor(3)) == 3
        assert processes.any(here=True)
        rows = torch.ones(2, 3)
        assert processes.all_gather(rows) is rows
