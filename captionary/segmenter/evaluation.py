"""Evaluation of a segmenter: mIoU on a dataset folder, for `evaluate` and during `train`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from captionary.schemas.arrays import LabelMap
from captionary.segmenter.confusion import ConfusionMatrix, evaluation_json
from captionary.segmenter.datasets import DatasetFolder, MaskedPicture, read_mask
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.pictures.loading import LoadedPicture, load_picture


def evaluate(
    segmenter: Segmenter,
    data: DatasetFolder,
    settings: Settings,
    *,
    report: Callable[[int], None] = lambda _: None,
) -> tuple[ConfusionMatrix, float]:
    """Segment the pictures of a dataset: all pixels counted, and the seconds that it took.

    Args:
        segmenter: what to evaluate.
        data:      the pictures with their true masks.
        settings:  how to segment.
        report:    called with the number of pictures that are done.

    Raises:
        WrongInput: a picture or a mask cannot be read, or they do not fit.
    """
    classes = data.classes
    matrix = ConfusionMatrix([item.name for item in classes])
    seconds = 0.0
    for done, pair in enumerate(data, start=1):
        picture, truth = _load_pair(pair, classes=len(classes))
        # Reading files is left out of the time.
        start = time.perf_counter()
        segmentation = segmenter.segment(picture, classes, settings)
        seconds += time.perf_counter() - start
        matrix.add(truth, segmentation.class_map)
        report(done)
    return matrix, seconds


def evaluate_folder(
    load_segmenter: Callable[[], Segmenter],
    folder: Path,
    settings: Settings,
    *,
    store: str | None = None,
    part: str | None = None,
    on_name: Callable[[int, int], None] = lambda _done, _total: None,
    on_picture: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[str, Any]:
    """Evaluate on a dataset folder: figures and what they depend on, as `evaluation_json`.

    Args:
        load_segmenter: called once the dataset is read: what is wrong with it is said at once.
        folder:         with images/, masks/ and classes.txt.
        store:          what the figures name as the dictionary.
        part:           "N/M": the N-th of M equal parts, chosen by file name.
        on_name:        called with how many class names are encoded, and of how many.
        on_picture:     called after every picture with how many are done, and of how many.

    Raises:
        WrongInput: the dataset cannot be used; or as `evaluate`.
    """
    data = DatasetFolder(folder, part=part)
    segmenter = load_segmenter()
    segmenter.encode_classes(data.classes, settings, on_name)
    total = len(data)
    matrix, seconds = evaluate(
        segmenter, data, settings, report=lambda done: on_picture(done, total)
    )
    facts = {
        **asdict(settings),
        "fingerprint": segmenter.extractor.fingerprint,
        "store": store,
        "dataset": str(data.path),
        "part": data.part,
    }
    figures = evaluation_json(matrix, images=total, seconds=seconds, settings=facts)
    return figures | {"without_noun": list(segmenter.without_noun(data.classes, settings))}


def validate_dataset(data: DatasetFolder) -> None:
    """Read all pictures and masks, to find out before long work what is wrong with any.

    Raises:
        WrongInput: as `evaluate`.
    """
    classes = len(data.classes)
    for pair in data:
        _load_pair(pair, classes=classes)


def _load_pair(pair: MaskedPicture, *, classes: int) -> tuple[LoadedPicture, LabelMap]:
    picture = load_picture(pair.image)
    return picture, read_mask(pair.mask, size_hw=picture.size_hw, classes=classes)


@dataclass(frozen=True, slots=True)
class DatasetEvaluator:
    """Evaluates the model of a folder, as `evaluate DATASET --fusion text` does.

    load_segmenter: loads a segmenter by text alone with the model of a folder, on a device.
    device:         what to segment on.
    """

    data: DatasetFolder
    load_segmenter: Callable[[Path, str], Segmenter]
    device: str

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Mean IoU, in [0, 1]."""
        return ("miou",)

    def __call__(self, folder: Path) -> Mapping[str, float]:
        """Load the model, and segment the dataset with it."""
        segmenter = self.load_segmenter(folder, self.device)
        matrix, _ = evaluate(segmenter, self.data, Settings("text"))
        return {"miou": matrix.miou}
