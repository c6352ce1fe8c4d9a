"""The scenes of the demo: which nouns play, which scenes show them, and their files."""

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
from captionary.schemas.classes import ClassName
from captionary.schemas.labels import pack_labels

SIDE = 160
"""Pixels of a scene's side."""
CAPTIONS = 3
"""Of each scene."""
COMPANY = 7
"""Nouns that the newcomer's scenes show besides."""
BIG = 0.06
"""Share of its scene from which on an object can be shown as an example."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything the demo has.

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
    """The nouns of a demo. newcomer: the one that the dictionary lacks at first; it is novel."""

    seen: tuple[Noun, ...]
    novel: tuple[Noun, ...]
    newcomer: Noun
    company: tuple[Noun, ...]

    @property
    def classes(self) -> tuple[ClassName, ...]:
        """The grounds, then what was seen, then what is novel, then the newcomer."""
        return World((*self.seen, *self.novel, self.newcomer)).classes

    @property
    def novel_ids(self) -> range:
        """Indices of the novel nouns into `classes`, without the newcomer."""
        first = len(GROUNDS) + len(self.seen)
        return range(first, first + len(self.novel))


def choose_cast(seed: int, sizes: Sizes) -> Cast:
    """Draw the nouns; another seed, others."""
    random = np.random.default_rng([seed, 1])
    seen, novel = (_shuffled(random, choose_nouns(kind)) for kind in ("seen", "novel"))
    newcomer, *others = novel[: sizes.novel + 1]
    playing = (*seen[: sizes.seen], *others)
    return Cast(
        seen=seen[: sizes.seen],
        novel=tuple(others),
        newcomer=newcomer,
        company=_shuffled(random, playing)[:COMPANY],
    )


def _shuffled(random: np.random.Generator, nouns: Sequence[Noun]) -> tuple[Noun, ...]:
    return tuple(nouns[index] for index in random.permutation(len(nouns)))


def draw_scenes(cast: Cast, *, split: Split, seed: int, scenes: int) -> list[Scene]:
    """Scenes of all nouns but the newcomer; labels are indices into the cast's classes."""
    world = World((*cast.seen, *cast.novel), SIDE, seed, split, CAPTIONS)
    return list(world.scenes(scenes))


def draw_newcomer(cast: Cast, *, split: Split, seed: int, scenes: int) -> list[Scene]:
    """The first scenes that show the newcomer well, among a few other nouns."""
    own = int(np.random.SeedSequence((seed, cast.newcomer.first)).generate_state(1)[0])
    world = World((cast.newcomer, *cast.company), SIDE, own, split, CAPTIONS)
    place = {item.name: index for index, item in enumerate(cast.classes)}
    label_of = np.array([place[item.name] for item in world.classes], np.int32)
    drawn = map(world.scene, count())
    found = (scene for scene in drawn if (scene.labels == len(GROUNDS)).mean() >= BIG)
    return [replace(scene, labels=label_of[scene.labels]) for scene in islice(found, scenes)]


def write_captioned(scenes: Sequence[Scene], folder: Path) -> Path:
    """Write scenes as a SOURCE of captioned pictures, and answer its file.

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
    """Write scenes as a DATASET with true masks, and answer the files of its pictures."""
    (folder / "masks").mkdir(parents=True)
    names = "".join(f"{'|'.join(item.prompts)}\n" for item in classes)
    (folder / "classes.txt").write_text(names, encoding="utf-8")
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
