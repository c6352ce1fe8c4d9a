"""The demo's figures, as `results.json` has them: fractions in [0, 1], null where there is none."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from captionary.demo.scenes import Sizes
from captionary.demo.story import FUSIONS, Asked, Told
from captionary.schemas.options import Fusion
from captionary.segmenter.confusion import ConfusionMatrix


def figures(told: Told, *, encoder: str, seed: int, sizes: Sizes) -> dict[str, Any]:
    """Everything that the demo measured, and what it was measured with.

    `seen` is the mean IoU of grounds and nouns that the encoder was trained on, `novel` that of
    nouns which only the captions have taught; both over the classes that occur in the held-out
    scenes.
    """
    cast, growth = told.cast, told.growth
    last = len(cast.classes) - 1
    groups = {"seen": range(cast.novel_ids.start), "novel": cast.novel_ids}
    by_fusion = {fusion: _confusion(told.held_out, fusion) for fusion in FUSIONS}
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
        "fingerprint": told.fingerprint,
    }
    return {**means, "growth": newcomer, "settings": settings, "seconds": dict(told.seconds)}


def _confusion(asked: Iterable[Asked], fusion: Fusion) -> ConfusionMatrix:
    asked = list(asked)
    matrix = ConfusionMatrix(asked[0].answers[fusion].classes)
    for item in asked:
        matrix.add(item.scene.labels, item.answers[fusion].class_map)
    return matrix


def mean_iou(matrix: ConfusionMatrix, class_ids: Sequence[int]) -> float | None:
    """Mean IoU of those of the classes that occur in the truth; None where none does."""
    ids = np.array(class_ids)
    occur = ids[matrix.counts[ids].sum(axis=1) > 0]
    return float(matrix.iou[occur].mean()) if len(occur) else None
