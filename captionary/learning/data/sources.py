"""Training data from a SOURCE of captioned pictures, a part of which is held out."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from captionary.files.digests import digest_texts
from captionary.learning.checkpoints import make_run_folder
from captionary.learning.data.examples import CaptionedPictures, Examples, group_by_picture
from captionary.learning.data.readers import NumberedPairs, PairReader, ShardIndex
from captionary.learning.processes import Processes
from captionary.learning.zero_shot import LabelledPictures
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.vision.pictures.loading import file_name

LOG = logging.getLogger(__name__)

MAX_HELD_OUT = 500
MAX_VOCABULARY_CAPTIONS = 200_000
"""Captions that a vocabulary is learned from, at most."""
MIN_CROP_AREA = 0.9
"""Photographs are cropped at random to this share of their area or more."""
LISTS_FOLDER = "shards"
"""Folder in that of a run, for the lists of its shards."""

ShowProgress: TypeAlias = Callable[[int], AbstractContextManager[Callable[[int], None]]]
"""Shows how many shards of a total are listed, as long as its context is open."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Examples to learn from, and others to evaluate on.

    labelled: pictures of one thing each, to evaluate on.
    captions: for a vocabulary; can be read once.
    name:     differs where the examples do.
    min_area: share of a picture that must remain when it is cropped.
    """

    examples: Examples
    held_out: Examples | None
    captions: Iterable[str]
    name: str
    labelled: LabelledPictures | None = None
    min_area: float = 1.0


@dataclass(frozen=True, slots=True)
class SourceLoader:
    """Opens SOURCEs as training data.

    folder:        of the run, where lists of shards are kept.
    processes:     those of the run, which share the listing.
    show_progress: of the listing, in the first process.
    """

    reader: PairReader
    folder: Path
    processes: Processes
    show_progress: ShowProgress

    def load(self, source: str, *, images: str | None, held_out: int | None) -> TrainingData:
        """Open a SOURCE; the pictures held out are chosen by their names, always the same.

        Args:
            source:   as `captionary index` takes it.
            images:   folder that relative picture names refer to.
            held_out: how many to hold out; None: a tenth, at most 500.

        Raises:
            WrongInput: SOURCE cannot be used, has no captions, or no picture remains to learn from;
                or the folder cannot be written to.
            UnreadablePicture: none of its pictures can be read.
        """
        if shards := self.reader.local_shards(source):
            self.reader.read_pairs(source, images=images)  # says at once what is wrong
            # The lists are kept in it, so it must be there before the trainer makes it.
            make_run_folder(self.folder)
            return _split_shards(source, self._index(shards), held_out)
        pairs = self._read_usable_pairs(source, images)
        return _split_pairs(source, pairs, held_out)

    def _index(self, shards: Sequence[str]) -> ShardIndex:
        """List shards; the processes of a run list a part each, and meet in the folder.

        What another process has listed elsewhere, on a machine that does not share the folder, is
        listed again.
        """
        if self.processes.count > 1:
            own = shards[self.processes.rank :: self.processes.count]
            if own:
                self._list(own)
            self.processes.any(here=False)  # a barrier: wait for the lists of the others
        index = self._list(shards)
        if index.left_out:
            LOG.warning("%d pairs left out, first: %s", index.left_out, index.first_failure)
        return index

    def _list(self, shards: Sequence[str]) -> ShardIndex:
        shown = self.show_progress(len(shards)) if self.processes.first else nullcontext(_no_report)
        with shown as report:
            folder = self.folder / LISTS_FOLDER
            return self.reader.index_shards(shards, folder=folder, report=report)

    def _read_usable_pairs(self, source: str, images: str | None) -> list[ImageCaption]:
        """The pairs that can be used; that there are others is logged."""
        items = list(self.reader.read_pairs(source, images=images))
        failures = [item for item in items if isinstance(item, PairFailure)]
        if failures:
            first = failures[0]
            LOG.warning(
                "%d pairs left out, first: %s: %s", len(failures), first.where, first.reason
            )
        return [item for item in items if isinstance(item, ImageCaption)]


def _no_report(_done: int) -> None:
    """Show nothing."""


def _split_shards(source: str, index: ShardIndex, held_out: int | None) -> TrainingData:
    digests = index.digests
    count = _held_out_count(source, len(index.pairs), held_out)
    # Chosen by digest: what is held out does not depend on the order of the shards.
    numbers = np.sort(np.argsort(digests, kind="stable")[:count])
    name = hashlib.sha256(digests.tobytes() + numbers.tobytes()).hexdigest()
    return _build_data(index.pairs.without(numbers), index.pairs.select(numbers), name)


def _split_pairs(source: str, pairs: Sequence[ImageCaption], held_out: int | None) -> TrainingData:
    # The file's name and not its path: a copy of the data elsewhere is split alike.
    digests = {
        pair.image: digest_texts(file_name(pair.picture_name), *pair.captions) for pair in pairs
    }
    count = _held_out_count(source, len(digests), held_out)
    chosen = set(sorted(digests, key=lambda image: digests[image])[:count])
    learned = group_by_picture(pair for pair in pairs if pair.image not in chosen)
    others = group_by_picture(pair for pair in pairs if pair.image in chosen) if chosen else []
    return _build_data(learned, others, digest_texts(*_split_texts(pairs, chosen)))


def _split_texts(pairs: Sequence[ImageCaption], held_out: set[str | bytes]) -> Iterator[str]:
    """What tells one split of some pairs from another, but not where their pictures are."""
    for pair in pairs:
        yield from ("apart" if pair.image in held_out else "learned", *pair.captions)


def _held_out_count(source: str, pictures: int, held_out: int | None) -> int:
    """How many of the pictures are held out."""
    count = min(MAX_HELD_OUT, pictures // 10) if held_out is None else held_out
    if count >= pictures:
        raise WrongInput(
            f"{source} has {pictures} pictures with captions, of which {count} are to be "
            "held out; give more pictures or a smaller --held-out"
        )
    return count


def _build_data(learned: NumberedPairs, held_out: NumberedPairs, digest: str) -> TrainingData:
    examples = CaptionedPictures(learned)
    examples[0]  # if none can be read, say so now and not in a worker
    others = CaptionedPictures(held_out) if len(held_out) else None
    if others is not None:
        others[0]
    captions = islice(examples.captions, MAX_VOCABULARY_CAPTIONS)
    return TrainingData(
        examples, others, captions, f"{len(examples)} {digest[:8]}", min_area=MIN_CROP_AREA
    )
