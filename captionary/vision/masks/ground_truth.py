"""The masks of a dataset, all read before long work: what they mean, and which cannot be used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from captionary.files.file_names import normal_form
from captionary.schemas.arrays import LabelMap
from captionary.schemas.classes import ClassName
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.notes import Note, merge_notes
from captionary.vision.masks.coding import Coding, Values, find_coding, values_of
from captionary.vision.masks.datasets import DatasetFolder, MaskedPicture, strange_value
from captionary.vision.pictures.label_maps import read_label_values
from captionary.vision.pictures.loading import LoadedPicture, look_at_size


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """The masks of a dataset that can be used.

    classes:  of the dataset.
    coding:   what their values mean.
    pictures: those of the dataset, or of its part, without those of masks that cannot be used.
    refused:  why masks cannot be used, one sentence for each.
    notes:    how masks were read, where that is not plain.
    """

    classes: tuple[ClassName, ...]
    coding: Coding
    pictures: tuple[MaskedPicture, ...]
    refused: tuple[str, ...] = ()
    notes: tuple[Note, ...] = ()

    def read(self, pair: MaskedPicture, picture: LoadedPicture) -> LabelMap:
        """Read the mask of a picture, (H, W) int32: class indices, or IGNORE.

        Raises:
            UnreadablePicture: it does not fit the picture, or has changed since.
        """
        size_hw, orientation = picture.file_hw, picture.orientation
        stored = read_label_values(pair.mask, size_hw=size_hw, orientation=orientation).values
        if (value := self.coding.find_stranger(values_of(stored))) is not None:
            raise UnreadablePicture(strange_value(pair.mask, value, self.coding.classes))
        return self.coding.decode(stored)


def read_ground_truth(
    data: DatasetFolder, *, on_mask: Callable[[int, int], None] = lambda _done, _total: None
) -> GroundTruth:
    """Read all masks of a dataset, one at a time.

    What values mean is found from all of them, also those outside the part: parts are read alike.

    Args:
        on_mask: called after every mask with how many are done, and of how many.

    Raises:
        WrongInput: no mask can be used, or what they mean cannot be told.
    """
    classes = data.classes
    names = [item.name for item in classes]
    everything = replace(data, part=None).pictures
    wanted = set(data.pictures)
    values: dict[MaskedPicture, Values] = {}
    refused: dict[MaskedPicture, str] = {}
    notes: list[Note] = []
    for done, pair in enumerate(everything, start=1):
        try:
            values[pair], told = _look_at(pair)
            notes += told if pair in wanted else ()
        except UnreadablePicture as error:
            refused[pair] = str(error)
        on_mask(done, len(everything))
    if not values:
        raise _none_left(list(refused.values()))
    coding, note = find_coding({pair.mask: found for pair, found in values.items()}, names)
    for pair, found in values.items():
        if (value := coding.find_stranger(found)) is not None:
            refused[pair] = strange_value(pair.mask, value, len(names))
    usable = tuple(pair for pair in data.pictures if pair not in refused)
    reasons = tuple(refused[pair] for pair in data.pictures if pair in refused)
    if not usable:
        raise _none_left(reasons)
    return GroundTruth(
        classes, coding, usable, reasons, (*merge_notes(notes), *((note,) if note else ()))
    )


def _none_left(reasons: Sequence[str]) -> WrongInput:
    if len(reasons) == 1:
        return WrongInput(reasons[0])
    return WrongInput(f"none of {len(reasons)} masks can be used; the first: {reasons[0]}")


def _look_at(pair: MaskedPicture) -> tuple[Values, list[Note]]:
    """The values of a mask, and how it was read."""
    size_hw, orientation = look_at_size(pair.image) or (None, 1)
    read = read_label_values(pair.mask, size_hw=size_hw, orientation=orientation)
    notes = [replace(note, first=str(pair.mask)) for note in read.notes]
    if normal_form(pair.mask.stem) != normal_form(pair.image.stem):
        notes.append(Note("masks named otherwise than their pictures", str(pair.mask)))
    return values_of(read.values), notes
