"""Puts a training together: examples, architecture, weights to start from, trainer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from captionary.learning.methods.registry import METHODS, Ingredients
from captionary.schemas.errors import WrongInput

if TYPE_CHECKING:
    import torch

    from captionary.learning.checkpoints import Facts
    from captionary.learning.data.sources import TrainingData
    from captionary.learning.models.architectures import Architecture
    from captionary.learning.processes import Processes
    from captionary.learning.settings import Settings
    from captionary.learning.trainer import Trainer
    from captionary.segmenter.evaluation import DatasetMeasure
    from captionary.vision.grouping.vilseg import ClusterHead


@dataclass(frozen=True, slots=True)
class Start:
    """What is trained: its layers, a name that tells it from others, and its weights, if any."""

    architecture: "Architecture"
    name: str
    clip: "torch.nn.Module | None" = None
    head: "ClusterHead | None" = None


@dataclass(frozen=True, slots=True)
class Training:
    """What to train on what, as named on the command line; None where nothing was named.

    Raises:
        WrongInput: there is no such method, or it has not what is named for it.
    """

    method: str
    source: str | None
    world: str | None
    images: str | None
    model: str | None
    weights: str | None
    merges: int | None
    masked: float
    without: frozenset[str]
    held_out: int | None
    evaluate: Path | None
    workers: int | None
    device: str

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise WrongInput(f"unknown method {self.method!r}; choose {', '.join(METHODS)}")
        chosen = METHODS[self.method]
        if self.masked and not chosen.masked:
            raise WrongInput(f"{self.method} learns without --masked; leave it out")
        for part in sorted(self.without - {*chosen.parts}):
            choice = f"choose {', '.join(chosen.parts)}" if chosen.parts else "it has none"
            raise WrongInput(f"{self.method} has no part {part!r} to do --without; {choice}")

    def read(self, *, size: int, seed: int, out: Path, processes: "Processes") -> "TrainingData":
        """The examples, those that are drawn with `size` pixels a side.

        Scenes to evaluate on are drawn only for the process that evaluates.
        """
        from captionary.learning.data.sources import source_data, world_data

        if (self.source is None) == (self.world is None):
            raise WrongInput("name what to learn from: either a SOURCE or --world pictograms")
        if self.source is not None:
            return source_data(
                self.source,
                images=self.images,
                held_out=self.held_out,
                out=out,
                processes=processes,
            )
        held_out = self.held_out if processes.first else 0
        return world_data(self.world or "", size=size, seed=seed, held_out=held_out)

    def start(self, seed: int) -> Start:
        """What the training starts from."""
        from captionary.learning.models.architectures import (
            architecture_of,
            like,
            read_architecture,
        )
        from captionary.learning.models.clip_models import build_clip, take_weights
        from captionary.vision.clip.files import (
            clip_digest,
            find_clip,
            load_clip,
            load_cluster_head,
        )

        if self.weights is None:
            model = self.model or METHODS[self.method].model
            return Start(self._fitted(read_architecture(model)), Path(model).stem)
        if self.merges is not None:
            raise WrongInput("--weights bring their own vocabulary: leave out --merges")
        files = find_clip(self.weights)
        clip, head = load_clip(files), load_cluster_head(files)
        name = Path(self.weights).stem
        given, told = architecture_of(name, files, clip), f"{name} {clip_digest(clip, files, head)}"
        if self.method == "clip" or given.learned is not None:
            if self.model is not None:
                raise WrongInput("--weights bring their own layers: leave out --model")
            if self._fitted(given) != given:
                raise WrongInput(f"{name} was trained with what it is to be --without")
            return Start(given, told, clip, head)
        read = self._fitted(read_architecture(self.model or METHODS[self.method].model))
        own = like(read, given)
        started = build_clip(own, seed=seed)
        take_weights(started, clip, name=name)
        return Start(own, told, started)

    def _fitted(self, architecture: "Architecture") -> "Architecture":
        """The layers without those that are left out.

        Raises:
            WrongInput: they are not of the method.
        """
        from captionary.vision.grouping.config import method_of
        from captionary.vision.grouping.stage import Grouping

        learned = architecture.learned
        method = "clip" if learned is None else method_of(learned)
        if method != self.method:
            raise WrongInput(
                f"the model {architecture.name} is to be trained by {method}, not {self.method}"
            )
        if isinstance(learned, Grouping) and "image-prototypes" in self.without:
            return replace(architecture, learned=replace(learned, prototypes=False))
        return architecture

    def measure(self, processes: "Processes") -> "DatasetMeasure | None":
        """What measures mIoU while the training runs, where a dataset is named for it."""
        from captionary.segmenter.datasets import DatasetFolder
        from captionary.segmenter.evaluation import DatasetMeasure, check

        if self.evaluate is None or not processes.first:
            return None
        data = DatasetFolder(self.evaluate)
        check(data)
        return DatasetMeasure(data, processes.device.type)

    def workers_of(self, processes: "Processes") -> int:
        """Unless told, one for a CPU, which has the model to run; for a GPU, what keeps it busy."""
        if self.workers is not None:
            return self.workers
        cores = (os.cpu_count() or 1) // processes.count
        return max(1, min(16, cores)) if processes.device.type == "cuda" else 1


@contextmanager
def open_trainer(training: Training, settings: "Settings", folder: Path) -> "Iterator[Trainer]":
    """The trainer of a method, which goes on where a run in the same folder was cut short.

    Raises:
        WrongInput: what is named cannot be used, or the folder cannot be written to.
    """
    import torch

    from captionary.learning.checkpoints import make_run_folder
    from captionary.learning.data.batches import Batches
    from captionary.learning.models.architectures import with_vocabulary
    from captionary.learning.models.clip_models import build_clip
    from captionary.learning.processes import joined
    from captionary.learning.trainer import Trainer
    from captionary.vision.hardware import choose_device

    with joined(choose_device(training.device)) as processes:
        start = training.start(settings.seed)
        layers, clip = start.architecture, start.clip
        method = METHODS[training.method]
        size = method.drawn * max(layers.input_size_hw)
        measure = training.measure(processes)
        data = training.read(size=size, seed=settings.seed, out=folder, processes=processes)
        make_run_folder(folder)
        if clip is None:
            layers = with_vocabulary(layers, data.captions, training.merges)
            clip = build_clip(layers, seed=settings.seed)
        workers = training.workers_of(processes)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings.seed)  # for heads that it makes itself
            task = method.build(
                Ingredients(
                    layers,
                    clip.requires_grad_(True),
                    data,
                    processes,
                    start.head,
                    masked=training.masked,
                    without=training.without,
                    workers=workers,
                )
            )
        batches = Batches(
            data.examples,
            task.inputs,
            settings.batch_size,
            seed=settings.seed,
            rank=processes.rank,
            ranks=processes.count,
            workers=workers,
            pinned=processes.device.type == "cuda",
        )
        # The vocabulary depends on the pictures: where both differ, these are to be named.
        facts: Facts = {
            "method": training.method,
            "pictures": data.name,
            "model": f"{start.name} {layers.digest}",
            "masked": training.masked,
            "without": "+".join(sorted(training.without)) or "nothing",
        }
        yield Trainer(
            task,
            batches,
            settings,
            folder=folder,
            facts=facts,
            processes=processes,
            measure=measure,
        )
