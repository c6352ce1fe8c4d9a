"""Rows of a dataset folder, as `evaluate` reads it: pictures with the classes that masks show.

Captions that stand in the folder, as `captions.jsonl` or beside the pictures, go with them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np

from captionary.files.file_names import normal_form
from captionary.indexer.readers.addresses import is_local, name_of
from captionary.indexer.readers.folders import NO_CAPTIONS, read_folder
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.tables.delimited import read_delimited
from captionary.indexer.readers.tables.json_documents import read_json
from captionary.indexer.readers.tables.parquet_files import read_parquet
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure
from captionary.schemas.pointing import MaskArea, PointedArea
from captionary.vision.masks.coding import NO_CLASS_NAMES
from captionary.vision.masks.datasets import DatasetFolder, MaskedPicture
from captionary.vision.masks.ground_truth import GroundTruth, read_ground_truth
from captionary.vision.pictures.label_maps import read_label_values
from captionary.vision.pictures.loading import look_at_size

SMALLEST = 0.005
"""Share of its picture that a class has at least, to be pointed at."""

CAPTIONS = {
    "captions.jsonl": read_json,
    "captions.ndjson": read_json,
    "captions.json": read_json,
    "captions.csv": read_delimited,
    "captions.tsv": read_delimited,
    "captions.parquet": read_parquet,
}
"""Files of captions that may stand in the folder; of several the first counts."""


def holds_dataset(folder: str) -> bool:
    """Whether a folder is a dataset folder of this machine."""
    path = Path(folder)
    return (
        is_local(folder)
        and all((path / name).is_dir() for name in ("images", "masks"))
        and (path / "classes.txt").is_file()
    )


def read_dataset(source: str) -> Rows:
    """The masked pictures of a dataset folder: the area of each class, and captions if there are.

    All masks are read before the first row, as what their values mean is found from all.

    Raises:
        WrongInput: the folder lacks something, or no mask can be used.
    """
    folder = Path(source)
    truth = read_ground_truth(DatasetFolder(folder))
    yield from truth.notes
    shown = name_of(source.rstrip("/")) or source
    yield from (PairFailure(f"{shown}/masks", "", reason) for reason in truth.refused)
    waiting = {normal_form(pair.image.name): pair for pair in truth.pictures}
    for item in _caption_rows(folder):
        if isinstance(item, Row):
            pair = waiting.pop(normal_form(name_of(str(item.values["image"]))), None)
            found = _regions(pair, truth) if pair else ""
            if isinstance(found, str):
                yield from [PairFailure(item.where, str(pair.image), found)] if pair else []
                yield item
            else:
                yield replace(item, values={**item.values, "regions": found})
        elif not (isinstance(item, PairFailure) and _lacks_captions(item, waiting)):
            yield item
    for pair in waiting.values():
        where, image = f"{shown}/masks/{pair.mask.name}", f"images/{pair.image.name}"
        found = _regions(pair, truth)
        if isinstance(found, str):
            yield PairFailure(where, image, found)
        elif found:
            yield Row(where, {"image": image, "regions": found})
        else:
            yield Note(f"masks without a class of {SMALLEST:.1%} of their picture", where)


def _lacks_captions(failure: PairFailure, masked: Collection[str]) -> bool:
    """Whether it says no more than that a masked picture has no captions, which it may."""
    named = normal_form(name_of(failure.image)) in masked
    return named and failure.reason.endswith(NO_CAPTIONS)


def count_dataset(source: str) -> int:
    """Masked pictures of a dataset folder."""
    return len(DatasetFolder(Path(source)))


def _caption_rows(folder: Path) -> Iterator[Row | PairFailure | Note]:
    """The rows of captions that the folder has; pictures are named from the folder on."""
    images = folder / "images"
    table = next((folder / name for name in CAPTIONS if (folder / name).is_file()), None)
    if table:
        rows = CAPTIONS[table.name](str(table))
        first = []
    else:
        rows = read_folder(str(images))
        try:
            first = list(islice(rows, 1))
        except WrongInput:  # no picture has a text beside it
            return
    for row in chain(first, rows):
        image = row.values.get("image") if isinstance(row, Row) else None
        if isinstance(row, Row) and isinstance(image, str) and _exists(images / image):
            row = replace(row, values={**row.values, "image": f"images/{image}"})
        yield row


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # such as a name that is too long
        return False


def _regions(pair: MaskedPicture, truth: GroundTruth) -> list[PointedArea] | str:
    """The area of each class in a mask, or why there are none."""
    size_hw, orientation = look_at_size(pair.image) or (None, 1)
    try:
        stored = read_label_values(pair.mask, size_hw=size_hw, orientation=orientation).values
    except UnreadablePicture as error:
        return str(error)
    used, counts = np.unique(stored, return_counts=True)
    values, pixels = defaultdict[int, list[int]](list), defaultdict[int, int](int)
    for value, count, label in zip(
        used.tolist(), counts.tolist(), truth.coding.decode(used).tolist(), strict=True
    ):
        values[label].append(value)
        pixels[label] += count
    return [
        PointedArea(item.name, MaskArea(str(pair.mask), tuple(values[label])))
        for label, item in enumerate(truth.classes)
        if pixels[label] >= SMALLEST * stored.size and item.name.casefold() not in NO_CLASS_NAMES
    ]
