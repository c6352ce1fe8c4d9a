"""Writes the scenes of a world as a dataset folder, which `index` and `evaluate` can read.

    world.json       which world it is, and how many scenes were asked for; written first
    classes.txt      a class a line, synonyms separated by `|`
    images/, masks/  a PNG for each scene; a mask's values are line numbers of classes.txt, from 0
    captions.jsonl   a line for each scene; written last

Each file appears whole or not at all, and a scene is a function of its number. So a run that was
cut short is simply run again, and a folder can be made larger.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from captionary.files.atomic import write_atomically
from captionary.files.free_space import disk_full
from captionary.pictograms.nouns import Kind
from captionary.pictograms.world import World
from captionary.schemas.classes import format_classes
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.labels import pack_labels

META = "world.json"
SPRITES = "Noto Color Emoji 2.042, Copyright 2022 Google Inc., SIL Open Font License 1.1"


def write_world(world: World, folder: Path, *, scenes: int, nouns: Kind) -> Iterator[int]:
    """Write the first scenes of a world, skipping those that are there already.

    Args:
        world:  what to draw.
        folder: made if need be.
        scenes: how many.
        nouns:  which nouns the world has, to be written into world.json.

    Yields:
        The number of scenes written so far.

    Raises:
        WrongInput: the folder cannot be written, or holds something else, another world, or more
            scenes.
    """
    settings = {
        "world": "pictograms",
        "nouns": nouns,
        "classes": len(world.classes),
        "split": world.split,
        "seed": world.seed,
        "size": world.size,
        "objects": world.objects,
        "captions": world.captions,
        "ground_share": world.ground_share,
    }
    with _write_errors_as_wrong_input(folder):
        _claim_folder(folder, settings, scenes)
        _write_text(folder / "classes.txt", format_classes(world.classes))
        for name in ("images", "masks"):
            (folder / name).mkdir(exist_ok=True)
        for number in range(scenes):
            _write_scene(world, number, folder)
            yield number + 1
        lines = (_caption_line(world, number) for number in range(scenes))
        write_atomically(folder / "captions.jsonl", lambda file: file.writelines(lines))


def _caption_line(world: World, number: int) -> bytes:
    row = {"image": f"images/{number:05d}.png", "captions": world.captions_of(number)}
    return json.dumps(row).encode() + b"\n"


def _claim_folder(folder: Path, settings: Mapping[str, object], scenes: int) -> None:
    """Write world.json into the folder, and remove what a killed run left half written.

    Raises:
        WrongInput: the folder holds something else, another world, or more scenes.
    """
    meta = folder / META
    folder.mkdir(parents=True, exist_ok=True)
    if meta.exists():
        _check_same_world(meta, settings, scenes)
    elif any(not path.name.startswith(".") for path in folder.iterdir()):
        raise WrongInput(f"{folder} holds something else (it has no {META}); give another folder")
    for place in (folder, folder / "images", folder / "masks"):
        for draft in place.glob(".*.part"):
            draft.unlink()
    facts = {**settings, "scenes": scenes, "sprites": SPRITES}
    _write_text(meta, json.dumps(facts, indent=1) + "\n")


def _check_same_world(meta: Path, settings: Mapping[str, object], scenes: int) -> None:
    """Raise WrongInput unless a folder holds this world, with no more scenes than are wanted."""
    try:
        existing = json.loads(meta.read_text(encoding="utf-8"))
        scenes_there = int(existing["scenes"])
    except (ValueError, KeyError, TypeError) as error:
        raise WrongInput(f"{meta} describes no world; give another folder") from error
    for name, value in settings.items():
        if existing.get(name) != value:
            raise WrongInput(
                f"{meta.parent} holds a world with {name} {existing.get(name)}, not {value}; "
                "give that, or another folder"
            )
    if scenes_there > scenes:
        raise WrongInput(
            f"{meta.parent} is to hold {scenes_there} scenes, more than {scenes}; "
            "give as many or more, or another folder"
        )


def _write_scene(world: World, number: int, folder: Path) -> None:
    image, mask = (folder / name / f"{number:05d}.png" for name in ("images", "masks"))
    if image.exists() and mask.exists():
        return
    scene = world.scene(number)
    values = pack_labels(scene.labels, count=len(world.classes))
    for path, pixels in ((image, scene.picture), (mask, values)):
        save = partial(Image.fromarray(pixels).save, format="PNG")
        # Not durable: a scene that a power cut takes is simply drawn again.
        write_atomically(path, save, durable=False)


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, text.encode())


@contextmanager
def _write_errors_as_wrong_input(folder: Path) -> Iterator[None]:
    """Raise an OSError as WrongInput, in one line."""
    try:
        yield
    except OSError as error:
        wrong = WrongInput(f"cannot write into {folder}: {one_line(error)}; give another folder")
        raise disk_full(error, folder) or wrong from error
