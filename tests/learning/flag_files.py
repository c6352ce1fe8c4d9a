"""Flags as files: a SOURCE to learn from, and a dataset to evaluate on."""

from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.running import write_lines
from tests.learning.flag_pictures import COLOURS, Flags


def write_flags(folder: Path, count: int) -> Path:
    """Write flags with their captions; returns the SOURCE."""
    rows = []
    for index in range(count):
        example = Flags(side=40)[index]
        Image.fromarray(example.picture).save(folder / f"{index}.png")
        rows.append({"image": f"{index}.png", "captions": list(example.captions)})
    return write_lines(folder / "captions.jsonl", rows)


def write_flag_dataset(folder: Path) -> Path:
    """Write three flags with masks, whose classes are the colours."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index, word in enumerate(("one", "two", "three")):
        picture = Flags(side=40)[index].picture
        mask = [list(COLOURS.values()).index(tuple(row[0].tolist())) for row in picture]
        Image.fromarray(picture).save(folder / "images" / f"{word}.png")
        labels = np.repeat(np.array(mask, dtype=np.uint8)[:, None], 40, axis=1)
        Image.fromarray(labels).save(folder / "masks" / f"{word}.png")
    (folder / "classes.txt").write_text("\n".join(COLOURS))
    return folder
