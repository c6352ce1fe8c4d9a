"""Datasets of pictures with ground-truth masks, as `captionary evaluate` reads them from a folder.

A dataset folder has `images/`, `masks/` (PNG or TIFF, a class index per pixel, 255 = ignore, in
16-bit files 65535; a mask has the stem of its picture) and `classes.txt`. Pictures without a mask
are left out.
"""

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from captionary.files.file_names import normal_form
from captionary.files.picture_formats import is_picture
from captionary.schemas.arrays import LabelMap
from captionary.schemas.classes import ClassName, read_classes
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.labels import MOST_LABELS
from captionary.vision.pictures.label_maps import SUFFIXES, read_label_map

MASK_ENDING = re.compile(r"[-_. ](mask|masks|gt|label|labels|labelids|seg)$", re.IGNORECASE)
"""What people append to a picture's name to name its mask."""


@dataclass(frozen=True, slots=True)
class MaskedPicture:
    """A picture file and the file of its ground-truth mask."""

    image: Path
    mask: Path


@dataclass(frozen=True, slots=True)
class DatasetFolder:
    """The masked pictures of a dataset folder, sorted by name.

    path: the folder.
    part: None for all pictures; "1/2" for the first of two equal parts, and so on. Pictures are
          dealt out by the SHA-256 of their file names, so a part is the same everywhere.

    Raises:
        WrongInput: the folder lacks something, has no masked picture, or the part makes no sense.
    """

    path: Path
    part: str | None = None

    def __post_init__(self) -> None:
        for name in ("images", "masks"):
            if not (self.path / name).is_dir():
                raise WrongInput(
                    f"{self.path} has no folder {name}/; "
                    "a dataset folder has images/, masks/ and classes.txt"
                )
        if len(self.classes) > MOST_LABELS:
            raise WrongInput(
                f"{self.path / 'classes.txt'} has {len(self.classes)} classes; "
                f"masks can tell at most {MOST_LABELS} apart, name fewer"
            )
        if not self.pictures:
            raise WrongInput(
                f"{self.path} has no picture with a mask{f' in part {self.part}' * bool(self.part)}"
                "; images/NAME.jpg goes with masks/NAME.png"
            )

    @property
    def classes(self) -> tuple[ClassName, ...]:
        """Its classes; their order gives the mask values."""
        return read_classes(self.path / "classes.txt")

    @property
    def pictures(self) -> tuple[MaskedPicture, ...]:
        """The masked pictures of this part, sorted by file name."""
        images = [path for path in (self.path / "images").iterdir() if is_picture(path.name)]
        masks = _find_masks(self.path / "masks", {normal_form(path.stem) for path in images})
        images = [path for path in images if normal_form(path.stem) in masks]
        chosen = _select_part(sorted(images, key=lambda path: path.name), self.part)
        return tuple(MaskedPicture(path, masks[normal_form(path.stem)]) for path in chosen)

    def __iter__(self) -> Iterator[MaskedPicture]:
        return iter(self.pictures)

    def __len__(self) -> int:
        return len(self.pictures)


def _find_masks(folder: Path, stems: Collection[str]) -> dict[str, Path]:
    """The mask of each picture: NAME.png, or NAME_mask.png and the like.

    stems: of the pictures, in normal form; the masks come by these.
    """
    masks: dict[str, Path] = {}
    files = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    # Those that are called as their picture first, and of these PNG before other formats.
    named = [(normal_form(path.stem), path) for path in files]
    named.sort(key=lambda it: (it[0] not in stems, SUFFIXES.index(it[1].suffix.lower()), it[1]))
    for name, path in named:
        stem = name if name in stems else MASK_ENDING.sub("", name)
        if stem in stems:
            masks.setdefault(stem, path)
    return masks


def read_mask(path: Path, *, size_hw: tuple[int, int], classes: int) -> LabelMap:
    """Read a ground-truth mask, (H, W) int32: class indices, or IGNORE.

    Args:
        path:    a PNG of one number per pixel (indexed or grey).
        size_hw: height and width of the picture it belongs to.
        classes: how many classes there are.

    Raises:
        WrongInput: it cannot be read, or does not fit the picture or the classes.
    """
    mask = read_label_map(path, size_hw=size_hw)
    if (highest := int(mask.max())) >= classes:
        raise UnreadablePicture(strange_value(path, highest, classes))
    return mask


def strange_value(mask: Path, value: int, classes: int) -> str:
    """Say that a mask holds a value that is no class."""
    from_one = "; where the first class is 1, subtract 1" if value == classes else ""
    return (
        f"the mask {mask} holds the value {value} but classes.txt has {classes} classes; values "
        f"are 0 to {classes - 1}, or 255 for ignore (65535 in 16-bit files){from_one}"
    )


def _select_part(paths: list[Path], part: str | None) -> list[Path]:
    """The paths that fall into "n/m", in their own order."""
    if part is None:
        return paths
    match = re.fullmatch(r"([1-9]\d*)/([1-9]\d*)", part)
    if match is None or int(match[1]) > int(match[2]):
        raise WrongInput(f"the part {part!r} is not of the form n/m, as in 1/2 and 2/2")
    number, count = int(match[1]), int(match[2])
    # Names often say what is shown; in the order of their hashes all parts are alike.
    shuffled = sorted(paths, key=lambda path: hashlib.sha256(os.fsencode(path.name)).hexdigest())
    return sorted(shuffled[number - 1 :: count], key=lambda path: path.name)
