"""Evaluation of a segmenter: mIoU on a dataset folder, for `evaluate` and during `train`."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.notes import Note, merge_notes
from captionary.segmenter.confusion import ConfusionMatrix, evaluation_json
from captionary.segmenter.json_data import kinds_json
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.masks.datasets import DatasetFolder
from captionary.vision.masks.ground_truth import GroundTruth, read_ground_truth
from captionary.vision.pictures.loading import load_picture


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What segmenting a dataset gave.

    matrix:  all pixels counted.
    images:  pictures counted.
    seconds: spent segmenting them.
    refused: why pictures were left out, one sentence for each.
    notes:   how pictures were read, where that is worth telling.
    """

    matrix: ConfusionMatrix
    images: int
    seconds: float
    refused: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()


def evaluate(
    segmenter: Segmenter,
    truth: GroundTruth,
    settings: Settings,
    *,
    bands: Sequence[int] = (),
    report: Callable[[int], None] = lambda _: None,
    on_refused: Callable[[str], None] = lambda _: None,
) -> Evaluation:
    """Segment the pictures of a dataset; those that cannot be read are left out.

    Args:
        segmenter:  what to evaluate.
        truth:      the pictures with their true masks.
        settings:   how to segment.
        bands:      of TIFF files, as `load_picture`.
        report:     called with the number of pictures that are done.
        on_refused: called with the reason for each picture that is left out.

    Raises:
        WrongInput: no picture can be read.
    """
    matrix = ConfusionMatrix([item.name for item in truth.classes])
    seconds = 0.0
    refused: list[str] = []
    notes: tuple[Note, ...] = ()
    for done, pair in enumerate(truth.pictures, start=1):
        try:
            picture = load_picture(pair.image, bands=bands)
            labels = truth.read(pair, picture)
        except UnreadablePicture as error:
            refused.append(str(error))
            on_refused(str(error))
        else:
            notes = merge_notes((*notes, *picture.notes))
            # Reading files is left out of the time.
            start = time.perf_counter()
            segmentation = segmenter.segment(picture, truth.classes, settings)
            seconds += time.perf_counter() - start
            matrix.add(labels, segmentation.class_map)
        report(done)
    images = len(truth.pictures) - len(refused)
    if not images:
        raise WrongInput(f"no picture can be used; the first: {refused[0]}")
    return Evaluation(matrix, images, seconds, tuple(refused), notes)


def evaluate_folder(
    load_segmenter: Callable[[], Segmenter],
    folder: Path,
    settings: Settings,
    *,
    store: str | None = None,
    part: str | None = None,
    bands: Sequence[int] = (),
    on_mask: Callable[[int, int], None] = lambda _done, _total: None,
    on_name: Callable[[int, int], None] = lambda _done, _total: None,
    on_picture: Callable[[int, int], None] = lambda _done, _total: None,
    on_refused: Callable[[str], None] = lambda _reason: None,
) -> dict[str, Any]:
    """Evaluate on a dataset folder: figures and what they depend on, as `evaluation_json`.

    Args:
        load_segmenter: called once the masks are read: what is wrong with them is said at once.
        folder:         with images/, masks/ and classes.txt.
        store:          what the figures name as the dictionary.
        part:           "N/M": the N-th of M equal parts, chosen by file name.
        bands:          of TIFF files, as `load_picture`.
        on_mask:        called after every mask read with how many are done, and of how many.
        on_name:        called with how many class names are encoded, and of how many.
        on_picture:     called after every picture with how many are done, and of how many.
        on_refused:     called with the reason for each picture that is left out.

    Raises:
        WrongInput: the dataset cannot be used; or as `evaluate`.
    """
    data = DatasetFolder(folder, part=part)
    truth = read_ground_truth(data, on_mask=on_mask)
    for reason in truth.refused:
        on_refused(reason)
    segmenter = load_segmenter()
    segmenter.encode_classes(truth.classes, settings, on_name)
    total = len(truth.pictures)
    evaluation = evaluate(
        segmenter,
        truth,
        settings,
        bands=bands,
        report=lambda done: on_picture(done, total),
        on_refused=on_refused,
    )
    facts = {
        **asdict(settings),
        "fingerprint": segmenter.extractor.fingerprint,
        "store": store,
        "dataset": str(data.path),
        "part": data.part,
        "bands": list(bands) or None,
    }
    figures = evaluation_json(
        evaluation.matrix,
        images=evaluation.images,
        seconds=evaluation.seconds,
        settings=facts,
        left_out=(*truth.refused, *evaluation.refused),
        notes=(*truth.notes, *evaluation.notes),
    )
    return figures | {
        "without_noun": list(segmenter.without_noun(truth.classes, settings)),
        "kinds": kinds_json(segmenter.kinds(truth.classes, settings)),
    }


def read_whole_dataset(data: DatasetFolder) -> GroundTruth:
    """Read all pictures and masks, to find out before long work what is wrong with any.

    Raises:
        WrongInput: a picture or a mask cannot be used.
    """
    truth = read_ground_truth(data)
    if truth.refused:
        raise WrongInput(truth.refused[0])
    for pair in truth.pictures:
        truth.read(pair, load_picture(pair.image))
    return truth


@dataclass(frozen=True, slots=True)
class DatasetEvaluator:
    """Evaluates the model of a folder, as `evaluate DATASET --fusion text` does.

    load_segmenter: loads a segmenter by text alone with the model of a folder, on a device.
    device:         what to segment on.
    """

    truth: GroundTruth
    load_segmenter: Callable[[Path, str], Segmenter]
    device: str

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Mean IoU, in [0, 1]."""
        return ("miou",)

    def __call__(self, folder: Path) -> Mapping[str, float]:
        """Load the model, and segment the dataset with it."""
        segmenter = self.load_segmenter(folder, self.device)
        return {"miou": evaluate(segmenter, self.truth, Settings("text")).matrix.miou}
