"""Puts together what a training trains: a task for each method."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from captionary.training_data import TrainingData
    from indexer.nouns import NounExtractor
    from learning.architectures import Architecture
    from learning.batches import Inputs
    from learning.clip import ClipInputs, Contrast
    from learning.nouns import NounTokens
    from learning.pgseg import PgsegLosses
    from learning.processes import Processes
    from learning.recognition import Recognition
    from learning.tasks import CaptionTask
    from learning.vilseg import VilsegLosses


PART_SHOWN = 0.2
"""Share of a picture's area that PGSeg is shown, at least. Shown whole pictures only, it learns
what is in them but not where: any group may tell of all."""

MOST_NOUNS = 8
"""Nouns of a caption that look for segments, at most, where segments are not counted."""


class BuildTask(Protocol):
    """Puts the task of a method together; the masked and the left-out are as on the command line.

    clip: all of its weights are to learn; on the CPU.
    """

    def __call__(
        self,
        architecture: "Architecture",
        clip: "torch.nn.Module",
        data: "TrainingData",
        processes: "Processes",
        *,
        masked: float,
        without: frozenset[str],
        workers: int,
    ) -> "CaptionTask[Any]":
        """Answer a task whose module is on the device of `processes`."""
        ...


@dataclass(frozen=True, slots=True)
class Method:
    """A way to learn from captioned pictures.

    build:  puts its task together.
    model:  name of what is trained unless told.
    parts:  what `--without` can leave out.
    masked: whether it takes `--masked`.
    drawn:  how large scenes are drawn to be learned from: times the size that the model takes.
    """

    build: BuildTask
    model: str
    parts: tuple[str, ...] = ()
    masked: bool = False
    drawn: int = 1


def _clip_task(
    architecture: "Architecture",
    clip: "torch.nn.Module",
    data: "TrainingData",
    processes: "Processes",
    *,
    masked: float,
    without: frozenset[str],  # noqa: ARG001  it has no parts
    workers: int,
) -> "CaptionTask[Contrast]":
    from learning.clip import Contrast

    inputs = _whole_pictures(architecture, clip, data, masked=masked)
    module = Contrast(clip, processes, mean=architecture.mean, std=architecture.std)
    recognition = _recognition(inputs, data, processes, workers)
    return _task(module, inputs, recognition, architecture, processes.device)


def _pgseg_task(
    architecture: "Architecture",
    clip: "torch.nn.Module",
    data: "TrainingData",
    processes: "Processes",
    *,
    masked: float,
    without: frozenset[str],
    workers: int,
) -> "CaptionTask[PgsegLosses]":
    from learning.pgseg import PgsegInputs, PgsegLosses
    from vision.pgseg import Grouping

    whole = _whole_pictures(architecture, clip, data, masked=masked)
    texts = "text-prototypes" not in without
    grouping = architecture.learned
    assert isinstance(grouping, Grouping)
    nouns = _nouns(whole, grouping.groups[-1] if texts else 0)
    inputs = PgsegInputs(replace(whole, least=PART_SHOWN), nouns)
    module = PgsegLosses(
        clip,
        processes,
        mean=architecture.mean,
        std=architecture.std,
        texts=texts,
    )
    recognition = _recognition(whole, data, processes, workers)
    return _task(module, inputs, recognition, architecture, processes.device)


def _vilseg_task(
    architecture: "Architecture",
    clip: "torch.nn.Module",
    data: "TrainingData",
    processes: "Processes",
    *,
    masked: float,
    without: frozenset[str],
    workers: int,
) -> "CaptionTask[VilsegLosses]":
    from learning.views import ViewInputs
    from learning.vilseg import VilsegLosses
    from vision.learned import HEAD_FILE
    from vision.vilseg import Clustering

    whole = _whole_pictures(architecture, clip, data, masked=masked)
    clustering = architecture.learned
    assert isinstance(clustering, Clustering)
    named = not without & {"nouns", "clusters"} and clustering.noun_weight > 0
    inputs = ViewInputs(
        whole.size_hw,
        clustering.local_side,
        0 if "vision-contrast" in without else clustering.local_views,
        whole.tokenizer,
        _nouns(whole, min(MOST_NOUNS, clustering.clusters) if named else 0),
        trimmable=whole.trimmable,
    )
    module = VilsegLosses(
        clip,
        clustering,
        processes,
        mean=architecture.mean,
        std=architecture.std,
        vision="vision-contrast" not in without,
        clusters="clusters" not in without,
        nouns=named,
    )
    recognition = _recognition(whole, data, processes, workers)
    beside = {HEAD_FILE: module.clusters}
    return _task(module, inputs, recognition, architecture, processes.device, beside)


@dataclass(frozen=True, slots=True)
class NounsOf:
    """The nouns of one caption."""

    extractor: "NounExtractor"

    def __call__(self, caption: str) -> tuple[str, ...]:
        """Each once, in order."""
        return next(self.extractor.nouns([caption]))


def _nouns(inputs: "ClipInputs", most: int) -> "NounTokens":
    """What prepares nouns, at least room for one; `most` 0: nobody asks for them."""
    from indexer.nouns import NounExtractor
    from learning.nouns import NounTokens

    nouns = NounsOf(NounExtractor()) if most else no_nouns
    return NounTokens(inputs.tokenizer, nouns, max(1, most))


def no_nouns(_caption: str) -> tuple[str, ...]:
    """For those who need none."""
    return ()


def _whole_pictures(
    architecture: "Architecture", clip: "torch.nn.Module", data: "TrainingData", *, masked: float
) -> "ClipInputs":
    from learning.architectures import build_tokenizer
    from learning.clip import ClipInputs
    from vision.texts import trimmable_tower

    return ClipInputs(
        architecture.input_size_hw,
        build_tokenizer(architecture),
        least=data.least,
        masked=masked,
        fill=architecture.mean,
        trimmable=trimmable_tower(clip) is not None,
    )


def _recognition(
    inputs: "ClipInputs", data: "TrainingData", processes: "Processes", workers: int
) -> "Recognition":
    from learning.recognition import Recognition

    return Recognition(
        inputs,
        held_out=data.held_out if processes.first else None,
        labelled=data.labelled if processes.first else None,
        workers=workers,
    )


def _task(
    module: Any,
    inputs: "Inputs[Any]",
    recognition: "Recognition",
    architecture: "Architecture",
    device: "torch.device",
    beside: "Mapping[str, torch.nn.Module]" = MappingProxyType({}),
) -> "CaptionTask[Any]":
    """The task of a module that trains `clip`, written with the parts beside it."""
    from learning.architectures import write_clip
    from learning.tasks import CaptionTask

    def write(folder: Path) -> None:
        write_clip(folder, module.clip, architecture, beside)

    return CaptionTask(module.to(device), inputs, recognition, write)


METHODS: Mapping[str, Method] = {
    "clip": Method(_clip_task, model="mini", masked=True),
    "pgseg": Method(
        _pgseg_task,
        model="pgseg-mini",
        parts=("image-prototypes", "text-prototypes"),
        drawn=2,
    ),
    "vilseg": Method(
        _vilseg_task,
        model="vilseg-mini",
        parts=("vision-contrast", "clusters", "nouns"),
        drawn=2,
    ),
}
