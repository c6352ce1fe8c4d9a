"""Weights chosen by a dictionary's own captions, against the best that masks would choose.

    python -m benchmarks.calibration DATASET --store S [--part 2/2]

Printed are the defaults, the calibrated weights and the best of all that calibration tries, with
their mIoU on the dataset; with `--all` every one that it tries.
"""

import argparse
import time
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from captionary.build import ModelNames, Parts
from captionary.schemas.arrays import LabelMap
from captionary.schemas.options import WITNESSES
from captionary.schemas.regions import CutPicture
from captionary.segmenter.class_vectors import ClassVectors, encode_classes_by_dictionary
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.painting import paint_picture
from captionary.segmenter.quality.calibration import CAPTIONS, PROTOTYPES, SCALES, calibrate
from captionary.segmenter.quality.leave_one_out import examine
from captionary.segmenter.region_scores import (
    RegionScores,
    Weights,
    fused_scores,
    said_by_prototypes,
    score_regions,
)
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture

Example = tuple[CutPicture, RegionScores, LabelMap]
"""A picture in regions, their scores, and the ground truth."""


def measure(examples: list[Example], classes: ClassVectors, weights: Weights) -> float:
    """The mIoU of one set of weights."""
    matrix = ConfusionMatrix([item.name for item in classes.classes])
    for cut, scores, truth in examples:
        text = scores.by_witness["text"]
        said = {
            **scores.by_witness,
            "prototypes": said_by_prototypes(scores.similarity, classes, text, weights.scale),
        }
        class_map, _ = paint_picture(cut, fused_scores(said, WITNESSES, classes, weights))
        matrix.add(truth, class_map)
    return float(matrix.miou or 0)


def show(name: str, weights: Weights, miou: float) -> None:
    print(
        f"{name:12} prototypes {weights.prototypes:3g}  captions {weights.captions:3g}  "
        f"scale {weights.scale:3g}  mIoU {100 * miou:5.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--part")
    parser.add_argument("--all", action="store_true", help="Every set of weights.")
    options = parser.parse_args()
    data = DatasetFolder(options.dataset, part=options.part)
    with closing(Parts(options.store, ModelNames())) as parts:
        segmenter = parts.segmenter
        retriever = segmenter.retriever
        assert retriever is not None
        start = time.perf_counter()
        examination = examine(retriever, segmenter.text)
        examined = time.perf_counter()
        found = calibrate(examination)
        print(
            f"{len(examination.nouns)} nouns in {len(examination.asked)} pictures examined in "
            f"{examined - start:.0f} s, {found.pictures} used for calibration in "
            f"{time.perf_counter() - examined:.0f} s: score {found.score_before:.3f} -> "
            f"{found.score_after:.3f}, gain {found.gain:.3f}"
        )
        classes = encode_classes_by_dictionary(data.classes, segmenter.text, retriever)
        usual = Weights(segmenter.text.logit_scale)
        examples: list[Example] = []
        for pair in data:
            picture = load_picture(pair.image)
            cut = segmenter.extractor.extract(picture)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
            near = retriever.neighbours(cut.table)
            scores = score_regions(cut.table, classes, near, fusion="all", weights=usual)
            examples.append((cut, scores, truth))
    tried = [
        replace(usual, prototypes=share, captions=captions, scale=scale)
        for share, captions, scale in product(PROTOTYPES, CAPTIONS, SCALES)
    ]
    figures = [measure(examples, classes, weights) for weights in tried]
    if options.all:
        for weights, miou in zip(tried, figures, strict=True):
            show("", weights, miou)
    by_weights = dict(zip(tried, figures, strict=True))
    show("defaults", usual, by_weights[usual])
    show("calibrated", found.weights, by_weights[found.weights])
    best = tried[int(np.argmax(figures))]
    show("best", best, by_weights[best])


if __name__ == "__main__":
    main()
