"""Examples to learn from, by number: pictures with captions."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from captionary.learning.data.readers import NumberedPairs
from captionary.schemas.arrays import Rgb
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.pairs import ImageCaption
from captionary.vision.pictures.loading import load_picture

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Example:
    """A picture and the sentences that describe it.

    picture:  (H, W, 3) uint8, sRGB.
    captions: at least one.
    """

    picture: Rgb
    captions: tuple[str, ...]


class Examples(Protocol):
    """Examples by number; the same number is always the same example.

    It is sent to other processes, so it must be possible to pickle it.
    """

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int) -> Example:
        """The example of a number from 0 to length - 1."""
        ...


def clean_captions(captions: Iterable[str]) -> tuple[str, ...]:
    """Captions in one line each, none blank and none twice."""
    joined = (" ".join(caption.split()) for caption in captions)
    return tuple(dict.fromkeys(text for text in joined if text))


def group_by_picture(pairs: Iterable[ImageCaption]) -> list[ImageCaption]:
    """Merge the pairs of one picture into one, in the order of the first of each.

    Raises:
        WrongInput: no pair has a caption.
    """
    # A dictionary of captions keeps their order, and each of them once.
    captions: dict[str | bytes, dict[str, None]] = {}
    for pair in pairs:
        captions.setdefault(pair.image, {}).update(dict.fromkeys(clean_captions(pair.captions)))
    pictures = [ImageCaption(image, tuple(texts)) for image, texts in captions.items() if texts]
    if not pictures:
        raise WrongInput(
            f"none of {len(captions)} pictures has a caption; there is nothing to learn"
        )
    return pictures


class CaptionedPictures:
    """Examples read from picture files.

    Where a picture cannot be read, the next one that can stands in for it: a set of millions always
    has broken files, and a batch has one size. Each process logs the first such picture.
    """

    def __init__(self, pairs: NumberedPairs) -> None:
        self._pairs = pairs
        self._warned = False

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def captions(self) -> Iterator[str]:
        """All captions that can be read, in order."""
        for number in range(len(self)):
            try:
                yield from clean_captions(self._pairs[number].captions)
            except UnreadablePicture as error:
                self._warn_once(error)

    def __getitem__(self, index: int) -> Example:
        """Read a picture, or the next one that can be read.

        Raises:
            IndexError: there is no such number.
            UnreadablePicture: none of the pictures can be read.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} pictures, and none is number {index}")
        for number in range(index, index + len(self)):
            try:
                pair = self._pairs[number % len(self)]
                return Example(load_picture(pair.image).pixels, clean_captions(pair.captions))
            except UnreadablePicture as error:
                self._warn_once(error)
        raise UnreadablePicture(f"none of the {len(self)} pictures can be read; check the SOURCE")

    def _warn_once(self, error: UnreadablePicture) -> None:
        if not self._warned:
            self._warned = True
            LOG.warning("skipped: %s; others that cannot be read are skipped silently", error)
