"""Which settings of the scores are best, on a part of a dataset folder.

    python -m benchmarks.tuning DATASET --store S --encoder E --part 1/2

Regions are cut and embedded once; then every setting is scored and painted. Choose on one part and
report on the other, with `captionary evaluate`.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from captionary.build import Models, open_segmenter
from captionary.schemas.arrays import LabelMap
from captionary.schemas.regions import CutPicture
from captionary.segmenter.class_vectors import (
    ClassReading,
    read_classes_by_dictionary,
    read_classes_by_text,
)
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.datasets import DatasetFolder, read_mask
from captionary.segmenter.painting import paint
from captionary.segmenter.segmenter import Settings, score_regions
from captionary.vision.pictures.loading import load_picture
from captionary.vision.pictures.resizing import enlarged


@dataclass(frozen=True, slots=True)
class Asked:
    """A picture in regions, and the truth about it."""

    cut: CutPicture
    truth: LabelMap


def grid() -> Iterator[Settings]:
    """Everything that is tried."""
    for fusion in ("text", "calibrated", "prototypes"):
        yield Settings(fusion=fusion)
    for scale in (5.0, 10.0, 15.0, 20.0):
        for weight in (0.3, 0.5, 0.6, 0.7, 0.85):
            yield Settings(scale=scale, weight=weight)


def measure(
    asked: list[Asked], reading: ClassReading, settings: Settings, *, text_scale: float
) -> ConfusionMatrix:
    """Score and paint every picture with one setting."""
    matrix = ConfusionMatrix([item.name for item in reading.classes])
    for one in asked:
        scores = score_regions(one.cut.table.vectors, reading, settings, text_scale=text_scale)
        weights = np.ones(len(one.cut.regions), dtype=np.float32)
        painted, _ = paint(one.cut.regions, scores.fused, weights)
        matrix.add(one.truth, enlarged(painted, one.truth.shape))
    return matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--part", default="1/2")
    asked = parser.parse_args()
    data = DatasetFolder(asked.dataset, part=asked.part)
    with open_segmenter(Models(asked.encoder), asked.store) as segmenter:
        assert segmenter.retriever is not None
        reading = read_classes_by_dictionary(data.classes, segmenter.text, segmenter.retriever)
        by_text = read_classes_by_text(data.classes, segmenter.text)
        looked = []
        for pair in data:
            picture = load_picture(pair.image)
            cut = segmenter.extractor.extract(picture)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
            looked.append(Asked(cut, truth))
        for settings in grid():
            read = by_text if settings.fusion == "text" else reading
            matrix = measure(looked, read, settings, text_scale=segmenter.text.logit_scale)
            name = f"{settings.fusion}, scale {settings.scale:g}, weight {settings.weight:g}"
            accuracy = 100 * matrix.pixel_accuracy
            print(f"{name:34} mIoU {100 * matrix.miou:5.1f}  pixels {accuracy:5.1f}")


if __name__ == "__main__":
    main()
