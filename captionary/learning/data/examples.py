"""What is learned from: pictures with captions, by number."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

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


class Captioned(Protocol):
    """Pictures by number, each an address and what it is described by; a list is one."""

    def __len__(self) -> int:
        """How many there are."""
        ...

    def __getitem__(self, index: int, /) -> tuple[str, tuple[str, ...]]:
        """Address of a picture, and its captions, at least one.

        Raises:
            UnreadablePicture: they cannot be read.
        """
        ...


def sentences(captions: Iterable[str]) -> tuple[str, ...]:
    """Captions in one line each, none blank and none twice."""
    joined = (" ".join(caption.split()) for caption in captions)
    return tuple(dict.fromkeys(text for text in joined if text))


def by_picture(pairs: Iterable[ImageCaption]) -> list[tuple[str, tuple[str, ...]]]:
    """Pairs as a reader yields them; those of one picture become one.

    Raises:
        WrongInput: no pair has a caption.
    """
    captions: dict[str, dict[str, None]] = {}
    for pair in pairs:
        captions.setdefault(pair.image, {}).update(dict.fromkeys(sentences(pair.captions)))
    pictures = [(image, tuple(texts)) for image, texts in captions.items() if texts]
    if not pictures:
        raise WrongInput(
            f"none of {len(captions)} pictures has a caption; there is nothing to learn"
        )
    return pictures


class CaptionedPictures:
    """Picture files with captions.

    Where a picture cannot be read, the next one that can stands in for it. The first such picture
    of a process is told of in the log.
    """

    def __init__(self, pictures: Captioned) -> None:
        self._pictures = pictures
        self._told = False

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def captions(self) -> Iterator[str]:
        """All captions that can be read, in order."""
        for number in range(len(self)):
            try:
                yield from self._pictures[number][1]
            except UnreadablePicture as error:
                self._tell(error)

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
                image, captions = self._pictures[number % len(self)]
                return Example(load_picture(image).pixels, captions)
            except UnreadablePicture as error:
                self._tell(error)
        raise UnreadablePicture(f"none of the {len(self)} pictures can be read; check the SOURCE")

    def _tell(self, error: UnreadablePicture) -> None:
        if not self._told:
            self._told = True
            LOG.warning("skipped: %s; others that cannot be read are skipped silently", error)
