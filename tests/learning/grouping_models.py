"""The smallest models that learn to group, beside a plain CLIP of the same widths."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from captionary.learning.methods.augmented_views import ViewPreprocessor
from captionary.learning.methods.noun_loss import NounTokenizer
from captionary.learning.methods.pgseg import PgsegLosses, PgsegPreprocessor
from captionary.learning.methods.vilseg import VilsegLosses
from captionary.learning.models.architectures import Architecture
from captionary.learning.models.clip_models import build_clip, write_clip
from captionary.learning.processes import Processes
from captionary.vision.grouping.cluster_head import ClusterHead, VilsegConfig
from captionary.vision.grouping.config import HEAD_FILE, GroupingConfig
from captionary.vision.grouping.pgseg import PgsegTower
from captionary.vision.grouping.pgseg_stage import PgsegConfig
from tests.learning.flag_pictures import (
    COLOURS,
    CPU,
    SIDE,
    TINY,
    tiny_architecture,
    tiny_preprocessor,
    unwritten_task,
)

PLAIN: Mapping[str, Any] = {
    **TINY,
    "vision_cfg": {**TINY["vision_cfg"], "patch_size": 4, "layers": 3},
}
AVERAGED: Mapping[str, Any] = {
    **PLAIN,
    "vision_cfg": {**PLAIN["vision_cfg"], "pool_type": "avg"},
}
GROUPING = PgsegConfig(
    depths=(1, 1, 1), groups=(5, 3), projection=24, iterations=4, kappa=15.0, drop_path=0.2
)
CLUSTERING = VilsegConfig(
    clusters=6, outputs=20, hidden=32, local_views=2, local_side=8, noun_weight=0.5
)
CERTAIN = replace(GROUPING, drop_path=0.0)
MOST = GROUPING.groups[-1]
"""Nouns of a caption, at most."""
METHODS: Mapping[str, GroupingConfig] = {"pgseg": GROUPING, "vilseg": CLUSTERING}


def small_architecture(grouping: GroupingConfig | None, **vision: Any) -> Architecture:
    """With the vocabulary of flags; `vision`: what is other in the configuration."""
    config = AVERAGED if isinstance(grouping, VilsegConfig) else PLAIN
    own = {**config, "vision_cfg": {**config["vision_cfg"], **vision}}
    return replace(tiny_architecture(own), grouping=grouping)


def random_weights(module: torch.nn.Module, seed: int = 0, spread: float = 0.2) -> None:
    """Other weights everywhere, also where they start from nought or one; nothing is frozen."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(spread * torch.randn(parameter.shape, generator=random))


def random_tower(grouping: PgsegConfig = GROUPING, *, seed: int = 0) -> PgsegTower:
    """PGSeg's, in eval mode."""
    clip = build_clip(small_architecture(grouping), seed=seed)
    random_weights(clip, seed)
    tower = clip.visual
    assert isinstance(tower, PgsegTower)
    return tower.eval().requires_grad_(False)


def write_small(
    folder: Path,
    grouping: GroupingConfig | None,
    *,
    seed: int = 0,
    head_seed: int = 0,
    **vision: Any,
) -> torch.nn.Module:
    """Write a model of random weights for use, and return it in eval mode."""
    architecture = small_architecture(grouping, **vision)
    clip = build_clip(architecture, seed=seed)
    random_weights(clip, seed, spread=0.1)
    beside = {}
    if isinstance(grouping, VilsegConfig):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(head_seed)
            head = ClusterHead(architecture.config["vision_cfg"]["width"], grouping.clusters)
        random_weights(head, head_seed, spread=1.0)
        beside = {HEAD_FILE: head}
    folder.mkdir(exist_ok=True)
    write_clip(folder, clip, architecture, beside)
    return clip.eval().requires_grad_(False)


def colours(caption: str) -> list[str]:
    """The nouns of a flag's caption; some have none, and some more than there is room for."""
    said = [word for word in caption.split() if word in COLOURS]
    return [] if "black" in said else said * 2 if "white" in said else said


def pgseg_preprocessor() -> PgsegPreprocessor:
    return PgsegPreprocessor(
        tiny_preprocessor(), NounTokenizer(tiny_preprocessor().tokenizer, colours, MOST)
    )


def view_preprocessor(local_views: int = CLUSTERING.local_views) -> ViewPreprocessor:
    tokenizer = tiny_preprocessor().tokenizer
    nouns = NounTokenizer(tokenizer, colours, MOST)
    return ViewPreprocessor((SIDE, SIDE), CLUSTERING.local_side, local_views, tokenizer, nouns)


def pgseg_losses(
    grouping: PgsegConfig = CERTAIN, processes: Processes = CPU, *, texts: bool = True
) -> PgsegLosses:
    """Of random weights; always the same."""
    architecture = small_architecture(grouping)
    clip = build_clip(architecture, seed=0)
    random_weights(clip, spread=0.05)
    return PgsegLosses(clip, processes, mean=architecture.mean, std=architecture.std, texts=texts)


def grouping_task(module: Any) -> Any:
    """Of PGSeg's or ViL-Seg's losses; nothing is evaluated or written."""
    pgseg = isinstance(module, PgsegLosses)
    return unwritten_task(module, pgseg_preprocessor() if pgseg else view_preprocessor())


def vilseg_losses(
    processes: Processes = CPU, *, vision: bool = True, clusters: bool = True, nouns: bool = True
) -> VilsegLosses:
    """Of random weights; always the same."""
    architecture = small_architecture(CLUSTERING)
    clip = build_clip(architecture, seed=0)
    random_weights(clip, spread=0.05)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VilsegLosses(
            clip,
            CLUSTERING,
            processes,
            mean=architecture.mean,
            std=architecture.std,
            vision=vision,
            clusters=clusters,
            nouns=nouns,
        )
