"""What the task of a method is built from, and the parts that all methods have in common."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import torch

from captionary.learning.data.batches import Preprocessor
from captionary.learning.data.sources import TrainingData
from captionary.learning.methods.clip import ClipPreprocessor
from captionary.learning.methods.noun_loss import NounTokenizer
from captionary.learning.models.architectures import Architecture
from captionary.learning.models.clip_models import build_tokenizer, write_clip
from captionary.learning.processes import Processes
from captionary.learning.task import CaptionTask
from captionary.learning.zero_shot import ZeroShotEvaluation
from captionary.vision.clip.texts import trimmable_tower
from captionary.vision.grouping.cluster_head import ClusterHead

ExtractNouns: TypeAlias = Callable[[str], Sequence[str]]
"""The nouns of a caption, each once, in order; it is sent to other processes."""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What a task is built from; masked and without are as on the command line.

    clip: all of its weights are to learn; on the CPU.
    load_noun_extractor: is called only where nouns are learned from.
    head: clusters of ViL-Seg to go on from; None: where there are none yet.
    """

    architecture: Architecture
    clip: torch.nn.Module
    data: TrainingData
    processes: Processes
    load_noun_extractor: Callable[[], ExtractNouns]
    head: ClusterHead | None = None
    masked: float = 0.0
    without: frozenset[str] = frozenset()
    workers: int = 0

    def clip_preprocessor(self) -> ClipPreprocessor:
        """What prepares pictures and captions as CLIP sees them."""
        return ClipPreprocessor(
            self.architecture.input_size_hw,
            build_tokenizer(self.architecture),
            min_area=self.data.min_area,
            masked=self.masked,
            fill=self.architecture.mean,
            trimmable=trimmable_tower(self.clip) is not None,
        )

    def noun_tokenizer(self, clip: ClipPreprocessor, max_nouns: int) -> NounTokenizer:
        """What prepares nouns; with `max_nouns` 0 a row of padding, and no extractor is loaded."""
        extract = self.load_noun_extractor() if max_nouns else no_nouns
        return NounTokenizer(clip.tokenizer, extract, max(1, max_nouns))

    def build_task(
        self,
        module: Any,
        preprocessor: Preprocessor[Any],
        clip: ClipPreprocessor,
        parts: Mapping[str, torch.nn.Module] = MappingProxyType({}),
    ) -> CaptionTask[Any]:
        """The task of a module that trains the clip, which is moved to its device.

        Args:
            clip:  as `clip_preprocessor`, for the evaluation.
            parts: written beside the clip, by the names of their files.
        """
        first = self.processes.first
        evaluation = ZeroShotEvaluation(
            clip,
            held_out=self.data.held_out if first else None,
            labelled=self.data.labelled if first else None,
            workers=self.workers,
        )

        def write(folder: Path) -> None:
            write_clip(folder, module.clip, self.architecture, parts)

        return CaptionTask(module.to(self.processes.device), preprocessor, evaluation, write)


def no_nouns(_caption: str) -> tuple[str, ...]:
    """An extractor for where no nouns are learned from."""
    return ()
