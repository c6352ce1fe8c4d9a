"""Flags: pictures that are quickly drawn and learned, and the smallest model that can."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from captionary.learning.data.batches import Batch, Batches
from captionary.learning.data.examples import Example
from captionary.learning.methods.clip import ClipLosses, ClipPreprocessor
from captionary.learning.models.architectures import Architecture, add_vocabulary
from captionary.learning.models.clip_models import build_clip, build_tokenizer, write_clip
from captionary.learning.processes import Processes
from captionary.learning.settings import Settings
from captionary.learning.task import CaptionTask, ModelEvaluator
from captionary.learning.trainer import Trainer
from captionary.learning.zero_shot import ZeroShotEvaluation

COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 200, 30),
    "blue": (30, 30, 220),
    "white": (240, 240, 240),
    "black": (10, 10, 10),
    "yellow": (230, 220, 30),
}
SIDE = 16
TINY: Mapping[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": SIDE,
        "layers": 2,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
    },
    "text_cfg": {"context_length": 12, "width": 32, "heads": 2, "layers": 2},
}
CPU = Processes(torch.device("cpu"))


@dataclass(frozen=True)
class Flags:
    """Flags of two colours, one above the other, and captions that name them."""

    count: int = 400
    side: int = SIDE

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        random = np.random.default_rng(index)
        upper, lower = (str(name) for name in random.choice(list(COLOURS), 2, replace=False))
        picture = np.empty((self.side, self.side, 3), dtype=np.uint8)
        picture[: self.side // 2], picture[self.side // 2 :] = COLOURS[upper], COLOURS[lower]
        return Example(picture, (f"{upper} above {lower}", f"{lower} below {upper}"))


def tiny_architecture(config: Mapping[str, Any] = TINY) -> Architecture:
    captions = [caption for index in range(100) for caption in Flags()[index].captions]
    return add_vocabulary(Architecture("tiny", config), captions, merges=40)


def tiny_preprocessor() -> ClipPreprocessor:
    return ClipPreprocessor((SIDE, SIDE), build_tokenizer(tiny_architecture()))


def tiny_task(processes: Processes = CPU, **evaluated: Any) -> CaptionTask[ClipLosses]:
    architecture, preprocessor = tiny_architecture(), tiny_preprocessor()
    clip = build_clip(architecture, seed=0)
    return CaptionTask(
        ClipLosses(clip, processes).to(processes.device),
        preprocessor,
        ZeroShotEvaluation(preprocessor, **evaluated),
        lambda folder: write_clip(folder, clip, architecture),
    )


def unwritten_task(module: Any, preprocessor: Any) -> CaptionTask[Any]:
    """A task of another module; nothing is evaluated or written."""
    return CaptionTask(
        module, preprocessor, ZeroShotEvaluation(tiny_preprocessor()), lambda _: None
    )


def tiny_batches(
    preprocessor: ClipPreprocessor, settings: Settings, processes: Processes = CPU
) -> Batches[Batch]:
    return Batches(
        Flags(),
        preprocessor,
        settings.batch_size,
        seed=settings.seed,
        rank=processes.rank,
        ranks=processes.count,
        pinned=processes.device.type == "cuda",
    )


def tiny_trainer(
    folder: Path,
    settings: Settings,
    *,
    task: Any = None,
    processes: Processes = CPU,
    facts: Mapping[str, str] | None = None,
    short_type: torch.dtype | None = None,
    evaluator: ModelEvaluator | None = None,
) -> Trainer:
    """In float32 unless told: processors differ in what short number types they have."""
    task = task or tiny_task(processes)
    batches = tiny_batches(task.preprocessor, settings, processes)
    folder.mkdir(exist_ok=True)
    return Trainer(
        task,
        batches,
        settings,
        folder=folder,
        facts=facts or {},
        processes=processes,
        short_type=short_type,
        evaluator=evaluator,
    )


@contextmanager
def no_progress(_total: int) -> Iterator[Callable[[int], None]]:
    """Show no progress."""
    yield lambda _done: None
