"""The pictogram world: any number of scenes, each a function of its seed, split and number."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np

from captionary.pictograms.captions import GROUND_SHARE, draw_captions
from captionary.pictograms.drawing import draw_scene
from captionary.pictograms.grounds import GROUNDS, draw_tile
from captionary.pictograms.layouts import Layout, draw_layout
from captionary.pictograms.nouns import Noun
from captionary.pictograms.sprites import read_sprites
from captionary.schemas.arrays import LabelMap, Rgb
from captionary.schemas.classes import ClassName

Split: TypeAlias = Literal["train", "held-out"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn picture with its true masks and captions.

    picture:  (H, W, 3) uint8.
    labels:   (H, W) int32, indices into the world's classes.
    captions: sentences that describe it.
    """

    picture: Rgb
    labels: LabelMap
    captions: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """An endless set of scenes of some nouns.

    The same arguments give the same scenes, in any order and process.

    nouns:    what may stand in them, each equally likely.
    size:     of a scene's side, in pixels.
    seed:     another seed, other scenes.
    split:    scenes of one split are never scenes of the other.
    captions: of each scene.
    objects:  in each scene; None: one to six.
    ground_share: how often a caption names the ground, in [0, 1].
    """

    nouns: tuple[Noun, ...]
    size: int = 128
    seed: int = 0
    split: Split = "train"
    captions: int = 1
    objects: int | None = None
    ground_share: float = GROUND_SHARE
    _class_of: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        numbered = {item.name: number for number, item in enumerate(self.classes)}
        # The only way to set an attribute of a frozen dataclass.
        object.__setattr__(self, "_class_of", numbered)

    @property
    def classes(self) -> tuple[ClassName, ...]:
        """The grounds, then the nouns."""
        return (
            *(ground.class_name for ground in GROUNDS),
            *(noun.class_name for noun in self.nouns),
        )

    def scene(self, number: int) -> Scene:
        """Draw a scene; any number from 0 up."""
        layout, captions = self._draw_layout_and_captions(number)
        tile = draw_tile(layout.ground, layout.tile, self.size)
        picture, owner = draw_scene(layout, size=self.size, sprites=read_sprites(), tile=tile)
        names = [*(pose.noun.name for pose in layout.poses), layout.ground.name]
        class_of_owner = np.array([self._class_of[name] for name in names], np.int32)
        return Scene(picture, class_of_owner[owner], captions)

    def captions_of(self, number: int) -> tuple[str, ...]:
        """The captions of a scene, without drawing it: many times faster."""
        return self._draw_layout_and_captions(number)[1]

    def scenes(self, count: int, *, start: int = 0) -> Iterator[Scene]:
        """Draw scenes one after the other."""
        return (self.scene(number) for number in range(start, start + count))

    def _draw_layout_and_captions(self, number: int) -> tuple[Layout, tuple[str, ...]]:
        random = np.random.default_rng([self.seed, get_args(Split).index(self.split), number])
        layout = draw_layout(random, self.nouns, objects=self.objects)
        return layout, draw_captions(random, layout, self.captions, ground_share=self.ground_share)
