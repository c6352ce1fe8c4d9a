"""Teach a dictionary a word by pointing: boxes in a few pictures; then take one back.

    python examples/teach_by_pointing.py [--boxes 6] [--out pointed]

Needs no data and no network: scenes are drawn, and `mini`, the small CLIP that comes with the
program, was trained without tractors. No caption of the dictionary names one either.
"""

import argparse
from itertools import count, islice
from pathlib import Path

import numpy as np

import captionary
from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import read_nouns
from captionary.pictograms.world import Scene, World

WORD = "tractor"
OTHERS = ("dog", "bus", "apple", "umbrella", "horse")
CLASSES = [WORD, *OTHERS, "background: " + " | ".join(ground.name for ground in GROUNDS)]


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The box around the pixels of a mask: x, y, width, height."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = float(columns[0]), float(rows[0])
    return left, top, float(columns[-1]) + 1 - left, float(rows[-1]) + 1 - top


def tractor_iou(results: list[captionary.Result], scenes: list[Scene], label: int) -> float:
    """Intersection over union of the tractor's pixels in all scenes, in [0, 1]."""
    found = np.stack([result.mask(WORD) for result in results])
    truth = np.stack([scene.labels == label for scene in scenes])
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def main() -> None:
    """Segment scenes, point at tractors in others, and segment them again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--boxes", type=int, default=6, help="pictures in which to point")
    parser.add_argument("--out", type=Path, default=Path("pointed"))
    options = parser.parse_args()
    nouns = tuple(noun for noun in read_nouns() if noun.name in (WORD, *OTHERS))
    others = World(tuple(noun for noun in nouns if noun.name != WORD), objects=2)
    lesson, tests = World(nouns, objects=2), World(nouns, objects=2, split="held-out")
    label = [item.name for item in lesson.classes].index(WORD)
    with_one = (scene for scene in map(lesson.scene, count()) if (scene.labels == label).any())
    scenes = [tests.scene(number) for number in range(8)]
    pictures = [scene.picture for scene in scenes]

    with captionary.Dictionary(options.out / "dictionary", encoder="mini") as dictionary:
        dictionary.index([(scene.picture, scene.captions) for scene in others.scenes(16)])
        before = list(dictionary.segment(pictures, CLASSES))
        for scene in islice(with_one, options.boxes):
            done = dictionary.teach(WORD, scene.picture, box=box_of(scene.labels == label))
        after = list(dictionary.segment(pictures, CLASSES))
        print(f"{len(dictionary.history())} boxes drawn")
        for name, results in (("before", before), ("after", after)):
            results[0].overlay().save(options.out / f"{name}.jpg")
            print(f"{name}: IoU of the {WORD} {tractor_iou(results, scenes, label):.0%}")

        # What was said can be taken back, by its number or as the last.
        dictionary.undo(done.number)
        print(f"one taken back; {len(dictionary.history())} boxes are left")


if __name__ == "__main__":
    main()
