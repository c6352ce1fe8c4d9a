"""Which settings of the scores are best, on a part of a dataset folder.

    python -m benchmarks.tuning DATASET --store S --encoder E --part 1/2

Regions are cut and embedded once; then every setting is scored and painted. Choose on one part and
report on the other, with `captionary evaluate`.
"""

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from captionary.build import ModelNames, Parts
from captionary.schemas.arrays import LabelMap
from captionary.schemas.regions import CutPicture
from captionary.segmenter.class_vectors import (
    ClassVectors,
    encode_classes_by_dictionary,
    encode_classes_by_text,
)
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.datasets import DatasetFolder, read_mask
from captionary.segmenter.painting import paint_picture
from captionary.segmenter.region_scores import score_regions
from captionary.segmenter.segmenter import Settings
from captionary.vision.pictures.loading import load_picture


@dataclass(frozen=True, slots=True)
class CutExample:
    """A picture in regions, and its ground truth."""

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
    examples: list[CutExample], vectors: ClassVectors, settings: Settings, *, text_scale: float
) -> ConfusionMatrix:
    """Score and paint every picture with one setting."""
    matrix = ConfusionMatrix([item.name for item in vectors.classes])
    for one in examples:
        scores = score_regions(
            one.cut.table.vectors,
            vectors,
            fusion=settings.fusion,
            weight=settings.weight,
            scale=settings.scale,
            text_scale=text_scale,
        )
        class_map, _ = paint_picture(one.cut, scores.fused)
        matrix.add(one.truth, class_map)
    return matrix


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--part", default="1/2")
    options = parser.parse_args()
    data = DatasetFolder(options.dataset, part=options.part)
    with closing(Parts(options.store, ModelNames(options.encoder))) as parts:
        segmenter = parts.segmenter
        assert segmenter.retriever is not None
        by_dictionary = encode_classes_by_dictionary(
            data.classes, segmenter.text, segmenter.retriever
        )
        by_text = encode_classes_by_text(data.classes, segmenter.text)
        examples = []
        for pair in data:
            picture = load_picture(pair.image)
            cut = segmenter.extractor.extract(picture)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
            examples.append(CutExample(cut, truth))
        for settings in grid():
            vectors = by_text if settings.fusion == "text" else by_dictionary
            matrix = measure(examples, vectors, settings, text_scale=segmenter.text.logit_scale)
            name = f"{settings.fusion}, scale {settings.scale:g}, weight {settings.weight:g}"
            accuracy = 100 * matrix.pixel_accuracy
            print(f"{name:34} mIoU {100 * matrix.miou:5.1f}  pixels {accuracy:5.1f}")


if __name__ == "__main__":
    main()
