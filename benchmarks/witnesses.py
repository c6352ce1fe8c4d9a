"""What each witness of a fusion is worth, each weight, and rivals' rules on the same vectors.

    python -m benchmarks.witnesses DATASET --store S [--part 2/2] [--rivals]

Pictures are cut and embedded once; then every setting scores and paints them. Choose on one part,
and report on the other.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.rivals import RIVALS, Bank, Rule, read_bank
from captionary.build import ModelNames, Parts
from captionary.schemas.arrays import LabelMap, Scores
from captionary.schemas.options import WITNESSES
from captionary.schemas.regions import CutPicture
from captionary.segmenter.class_vectors import (
    ClassVectors,
    encode_classes_by_dictionary,
    encode_classes_by_text,
)
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.kinds.table import KindRules
from captionary.segmenter.painting import LARGENESS, paint_picture
from captionary.segmenter.region_scores import Weights, score_regions
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class Example:
    """A picture in regions with their neighbours, and its ground truth."""

    cut: CutPicture
    near: Neighbours
    truth: LabelMap


@dataclass(frozen=True, slots=True)
class Lists:
    """The class list in three ways: with kinds, without, and by text alone."""

    kinds: ClassVectors
    exact: ClassVectors
    text: ClassVectors


Score = Callable[[Example], Scores]


def settings(lists: Lists, text_scale: float) -> Iterator[tuple[str, Score, float]]:
    """Name, scores and largeness of everything that is tried."""

    usual = Weights(text_scale)

    def by(fusion: str, classes: ClassVectors = lists.kinds, weights: Weights = usual) -> Score:
        return partial(score_by, classes=classes, fusion=fusion, weights=weights)

    yield "text", by("text", lists.text), LARGENESS
    for fusion in ("calibrated", "neighbours", "captions", "prototypes", "both"):
        yield fusion, by(fusion), LARGENESS
    yield "all", by("all"), LARGENESS
    yield "all, exact: without kinds", by("all", lists.exact), LARGENESS
    for witness in WITNESSES:
        others = "+".join(other for other in WITNESSES if other != witness)
        yield f"all without {witness}", by(others), LARGENESS
    for largeness in (0.0, 3.0, 30.0):
        yield f"all, largeness {largeness:g}", by("all"), largeness
    for share in (0.3, 0.5, 0.7, 0.9):
        weights = Weights(text_scale, prototypes=share)
        yield f"all, prototypes {share:g}", by("all", weights=weights), LARGENESS
    for share in (0.1, 0.4):
        weights = Weights(text_scale, captions=share)
        yield f"all, captions {share:g}", by("all", weights=weights), LARGENESS
    for scale in (5.0, 20.0):
        yield (
            f"all, scale {scale:g}",
            by("all", weights=Weights(text_scale, scale=scale)),
            LARGENESS,
        )
    yield "all, arithmetic", lambda one: arithmetic(one, lists.kinds, text_scale), LARGENESS


def score_by(one: Example, *, classes: ClassVectors, fusion: str, weights: Weights) -> Scores:
    """The scores of a picture's regions."""
    scores = score_regions(one.cut.table, classes, one.near, fusion=fusion, weights=weights)
    return scores.fused


def arithmetic(one: Example, classes: ClassVectors, text_scale: float) -> Scores:
    """The same witnesses and weights, as an arithmetic mean."""
    weights = Weights(text_scale)
    said = score_regions(one.cut.table, classes, one.near, fusion="all", weights=weights).by_witness
    words = (said["text"] + said["neighbours"]) / 2
    total = (1 - weights.prototypes) * words + weights.prototypes * said["prototypes"]
    mean: Scores = (total + weights.captions * said["captions"]) / (1 + weights.captions)
    return mean


def rival_settings(
    lists: Lists, bank: Bank, text_scale: float
) -> Iterator[tuple[str, Score, float]]:
    """The rules of others, with the same pooling, with and without kinds."""
    for name, rule in RIVALS.items():
        for what, classes in (("", lists.exact), (", with kinds", lists.kinds)):

            def score(one: Example, rule: Rule = rule, classes: ClassVectors = classes) -> Scores:
                return rule(one.cut.table, one.near, classes, bank, text_scale)

            yield f"{name}{what}", score, LARGENESS


def measure(examples: list[Example], names: list[str], score: Score, largeness: float) -> str:
    """Score and paint every picture with one setting."""
    matrix = ConfusionMatrix(names)
    for one in examples:
        class_map, _ = paint_picture(one.cut, score(one), largeness=largeness)
        matrix.add(one.truth, class_map)
    return f"mIoU {100 * matrix.miou:5.1f}  pixels {100 * matrix.pixel_accuracy:5.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--part")
    parser.add_argument("--rivals", action="store_true", help="Rivals' rules only.")
    options = parser.parse_args()
    data = DatasetFolder(options.dataset, part=options.part)
    names = [item.name for item in data.classes]
    with closing(Parts(options.store, ModelNames())) as parts:
        segmenter = parts.segmenter
        retriever = segmenter.retriever
        assert retriever is not None
        lists = Lists(
            encode_classes_by_dictionary(data.classes, segmenter.text, retriever),
            encode_classes_by_dictionary(
                data.classes, segmenter.text, retriever, KindRules(exact=True)
            ),
            encode_classes_by_text(data.classes, segmenter.text),
        )
        examples = []
        for pair in data:
            picture = load_picture(pair.image)
            cut = segmenter.extractor.extract(picture)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(names))
            examples.append(Example(cut, retriever.neighbours(cut.table), truth))
        scale = segmenter.text.logit_scale
        tried = (
            rival_settings(lists, read_bank(retriever, lists.kinds), scale)
            if options.rivals
            else settings(lists, scale)
        )
        for name, score, largeness in tried:
            print(f"{name:34} {measure(examples, names, score, largeness)}", flush=True)


if __name__ == "__main__":
    main()
