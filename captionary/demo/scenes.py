"""The scenes of the demo: which nouns they show, how they are drawn, and their files."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import numpy as np
from PIL import Image

from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import Noun, choose_nouns
from captionary.pictograms.world import Scene, Split, World
from captionary.schemas.classes import ClassName, format_classes
from captionary.schemas.labels import pack_labels

SIDE = 160
"""Pixels of a scene's side."""
CAPTIONS = 3
"""Of each scene."""
COMPANIONS = 7
"""Other nouns that the newcomer's scenes show."""
LEAST_AREA = 0.06
"""Least share of its scene that the newcomer has."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything the demo has; the fields are keys of results.json, too.

    seen, novel: nouns that the encoder was trained on, and nouns that it never saw.
    captioned:   scenes that make the dictionary.
    held_out:    other scenes, to measure on.
    taught:      captioned scenes that teach the newcomer.
    asked:       scenes with the newcomer that are segmented before and after.
    """

    seen: int = 40
    novel: int = 16
    captioned: int = 240
    held_out: int = 40
    taught: int = 16
    asked: int = 8


@dataclass(frozen=True, slots=True)
class Cast:
    """The nouns of a demo.

    seen, novel: nouns that the encoder was trained on, and nouns that it never saw.
    newcomer:    a novel noun that the dictionary lacks at first.
    companions:  other nouns in the newcomer's scenes.
    """

    seen: tuple[Noun, ...]
    novel: tuple[Noun, ...]
    newcomer: Noun
    companions: tuple[Noun, ...]

    @property
    def classes(self) -> tuple[ClassName, ...]:
        """The grounds, then the seen nouns, the novel ones, and the newcomer."""
        return World((*self.seen, *self.novel, self.newcomer)).classes

    @property
    def novel_ids(self) -> range:
        """Indices of the novel nouns into `classes`, without the newcomer."""
        first = len(GROUNDS) + len(self.seen)
        return range(first, first + len(self.novel))


def choose_cast(seed: int, sizes: Sizes) -> Cast:
    """Choose the nouns at random; another seed, others."""
    random = np.random.default_rng([seed, 1])
    seen, novel = (_shuffle(random, choose_nouns(kind)) for kind in ("seen", "novel"))
    newcomer, *others = novel[: sizes.novel + 1]
    shown = (*seen[: sizes.seen], *others)
    return Cast(
        seen=seen[: sizes.seen],
        novel=tuple(others),
        newcomer=newcomer,
        companions=_shuffle(random, shown)[:COMPANIONS],
    )


def _shuffle(random: np.random.Generator, nouns: Sequence[Noun]) -> tuple[Noun, ...]:
    return tuple(nouns[index] for index in random.permutation(len(nouns)))


def draw_scenes(cast: Cast, *, split: Split, seed: int, scenes: int) -> list[Scene]:
    """Draw scenes of all nouns but the newcomer; labels are indices into the cast's classes."""
    world = World((*cast.seen, *cast.novel), SIDE, seed, split, CAPTIONS)
    return list(world.scenes(scenes))


def draw_newcomer(cast: Cast, *, split: Split, seed: int, scenes: int) -> list[Scene]:
    """Draw the first scenes that show the newcomer large enough, among a few other nouns."""
    # A seed of its own, so that the scenes do not repeat the layouts of the others.
    own_seed = int(np.random.SeedSequence((seed, cast.newcomer.first_sprite)).generate_state(1)[0])
    world = World((cast.newcomer, *cast.companions), SIDE, own_seed, split, CAPTIONS)
    index_of = {item.name: index for index, item in enumerate(cast.classes)}
    label_of = np.array([index_of[item.name] for item in world.classes], np.int32)
    drawn = map(world.scene, count())
    # The newcomer is the first noun of this world: its label follows those of the grounds.
    large = (scene for scene in drawn if (scene.labels == len(GROUNDS)).mean() >= LEAST_AREA)
    return [replace(scene, labels=label_of[scene.labels]) for scene in islice(large, scenes)]


def write_captioned(scenes: Sequence[Scene], folder: Path) -> Path:
    """Write scenes as a SOURCE of captioned pictures, and return its file.

    A picture's id is its path from the folder's parent.
    """
    lines = []
    for path, scene in zip(_write_pictures(scenes, folder), scenes, strict=True):
        names = {"id": f"{folder.name}/images/{path.name}", "image": f"images/{path.name}"}
        lines.append(json.dumps({**names, "captions": scene.captions}) + "\n")
    source = folder / "captions.jsonl"
    source.write_text("".join(lines), encoding="utf-8")
    return source


def write_dataset(
    scenes: Sequence[Scene], folder: Path, classes: Sequence[ClassName]
) -> list[Path]:
    """Write scenes as a DATASET with true masks, and return the files of its pictures."""
    (folder / "masks").mkdir(parents=True)
    (folder / "classes.txt").write_text(format_classes(classes), encoding="utf-8")
    paths = _write_pictures(scenes, folder)
    for path, scene in zip(paths, scenes, strict=True):
        mask = Image.fromarray(pack_labels(scene.labels, count=len(classes)))
        mask.save(folder / "masks" / path.name)
    return paths


def _write_pictures(scenes: Sequence[Scene], folder: Path) -> list[Path]:
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    paths = [images / f"{number:03d}.png" for number in range(1, len(scenes) + 1)]
    for path, scene in zip(paths, scenes, strict=True):
        Image.fromarray(scene.picture).save(path)
    return paths
