"""What a training starts from: an architecture with random weights, or those of a model."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from captionary.learning.methods.registry import METHODS
from captionary.learning.models.architectures import (
    Architecture,
    add_vocabulary,
    architecture_of_model,
    read_architecture,
    take_text_settings,
)
from captionary.learning.models.clip_models import build_clip, load_matching_weights
from captionary.learning.plan import TrainingPlan
from captionary.schemas.errors import WrongInput
from captionary.vision.clip.digest import clip_digest
from captionary.vision.clip.files import find_clip, load_clip, load_cluster_head
from captionary.vision.grouping.cluster_head import ClusterHead
from captionary.vision.grouping.config import method_name
from captionary.vision.grouping.pgseg_stage import PgsegConfig


@dataclass(frozen=True, slots=True)
class InitialModel:
    """An architecture, a name that tells it from others, and weights where there are any."""

    architecture: Architecture
    name: str
    clip: torch.nn.Module | None = None
    head: ClusterHead | None = None

    def build(self, captions: Iterable[str], merges: int | None, *, seed: int) -> "InitialModel":
        """With a vocabulary and random weights, where it has none yet.

        Args:
            captions: read only where a vocabulary is to be learned.
            merges:   how many to learn at most; None: the default where it has no vocabulary.
        """
        if self.clip is not None:
            return self
        architecture = add_vocabulary(self.architecture, captions, merges)
        return replace(self, architecture=architecture, clip=build_clip(architecture, seed=seed))


def choose_initial_model(plan: TrainingPlan, *, seed: int) -> InitialModel:
    """What the training of a plan starts from.

    Raises:
        WrongInput: it cannot be used, or does not fit the method.
    """
    if plan.weights is None:
        name = plan.model or METHODS[plan.method].model
        return InitialModel(_fit(read_architecture(name), plan), Path(name).stem)
    if plan.merges is not None:
        raise WrongInput("--weights bring their own vocabulary: leave out --merges")
    return _load_initial_model(plan, plan.weights, seed=seed)


def _load_initial_model(plan: TrainingPlan, weights: str, *, seed: int) -> InitialModel:
    """Load a model to go on from; those that group can start from a plain CLIP, too."""
    files = find_clip(weights)
    clip, head = load_clip(files), load_cluster_head(files)
    name = Path(weights).stem
    architecture = architecture_of_model(name, files, clip)
    full_name = f"{name} {clip_digest(clip, files, head)}"
    # A CLIP goes on as it is, and so does a model that groups; else a CLIP starts one that groups.
    if plan.method == "clip" or architecture.grouping is not None:
        if plan.model is not None:
            raise WrongInput("--weights bring their own layers: leave out --model")
        # Layers cannot be left out of a model that has them already.
        if _fit(architecture, plan) != architecture:
            raise WrongInput(f"{name} was trained with what it is to be --without")
        return InitialModel(architecture, full_name, clip, head)
    read = _fit(read_architecture(plan.model or METHODS[plan.method].model), plan)
    own = take_text_settings(read, architecture)
    started = build_clip(own, seed=seed)
    load_matching_weights(started, clip, name=name)
    return InitialModel(own, full_name, started)


def _fit(architecture: Architecture, plan: TrainingPlan) -> Architecture:
    """The layers of an architecture, but for those that are left out.

    Raises:
        WrongInput: they are not of the method.
    """
    grouping = architecture.grouping
    method = "clip" if grouping is None else method_name(grouping)
    if method != plan.method:
        raise WrongInput(
            f"the model {architecture.name} is to be trained by {method}, not {plan.method}"
        )
    if isinstance(grouping, PgsegConfig) and "image-prototypes" in plan.without:
        return replace(architecture, grouping=replace(grouping, prototypes=False))
    return architecture
