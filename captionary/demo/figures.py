"""Computes the demo's figures, as `results.json` has them: fractions in [0, 1], or null."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from captionary.demo.scenes import Sizes
from captionary.demo.story import SegmentedScene, Story
from captionary.schemas.options import FUSIONS, Fusion
from captionary.segmenter.confusion import ConfusionMatrix


def compute_figures(story: Story, *, encoder: str, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Compute all figures of a story, and name the settings they were measured with.

    `seen` is the mean IoU of grounds and nouns that the encoder was trained on, `novel` that of
    nouns which only the captions have taught; both over the classes that occur in the held-out
    scenes.
    """
    cast, growth = story.cast, story.growth
    last = len(cast.classes) - 1
    groups = {"seen": range(cast.novel_ids.start), "novel": cast.novel_ids}
    by_fusion = {fusion: _confusion(story.held_out, fusion) for fusion in FUSIONS}
    means = {
        group: {fusion: mean_iou(matrix, ids) for fusion, matrix in by_fusion.items()}
        for group, ids in groups.items()
    }
    newcomer = {
        "noun": cast.newcomer.name,
        "text": mean_iou(_confusion(growth.before, "text"), [last]),
        "before": mean_iou(_confusion(growth.before, "both"), [last]),
        "after": mean_iou(_confusion(growth.after, "both"), [last]),
    }
    settings = {
        "encoder": encoder,
        "seed": seed,
        **asdict(sizes),
        "classes": len(cast.classes),
        "fingerprint": story.fingerprint,
    }
    return {**means, "growth": newcomer, "settings": settings, "seconds": dict(story.seconds)}


def _confusion(scenes: Sequence[SegmentedScene], fusion: Fusion) -> ConfusionMatrix:
    matrix = ConfusionMatrix(scenes[0].segmentations[fusion].classes)
    for item in scenes:
        matrix.add(item.scene.labels, item.segmentations[fusion].class_map)
    return matrix


def mean_iou(matrix: ConfusionMatrix, class_ids: Sequence[int]) -> float | None:
    """Mean IoU of those classes that occur in the true labels; None if none of them does."""
    ids = np.array(class_ids)
    occur = ids[matrix.counts[ids].sum(axis=1) > 0]
    return float(matrix.iou[occur].mean()) if len(occur) else None
