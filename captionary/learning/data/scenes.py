"""Training data from a world of drawn scenes, which is handed to learning."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from captionary.learning.data.examples import Example
from captionary.learning.data.sources import TrainingData
from captionary.learning.zero_shot import LabelledPictures
from captionary.schemas.arrays import LabelMap, Rgb
from captionary.schemas.errors import WrongInput

SCENES = 1 << 40
"""More than can ever be drawn: no scene comes twice."""
HELD_OUT_SCENES = 500
CAPTIONED_SCENES, CAPTIONS_PER_SCENE = 2000, 8
"""Scenes whose captions a vocabulary is learned from, and captions of each."""


class Scene(Protocol):
    """A drawn picture, (H, W, 3) uint8, its classes, (H, W), and its captions."""

    @property
    def picture(self) -> Rgb: ...  # noqa: D102
    @property
    def labels(self) -> LabelMap: ...  # noqa: D102
    @property
    def captions(self) -> tuple[str, ...]: ...  # noqa: D102


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str: ...  # noqa: D102


class World(Protocol):
    """Scenes by number; its classes are the grounds, then the nouns."""

    @property
    def nouns(self) -> Sequence[Named]: ...  # noqa: D102
    @property
    def classes(self) -> Sequence[Named]: ...  # noqa: D102

    def scene(self, number: int, /) -> Scene:
        """Draw a scene."""
        ...

    def captions_of(self, number: int, /) -> tuple[str, ...]:
        """The captions of a scene, without drawing it."""
        ...


class WorldFactory(Protocol):
    """Makes worlds of the nouns that may be learned, as `captionary.pictograms.world.World`."""

    def __call__(
        self,
        *,
        size: int,
        seed: int,
        split: str = ...,
        captions: int = ...,
        objects: int | None = ...,
        ground_share: float = ...,
    ) -> World:
        """A world of scenes of `size` pixels a side."""
        ...


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


def world_data(
    name: str,
    worlds: Mapping[str, WorldFactory],
    *,
    size: int,
    seed: int,
    held_out: int | None,
) -> TrainingData:
    """Scenes of one of the worlds, drawn when they are needed, `size` pixels a side.

    Args:
        held_out: how many scenes to evaluate on; None: 500.

    Raises:
        WrongInput: there is no such world.
    """
    if name not in worlds:
        raise WrongInput(f"unknown world {name!r}; choose {', '.join(worlds)}")
    world = worlds[name]
    # Grounds are few and easily told apart: named always, they keep a model from learning more.
    single = world(size=size, seed=seed, objects=1, ground_share=0)
    examples = Scenes((single, world(size=size, seed=seed)), SCENES)
    captions = _vocabulary_captions(world(size=size, seed=seed, captions=CAPTIONS_PER_SCENE))
    count = HELD_OUT_SCENES if held_out is None else held_out
    if not count:
        return TrainingData(examples, None, captions, name)
    # Of another split: no scene to evaluate on is ever one to learn from.
    others = Scenes((world(size=size, seed=seed, split="held-out"),), count)
    alone = world(size=size, seed=seed, split="held-out", objects=1)
    return TrainingData(examples, others, captions, name, label_scenes(alone, count))


def _vocabulary_captions(world: World) -> Iterator[str]:
    return (text for number in range(CAPTIONED_SCENES) for text in world.captions_of(number))


def label_scenes(world: World, count: int) -> LabelledPictures:
    """Draw scenes of a world of single objects, each labelled with its noun."""
    grounds = len(world.classes) - len(world.nouns)
    scenes = [world.scene(number) for number in range(count)]
    return LabelledPictures(
        pictures=np.stack([scene.picture for scene in scenes]),
        # Grounds come first among the classes, so the largest label is that of the object.
        targets=np.array([int(scene.labels.max()) - grounds for scene in scenes]),
        names=tuple(noun.name for noun in world.nouns),
    )
