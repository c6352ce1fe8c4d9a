"""Writes pictogram scenes into a folder: pictures with captions and true masks."""

from collections.abc import Sequence
from pathlib import Path

from captionary.pictograms.dataset_folder import write_world
from captionary.pictograms.nouns import read_nouns
from captionary.pictograms.world import Split, World

SIDE = 96
"""Width and height of a scene."""

NOUNS = ("dog", "apple", "umbrella", "bus", "man", "woman", "teddy bear")


def draw(
    folder: Path, scenes: int, *, nouns: Sequence[str] = NOUNS, split: Split = "train"
) -> Path:
    """Write some scenes of a few nouns, with three captions each, and return the folder."""
    shown = tuple(noun for noun in read_nouns() if noun.name in nouns)
    world = World(shown, SIDE, split=split, captions=3)
    for _ in write_world(world, folder, scenes=scenes, nouns="all"):
        pass
    return folder
