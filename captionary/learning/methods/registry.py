"""Puts together what a training trains: a task for each method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from captionary.indexer.nouns import NounExtractor
    from captionary.learning.data.batches import Inputs
    from captionary.learning.data.sources import TrainingData
    from captionary.learning.methods.clip import ClipInputs, Contrast
    from captionary.learning.methods.noun_loss import NounTokens
    from captionary.learning.methods.pgseg import PgsegLosses
    from captionary.learning.methods.vilseg import VilsegLosses
    from captionary.learning.models.architectures import Architecture
    from captionary.learning.processes import Processes
    from captionary.learning.task import CaptionTask
    from captionary.vision.grouping.vilseg import ClusterHead


PART_SHOWN = 0.2
"""Share of a picture's area that PGSeg is shown, at least. Shown whole pictures only, it learns
what is in them but not where: any group may tell of all."""

MOST_NOUNS = 8
"""Nouns of a caption that look for segments, at most, where segments are not counted."""


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What a task is put together from; masked and without are as on the command line.

    clip: all of its weights are to learn; on the CPU.
    head: clusters of ViL-Seg to go on from; None: where there are none yet.
    """

    architecture: "Architecture"
    clip: "torch.nn.Module"
    data: "TrainingData"
    processes: "Processes"
    head: "ClusterHead | None" = None
    masked: float = 0.0
    without: frozenset[str] = frozenset()
    workers: int = 0

    def whole_pictures(self) -> "ClipInputs":
        """What prepares pictures as CLIP sees them."""
        from captionary.learning.methods.clip import ClipInputs
        from captionary.learning.models.clip_models import build_tokenizer
        from captionary.vision.clip.texts import trimmable_tower

        return ClipInputs(
            self.architecture.input_size_hw,
            build_tokenizer(self.architecture),
            least=self.data.least,
            masked=self.masked,
            fill=self.architecture.mean,
            trimmable=trimmable_tower(self.clip) is not None,
        )

    def task(
        self,
        module: Any,
        inputs: "Inputs[Any]",
        whole: "ClipInputs",
        beside: "Mapping[str, torch.nn.Module]" = MappingProxyType({}),
    ) -> "CaptionTask[Any]":
        """The task of a module that trains the clip, on its device, written with parts beside."""
        from captionary.learning.models.clip_models import write_clip
        from captionary.learning.recognition import Recognition
        from captionary.learning.task import CaptionTask

        first = self.processes.first
        recognition = Recognition(
            whole,
            held_out=self.data.held_out if first else None,
            labelled=self.data.labelled if first else None,
            workers=self.workers,
        )

        def write(folder: Path) -> None:
            write_clip(folder, module.clip, self.architecture, beside)

        return CaptionTask(module.to(self.processes.device), inputs, recognition, write)


@dataclass(frozen=True, slots=True)
class Method:
    """A way to learn from captioned pictures.

    build:  puts its task together.
    model:  name of what is trained unless told.
    parts:  what `--without` can leave out.
    masked: whether it takes `--masked`.
    drawn:  how large scenes are drawn to be learned from: times the size that the model takes.
    """

    build: "Callable[[Ingredients], CaptionTask[Any]]"
    model: str
    parts: tuple[str, ...] = ()
    masked: bool = False
    drawn: int = 1


def _clip_task(given: Ingredients) -> "CaptionTask[Contrast]":
    from captionary.learning.methods.clip import Contrast

    whole, layers = given.whole_pictures(), given.architecture
    module = Contrast(given.clip, given.processes, mean=layers.mean, std=layers.std)
    return given.task(module, whole, whole)


def _pgseg_task(given: Ingredients) -> "CaptionTask[PgsegLosses]":
    from captionary.learning.methods.pgseg import PgsegInputs, PgsegLosses
    from captionary.vision.grouping.stage import Grouping

    whole, layers = given.whole_pictures(), given.architecture
    assert isinstance(layers.learned, Grouping)
    texts = "text-prototypes" not in given.without
    nouns = _nouns(whole, layers.learned.groups[-1] if texts else 0)
    inputs = PgsegInputs(replace(whole, least=PART_SHOWN), nouns)
    module = PgsegLosses(given.clip, given.processes, mean=layers.mean, std=layers.std, texts=texts)
    return given.task(module, inputs, whole)


def _vilseg_task(given: Ingredients) -> "CaptionTask[VilsegLosses]":
    from captionary.learning.methods.views import ViewInputs
    from captionary.learning.methods.vilseg import VilsegLosses
    from captionary.vision.grouping.config import HEAD_FILE
    from captionary.vision.grouping.vilseg import Clustering

    whole, layers, without = given.whole_pictures(), given.architecture, given.without
    clustering = layers.learned
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
        given.clip,
        clustering,
        given.processes,
        head=given.head,
        mean=layers.mean,
        std=layers.std,
        vision="vision-contrast" not in without,
        clusters="clusters" not in without,
        nouns=named,
    )
    if module.clusters is None:
        plain = replace(given, architecture=replace(layers, learned=None))
        return plain.task(module, inputs, whole)
    return given.task(module, inputs, whole, {HEAD_FILE: module.clusters})


@dataclass(frozen=True, slots=True)
class NounsOf:
    """The nouns of one caption."""

    extractor: "NounExtractor"

    def __call__(self, caption: str) -> tuple[str, ...]:
        """Each once, in order."""
        return next(self.extractor.nouns([caption]))


def _nouns(inputs: "ClipInputs", most: int) -> "NounTokens":
    """What prepares nouns, at least room for one; `most` 0: nobody asks for them."""
    from captionary.indexer.nouns import NounExtractor
    from captionary.learning.methods.noun_loss import NounTokens

    nouns = NounsOf(NounExtractor()) if most else no_nouns
    return NounTokens(inputs.tokenizer, nouns, max(1, most))


def no_nouns(_caption: str) -> tuple[str, ...]:
    """For those who need none."""
    return ()


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
