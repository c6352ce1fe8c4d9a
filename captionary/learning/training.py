"""Puts a training together: data, architecture, initial weights, task, trainer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from captionary.learning.checkpoints import Facts, make_run_folder
from captionary.learning.collaborators import Collaborators
from captionary.learning.data.batches import Batches, Preprocessor
from captionary.learning.data.sources import TrainingData
from captionary.learning.initial_model import InitialModel, choose_initial_model
from captionary.learning.methods.task_spec import TaskSpec
from captionary.learning.methods.tasks import build_task
from captionary.learning.plan import TrainingPlan
from captionary.learning.processes import Processes, join_processes
from captionary.learning.settings import Settings
from captionary.learning.trainer import Trainer, choose_short_type
from captionary.vision.hardware import choose_device


@contextmanager
def open_trainer(
    plan: TrainingPlan, settings: Settings, folder: Path, collaborators: Collaborators
) -> Iterator[Trainer]:
    """Open the trainer of a plan, which goes on where a run in the same folder was cut short.

    Raises:
        WrongInput: what is named cannot be used, or the folder cannot be written to.
    """
    # What is quickly found to be wrong is checked first: the model, the dataset, then the SOURCE.
    with join_processes(choose_device(plan.device)) as processes:
        initial = choose_initial_model(plan, seed=settings.seed)
        evaluator = None
        if plan.evaluate is not None and processes.first:
            evaluator = collaborators.load_evaluator(plan.evaluate, processes.device.type)
        size = plan.scene_scale * max(initial.architecture.input_size_hw)
        data = collaborators.load_data(plan, folder, processes, size=size, seed=settings.seed)
        make_run_folder(folder)
        initial = initial.build(data.captions, plan.merges, seed=settings.seed)
        spec = _build_spec(plan, collaborators, processes, initial, data)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings.seed)  # for heads that the method adds
            task = build_task(plan.method, spec)
        yield Trainer(
            task,
            _build_batches(plan, settings, processes, data, task.preprocessor),
            settings,
            folder=folder,
            facts=_facts(plan, data, initial),
            processes=processes,
            short_type=choose_short_type(processes.device),
            evaluator=evaluator,
        )


def _build_spec(
    plan: TrainingPlan,
    collaborators: Collaborators,
    processes: Processes,
    initial: InitialModel,
    data: TrainingData,
) -> TaskSpec:
    assert initial.clip is not None
    return TaskSpec(
        initial.architecture,
        initial.clip.requires_grad_(True),
        data,
        processes,
        collaborators.load_noun_extractor,
        initial.head,
        masked=plan.masked,
        without=plan.without,
        workers=plan.worker_count(processes),
    )


def _build_batches(
    plan: TrainingPlan,
    settings: Settings,
    processes: Processes,
    data: TrainingData,
    preprocessor: Preprocessor[Any],
) -> Batches[Any]:
    return Batches(
        data.examples,
        preprocessor,
        settings.batch_size,
        seed=settings.seed,
        rank=processes.rank,
        ranks=processes.count,
        workers=plan.worker_count(processes),
        pinned=processes.device.type == "cuda",
    )


def _facts(plan: TrainingPlan, data: TrainingData, initial: InitialModel) -> Facts:
    """What must be as it was when a run is resumed; the first that differs is reported."""
    return {
        "method": plan.method,
        # Before the model, whose vocabulary depends on the pictures: where both differ, these are
        # what the user has changed.
        "pictures": data.name,
        "model": f"{initial.name} {initial.architecture.digest}",
        "masked": plan.masked,
        "without": "+".join(sorted(plan.without)) or "nothing",
    }
