"""Puts a training together: hands readers, noun extractor, worlds and evaluation to learning.

Heavy packages are imported in the functions, when they are needed: `train clip` without
`--evaluate` loads neither spaCy nor the segmenter.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captionary.indexer.nouns import NounExtractor
    from captionary.learning.collaborators import Collaborators
    from captionary.learning.plan import TrainingPlan
    from captionary.learning.settings import Settings
    from captionary.learning.trainer import Trainer
    from captionary.pictograms.world import World
    from captionary.segmenter.evaluation import DatasetEvaluator


def open_training(
    plan: "TrainingPlan",
    settings: "Settings",
    folder: Path,
    *,
    show_listing: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> "AbstractContextManager[Trainer]":
    """The trainer of a plan, which goes on where a run in the same folder was cut short.

    Args:
        show_listing: shows the progress of listing a number of shards, while it is open.

    Raises:
        WrongInput: what is named cannot be used, or the folder cannot be written to.
    """
    from captionary.learning.training import open_trainer

    return open_trainer(plan, settings, folder, build_collaborators(show_listing))


def build_collaborators(
    show_listing: Callable[[int], AbstractContextManager[Callable[[int], None]]],
) -> "Collaborators":
    """What other packages do for a training."""
    from captionary.indexer.readers.shard_pairs import SourceReader
    from captionary.learning.collaborators import Collaborators

    return Collaborators(
        reader=SourceReader(),
        worlds=load_worlds(),
        load_noun_extractor=load_noun_extractor,
        load_evaluator=load_evaluator,
        show_listing=show_listing,
    )


def load_worlds() -> "Mapping[str, Callable[..., World]]":
    """Worlds of drawn scenes by name, of the nouns that may be learned."""
    from captionary.pictograms.nouns import choose_nouns
    from captionary.pictograms.world import World

    return {"pictograms": partial(World, choose_nouns("seen"))}


@dataclass(frozen=True, slots=True)
class CaptionNouns:
    """The nouns of one caption; a class and no closure, so that workers can be sent it."""

    extractor: "NounExtractor"

    def __call__(self, caption: str) -> tuple[str, ...]:
        """Each once, in order."""
        return next(self.extractor.nouns([caption]))


def load_noun_extractor() -> CaptionNouns:
    """Load the indexer's noun extractor."""
    from captionary.indexer.nouns import NounExtractor

    return CaptionNouns(NounExtractor())


def load_evaluator(dataset: Path, device: str) -> "DatasetEvaluator":
    """An evaluator on a folder with a dataset, all of whose files are read and checked now.

    Raises:
        WrongInput: the folder is no dataset, or a picture or mask of it cannot be used.
    """
    from captionary.build import load_text_segmenter
    from captionary.segmenter.evaluation import DatasetEvaluator, read_whole_dataset
    from captionary.vision.masks.datasets import DatasetFolder

    truth = read_whole_dataset(DatasetFolder(dataset))
    return DatasetEvaluator(truth, load_text_segmenter, device)
