"""What `captionary train` learns from: a SOURCE of captioned pictures, or a world of drawn ones."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.readers import read_pairs
from learning.examples import CaptionedPictures, Example, Examples
from learning.recognition import LabelledPictures
from pictograms.nouns import choose_nouns
from pictograms.world import World
from schemas.errors import WrongInput
from schemas.pairs import ImageCaption, PairFailure
from vision.pictures import file_name

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


def source_data(source: str, *, images: str | None, held_out: int | None) -> TrainingData:
    """Captioned pictures; those held out are chosen by their names, always the same.

    Raises:
        WrongInput: SOURCE cannot be used, has no captions, or no picture remains to learn from.
        UnreadablePicture: none of its pictures can be read.
    """
    found = _pairs(source, images=images)
    said = {pair.image: (file_name(pair.image), *pair.captions) for pair in found}
    by_image = sorted(said, key=lambda image: _digest(*said[image]))
    count = min(500, len(by_image) // 10) if held_out is None else held_out
    if count >= len(by_image):
        raise WrongInput(
            f"{source} has {len(by_image)} pictures with captions, of which {count} are to be "
            "held out; give more pictures or a smaller --held-out"
        )
    apart = set(by_image[:count])
    examples = CaptionedPictures([pair for pair in found if pair.image not in apart])
    examples[0]  # if none can be read, say so now and not in a worker
    others = CaptionedPictures([pair for pair in found if pair.image in apart]) if apart else None
    if others is not None:
        others[0]
    captions = examples.captions[:CAPTIONS_READ]
    name = f"{len(examples)} {_digest(*_texts(found, apart))[:8]}"
    return TrainingData(examples, others, captions, name, least=LEAST_CUT)


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


def _digest(*texts: str) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
