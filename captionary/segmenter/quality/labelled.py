"""Weights for one dictionary, chosen by labelled pictures."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from captionary.schemas.arrays import LabelMap
from captionary.schemas.options import DEFAULT_FUSION
from captionary.schemas.regions import CutPicture
from captionary.segmenter.class_vectors import ClassVectors
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.painting import paint_picture
from captionary.segmenter.quality.calibration import CAPTIONS, PROTOTYPES, SCALES, Calibration
from captionary.segmenter.region_scores import Weights, score_regions
from captionary.segmenter.segmenter import Segmenter
from captionary.vision.masks.datasets import DatasetFolder
from captionary.vision.masks.ground_truth import read_ground_truth
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.neighbours import Neighbours


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture in regions, their neighbours, and its ground truth."""

    cut: CutPicture
    near: Neighbours
    truth: LabelMap


def calibrate_on(
    segmenter: Segmenter,
    data: DatasetFolder,
    *,
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> Calibration:
    """Choose weights by mean IoU: one after the other, each the best beside the others.

    Raises:
        WrongInput: no mask can be used.
        UnreadablePicture: a picture cannot be read.
    """
    labelled = tuple(_cut(segmenter, data, report))
    vectors = segmenter.class_vectors(data.classes)
    chosen = usual = Weights(segmenter.text.logit_scale)
    before = best = _miou(labelled, vectors, usual)
    for name, values in (("scale", SCALES), ("prototypes", PROTOTYPES), ("captions", CAPTIONS)):
        for value in values:
            tried = replace(chosen, **{name: value})
            if tried != chosen and (found := _miou(labelled, vectors, tried)) > best:
                chosen, best = tried, found
    return Calibration(
        weights=chosen,
        score_before=before,
        score_after=best,
        gain=best - before,
        changed=chosen != usual,
        pictures=len(labelled),
    )


def _cut(
    segmenter: Segmenter, data: DatasetFolder, report: Callable[[int, int], None]
) -> Iterator[Labelled]:
    assert segmenter.retriever is not None
    truth = read_ground_truth(data)
    for done, pair in enumerate(truth.pictures, start=1):
        picture = load_picture(pair.image)
        cut = segmenter.extractor.extract(picture)
        yield Labelled(cut, segmenter.retriever.neighbours(cut.table), truth.read(pair, picture))
        report(done, len(truth.pictures))


def _miou(labelled: tuple[Labelled, ...], classes: ClassVectors, weights: Weights) -> float:
    matrix = ConfusionMatrix([item.name for item in classes.classes])
    for item in labelled:
        scores = score_regions(
            item.cut.table, classes, item.near, fusion=DEFAULT_FUSION, weights=weights
        )
        matrix.add(item.truth, paint_picture(item.cut, scores.fused)[0])
    return float(matrix.miou)
