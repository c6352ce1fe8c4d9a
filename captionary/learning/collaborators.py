"""What other packages do for a training. Learning imports none of them: it is handed over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from captionary.learning.data.readers import PairReader
from captionary.learning.data.scenes import WorldFactory, world_data
from captionary.learning.data.sources import ShowProgress, SourceLoader, TrainingData
from captionary.learning.methods.task_spec import ExtractNouns
from captionary.learning.plan import TrainingPlan
from captionary.learning.processes import Processes
from captionary.learning.task import ModelEvaluator
from captionary.schemas.errors import WrongInput


@dataclass(frozen=True, slots=True)
class Collaborators:
    """What `captionary.build_training` hands over.

    reader:              of captioned pictures.
    worlds:              of drawn scenes, by name.
    load_noun_extractor: loads what extracts the nouns of a caption.
    load_evaluator:      makes an evaluator of models on a folder with a dataset, on a device.
    show_listing:        shows the progress of listing a number of shards, while it is open.
    """

    reader: PairReader
    worlds: Mapping[str, WorldFactory]
    load_noun_extractor: Callable[[], ExtractNouns]
    load_evaluator: Callable[[Path, str], ModelEvaluator]
    show_listing: ShowProgress

    def load_data(
        self, plan: TrainingPlan, folder: Path, processes: Processes, *, size: int, seed: int
    ) -> TrainingData:
        """Open the examples of a plan.

        Args:
            folder: of the run, where lists of shards are kept.
            size:   of scenes that are drawn, a side in pixels.

        Raises:
            WrongInput: what is named cannot be used.
        """
        if (plan.source is None) == (plan.world is None):
            raise WrongInput("name what to learn from: either a SOURCE or --world pictograms")
        if plan.source is not None:
            loader = SourceLoader(self.reader, folder, processes, self.show_listing)
            return loader.load(plan.source, images=plan.images, held_out=plan.held_out)
        # Scenes to evaluate on are drawn only for the process that evaluates.
        held_out = plan.held_out if processes.first else 0
        return world_data(plan.world or "", self.worlds, size=size, seed=seed, held_out=held_out)
