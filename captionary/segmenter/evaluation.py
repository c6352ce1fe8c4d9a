"""mIoU of a segmenter on a dataset folder: for `evaluate`, and for `train` while it runs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from captionary.build import Models, open_segmenter
from captionary.schemas.arrays import LabelMap
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.datasets import DatasetFolder, MaskedPicture, read_mask
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.pictures.loading import LoadedPicture, load_picture


def confusion(
    segmenter: Segmenter,
    data: DatasetFolder,
    settings: Settings,
    *,
    report: Callable[[int], None] = lambda _: None,
) -> tuple[ConfusionMatrix, float]:
    """Segment the pictures of a dataset: all pixels counted, and the seconds that it took.

    Args:
        report: called with the number of pictures that are done.

    Raises:
        WrongInput: a picture or a mask cannot be read, or they do not fit.
    """
    classes = data.classes
    matrix = ConfusionMatrix([item.name for item in classes])
    seconds = 0.0
    for done, pair in enumerate(data, start=1):
        picture, truth = _read(pair, classes=len(classes))
        start = time.perf_counter()
        answer = segmenter.segment(picture, classes, settings)
        seconds += time.perf_counter() - start
        matrix.add(truth, answer.class_map)
        report(done)
    return matrix, seconds


def _read(pair: MaskedPicture, *, classes: int) -> tuple[LoadedPicture, LabelMap]:
    picture = load_picture(pair.image)
    return picture, read_mask(pair.mask, size_hw=picture.size_hw, classes=classes)


def check(data: DatasetFolder) -> None:
    """Read all pictures and masks, to find out before long work what is wrong with any.

    Raises:
        WrongInput: as `confusion`.
    """
    classes = len(data.classes)
    for pair in data:
        _read(pair, classes=classes)


@dataclass(frozen=True, slots=True)
class DatasetMeasure:
    """Measures mIoU of the model of a folder, as `evaluate DATASET --fusion text` does.

    device: what to segment on.
    """

    data: DatasetFolder
    device: str

    @property
    def measures(self) -> tuple[str, ...]:
        """Mean IoU, in [0, 1]."""
        return ("miou",)

    def __call__(self, folder: Path) -> Mapping[str, float]:
        """Load the model, and segment the dataset with it."""
        models = Models(encoder=f"local-dir:{folder}", device=self.device)
        with open_segmenter(models, "", "text") as segmenter:
            matrix, _ = confusion(segmenter, self.data, Settings("text"))
        return {"miou": matrix.miou}
