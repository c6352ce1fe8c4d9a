"""What `captionary train` learns from: a SOURCE of captioned pictures, or a world of drawn ones."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from captionary.indexer.readers import local_shards, read_pairs
from captionary.indexer.readers.shard_index import digest_of
from captionary.learning.checkpoints import make_run_folder
from captionary.learning.data.examples import (
    Captioned,
    CaptionedPictures,
    Example,
    Examples,
    by_picture,
)
from captionary.learning.data.shard_pairs import pairs_in
from captionary.learning.processes import Processes
from captionary.learning.recognition import LabelledPictures
from captionary.pictograms.nouns import choose_nouns
from captionary.pictograms.world import World
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.vision.pictures.loading import file_name

LOG = logging.getLogger(__name__)

WORLDS = ("pictograms",)
SCENES = 1 << 40
"""More than can ever be drawn: no scene comes twice."""
HELD_OUT_SCENES = 500
CAPTIONS_READ = 200_000
"""Captions that a vocabulary is learned from, at most."""
CAPTIONED_SCENES, CAPTIONS_A_SCENE = 2000, 8
LEAST_CUT = 0.9
"""Photographs are cut at random to this share of their area or more."""
LISTS = "shards"
"""Folder in that of a run, for the lists of its shards."""


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Examples to learn from, and others to evaluate on.

    labelled: pictures of one thing each, to evaluate on.
    captions: for a vocabulary; can be read once.
    name:     differs where the examples do.
    least:    share of a picture that must remain when it is cut.
    """

    examples: Examples
    held_out: Examples | None
    captions: Iterable[str]
    name: str
    labelled: LabelledPictures | None = None
    least: float = 1.0


@dataclass(frozen=True, slots=True)
class Scenes:
    """`count` scenes as examples, drawn from some worlds in turn."""

    worlds: tuple[World, ...]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Example:
        """Draw a scene."""
        scene = self.worlds[index % len(self.worlds)].scene(index)
        return Example(scene.picture, scene.captions)


def world_data(name: str, *, size: int, seed: int, held_out: int | None) -> TrainingData:
    """Scenes of a world, drawn when they are needed, `size` pixels a side.

    Raises:
        WrongInput: there is no such world.
    """
    if name not in WORLDS:
        raise WrongInput(f"unknown world {name!r}; choose {', '.join(WORLDS)}")
    nouns = choose_nouns("seen")
    count = HELD_OUT_SCENES if held_out is None else held_out
    others = Scenes((World(nouns, size=size, seed=seed, split="held-out"),), count)
    told = World(nouns, size=size, seed=seed, captions=CAPTIONS_A_SCENE)
    captions = (text for number in range(CAPTIONED_SCENES) for text in told.captions_of(number))
    # Grounds are few and easily told apart: named always, they keep a model from learning more.
    single = World(nouns, size=size, seed=seed, objects=1, ground_share=0)
    examples = Scenes((single, World(nouns, size=size, seed=seed)), SCENES)
    if not count:
        return TrainingData(examples, None, captions, name)
    alone = World(nouns, size=size, seed=seed, split="held-out", objects=1)
    return TrainingData(examples, others, captions, name, labelled_scenes(alone, count))


def labelled_scenes(world: World, count: int) -> LabelledPictures:
    """Scenes of a world of single objects, each with its noun."""
    grounds = len(world.classes) - len(world.nouns)
    scenes = list(world.scenes(count))
    return LabelledPictures(
        pictures=np.stack([scene.picture for scene in scenes]),
        targets=np.array([int(scene.labels.max()) - grounds for scene in scenes]),
        names=tuple(noun.name for noun in world.nouns),
    )


def source_data(
    source: str, *, images: str | None, held_out: int | None, out: Path, processes: Processes
) -> TrainingData:
    """Captioned pictures; those held out are chosen by their names, always the same.

    Args:
        source:    as `captionary index` takes it.
        images:    folder that relative picture names refer to.
        held_out:  how many to hold out; None: a tenth, at most 500.
        out:       folder of the run, where lists of shards are kept.
        processes: those of the run, which share the listing.

    Raises:
        WrongInput: SOURCE cannot be used, has no captions, or no picture remains to learn from;
            or the folder cannot be written to.
        UnreadablePicture: none of its pictures can be read.
    """
    if shards := local_shards(source):
        read_pairs(source, images=images)  # says at once what is wrong
        make_run_folder(out)
        pairs, digests = pairs_in(shards, folder=out / LISTS, processes=processes)
        count = _count_apart(source, len(pairs), held_out)
        numbers = np.sort(np.argsort(digests, kind="stable")[:count])
        name = hashlib.sha256(digests.tobytes() + numbers.tobytes()).hexdigest()
        return _data(pairs.without(numbers), pairs.only(numbers), name)
    found = _pairs(source, images=images)
    said = {pair.image: digest_of(file_name(pair.image), *pair.captions) for pair in found}
    count = _count_apart(source, len(said), held_out)
    apart = set(sorted(said, key=lambda image: said[image])[:count])
    learned = by_picture(pair for pair in found if pair.image not in apart)
    others = by_picture(pair for pair in found if pair.image in apart) if apart else []
    return _data(learned, others, digest_of(*_texts(found, apart)))


def _count_apart(source: str, pictures: int, held_out: int | None) -> int:
    """How many of the pictures are held out."""
    count = min(500, pictures // 10) if held_out is None else held_out
    if count >= pictures:
        raise WrongInput(
            f"{source} has {pictures} pictures with captions, of which {count} are to be "
            "held out; give more pictures or a smaller --held-out"
        )
    return count


def _data(learned: Captioned, apart: Captioned, digest: str) -> TrainingData:
    examples = CaptionedPictures(learned)
    examples[0]  # if none can be read, say so now and not in a worker
    others = CaptionedPictures(apart) if len(apart) else None
    if others is not None:
        others[0]
    captions = islice(examples.captions, CAPTIONS_READ)
    return TrainingData(
        examples, others, captions, f"{len(examples)} {digest[:8]}", least=LEAST_CUT
    )


def _pairs(source: str, *, images: str | None) -> list[ImageCaption]:
    """The pairs that can be used; that there are others is told of in the log."""
    items = list(read_pairs(source, images=images))
    refused = [item for item in items if isinstance(item, PairFailure)]
    if refused:
        first = refused[0]
        LOG.warning("%d pairs left out, first: %s: %s", len(refused), first.where, first.reason)
    return [item for item in items if isinstance(item, ImageCaption)]


def _texts(pairs: Sequence[ImageCaption], apart: set[str]) -> Iterator[str]:
    """What the examples are, without where they are."""
    for pair in pairs:
        yield from ("apart" if pair.image in apart else "learned", *pair.captions)
