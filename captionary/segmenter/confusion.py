"""Segmentation metrics: a confusion matrix over a whole dataset, mIoU and pixel accuracy."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import LabelMap
from captionary.schemas.labels import IGNORE
from captionary.schemas.notes import Note


@dataclass(slots=True)
class ConfusionMatrix:
    """Pixels by true and by predicted class, over all pictures added so far.

    A prediction that is none of the classes ("background", where the set has no such class) is
    wrong: it is a false negative of the true class, and no class's false positive.

    classes: names of the C classes of the set.
    counts:  (C, C + 1) int64, row = truth, column = prediction, last column = none of the classes.
    """

    classes: Sequence[str]
    counts: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)

    def add(self, truth: LabelMap, predicted: LabelMap) -> None:
        """Count one picture.

        Args:
            truth:     (H, W) class indices, or IGNORE for pixels that count for nothing.
            predicted: (H, W) class indices; those >= C are none of the classes.

        Raises:
            ValueError: the shapes differ, or a true value is neither a class nor IGNORE.
        """
        count = len(self.classes)
        if truth.shape != predicted.shape:
            raise ValueError(f"truth is {truth.shape} but predicted is {predicted.shape}")
        counted = truth != IGNORE
        rows, columns = truth[counted].astype(np.int64), predicted[counted]
        if rows.size and not (rows.min() >= 0 and rows.max() < count and columns.min() >= 0):
            raise ValueError(f"class indices must be in [0, {count}), or {IGNORE} in the truth")
        # One number for each pair of classes, so that a single bincount makes the matrix.
        joint = rows * (count + 1) + np.minimum(columns, count)
        self.counts += np.bincount(joint, minlength=self.counts.size).reshape(self.counts.shape)

    @property
    def iou(self) -> NDArray[np.float64]:
        """(C,) TP / (TP + FP + FN) in [0, 1]; nan for a class in neither truth nor prediction."""
        hits = np.diagonal(self.counts).astype(np.float64)
        union = self.counts.sum(axis=1) + self.counts[:, :-1].sum(axis=0) - hits
        iou = np.full(len(hits), np.nan)
        np.divide(hits, union, out=iou, where=union > 0)
        return iou

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that have one, in [0, 1]; nan before any pixel counted."""
        present = self.iou[~np.isnan(self.iou)]
        return float(present.mean()) if present.size else float("nan")

    @property
    def pixel_accuracy(self) -> float:
        """Share of the counted pixels that are right, in [0, 1]; nan before any pixel counted."""
        total = int(self.counts.sum())
        return float(np.diagonal(self.counts).sum() / total) if total else float("nan")


def evaluation_json(
    matrix: ConfusionMatrix,
    *,
    images: int,
    seconds: float,
    settings: Mapping[str, Any],
    left_out: Sequence[str] = (),
    notes: Iterable[Note] = (),
) -> dict[str, Any]:
    """What `evaluate --json` writes; fractions in [0, 1], null where there is no figure.

    Args:
        matrix:   all pictures counted.
        images:   how many they were.
        seconds:  time spent segmenting them.
        settings: everything that the figures depend on.
        left_out: why pictures were left out, one sentence for each.
        notes:    how pictures and masks were read, where that is not plain.
    """
    return {
        "miou": _null_if_nan(matrix.miou),
        "pixel_accuracy": _null_if_nan(matrix.pixel_accuracy),
        "iou": {
            name: _null_if_nan(value)
            for name, value in zip(matrix.classes, matrix.iou, strict=True)
        },
        "images": images,
        "seconds_per_image": seconds / images if images else None,
        "left_out": list(left_out),
        "notes": [str(note) for note in notes],
        "settings": dict(settings),
    }


def percent(fraction: float | None) -> str:
    """A fraction in percent with one digit, or a dash."""
    return "-" if fraction is None else f"{100 * fraction:.1f}"


def _null_if_nan(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
