"""Builds the tasks of the methods from what they have in common."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from captionary.learning.methods.augmented_views import ViewPreprocessor
from captionary.learning.methods.clip import ClipLosses, ClipPreprocessor
from captionary.learning.methods.pgseg import PgsegLosses, PgsegPreprocessor
from captionary.learning.methods.task_spec import TaskSpec
from captionary.learning.methods.vilseg import VilsegLosses
from captionary.learning.task import CaptionTask
from captionary.vision.grouping.cluster_head import VilsegConfig
from captionary.vision.grouping.config import HEAD_FILE
from captionary.vision.grouping.pgseg_stage import PgsegConfig

PGSEG_MIN_AREA = 0.2
"""Share of a picture's area that PGSeg is shown, at least. Shown whole pictures only, it learns
what is in them but not where: any group may then stand for all."""

MAX_NOUNS = 8
"""Nouns of a caption that are matched to ViL-Seg's clusters, at most."""


def build_task(method: str, spec: TaskSpec) -> CaptionTask[Any]:
    """Build the task of a method; what its heads start from is drawn from torch's generator."""
    return BUILDERS[method](spec)


def _build_clip_task(spec: TaskSpec) -> CaptionTask[Any]:
    clip, layers = spec.clip_preprocessor(), spec.architecture
    module = ClipLosses(spec.clip, spec.processes, mean=layers.mean, std=layers.std)
    return spec.build_task(module, clip, clip)


def _build_pgseg_task(spec: TaskSpec) -> CaptionTask[Any]:
    clip, layers = spec.clip_preprocessor(), spec.architecture
    assert isinstance(layers.grouping, PgsegConfig)
    texts = "text-prototypes" not in spec.without
    # A noun is matched to one group of the last stage: more nouns than groups find none.
    nouns = spec.noun_tokenizer(clip, layers.grouping.groups[-1] if texts else 0)
    preprocessor = PgsegPreprocessor(replace(clip, min_area=PGSEG_MIN_AREA), nouns)
    module = PgsegLosses(spec.clip, spec.processes, mean=layers.mean, std=layers.std, texts=texts)
    return spec.build_task(module, preprocessor, clip)


def _build_vilseg_task(spec: TaskSpec) -> CaptionTask[Any]:
    layers, clustering = spec.architecture, spec.architecture.grouping
    assert isinstance(clustering, VilsegConfig)
    vision, clusters = (part not in spec.without for part in ("vision-contrast", "clusters"))
    nouns = clusters and "nouns" not in spec.without and clustering.noun_weight > 0
    module = VilsegLosses(
        spec.clip,
        clustering,
        spec.processes,
        head=spec.head,
        mean=layers.mean,
        std=layers.std,
        vision=vision,
        clusters=clusters,
        nouns=nouns,
    )
    clip = spec.clip_preprocessor()
    preprocessor = _view_preprocessor(spec, clip, clustering, vision=vision, nouns=nouns)
    if module.clusters is None:
        # Written as a plain CLIP: a head that has learned nothing would cut pictures by chance.
        spec = replace(spec, architecture=replace(layers, grouping=None))
        return spec.build_task(module, preprocessor, clip)
    return spec.build_task(module, preprocessor, clip, {HEAD_FILE: module.clusters})


def _view_preprocessor(
    spec: TaskSpec,
    clip: ClipPreprocessor,
    clustering: VilsegConfig,
    *,
    vision: bool,
    nouns: bool,
) -> ViewPreprocessor:
    return ViewPreprocessor(
        clip.size_hw,
        clustering.local_side,
        clustering.local_views if vision else 0,
        clip.tokenizer,
        spec.noun_tokenizer(clip, min(MAX_NOUNS, clustering.clusters) if nouns else 0),
        trimmable=clip.trimmable,
    )


BUILDERS: Mapping[str, Callable[[TaskSpec], CaptionTask[Any]]] = {
    "clip": _build_clip_task,
    "pgseg": _build_pgseg_task,
    "vilseg": _build_vilseg_task,
}
