"""Teach a word that the encoder never saw, from captions alone, and see it found afterwards.

    python examples/teach_a_word.py [--captions 24] [--out taught]

Needs no data and no network: scenes are drawn, and `mini`, the small CLIP that comes with the
program, was trained without tractors. With photographs, give Dictionary a CLIP of photographs and
index your own captions file.
"""

import argparse
from pathlib import Path

import numpy as np

import captionary
from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import read_nouns
from captionary.pictograms.world import Scene, Split, World

WORD = "tractor"
OTHERS = ("dog", "bus", "apple", "umbrella", "horse")
CLASSES = [WORD, *OTHERS, "background: " + " | ".join(ground.name for ground in GROUNDS)]
HELD_OUT = 8


def draw(count: int, split: Split) -> tuple[list[Scene], int]:
    """Draw captioned scenes; returns them and the tractor's number in their true masks."""
    nouns = tuple(noun for noun in read_nouns() if noun.name in (WORD, *OTHERS))
    world = World(nouns, split=split, objects=2, captions=2)
    names = [item.name for item in world.classes]
    return list(world.scenes(count)), names.index(WORD)


def tractor_iou(results: list[captionary.Result], scenes: list[Scene], label: int) -> float:
    """Intersection over union of the tractor's pixels in all scenes, in [0, 1]."""
    found = np.stack([result.mask(WORD) for result in results])
    truth = np.stack([scene.labels == label for scene in scenes])
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def main() -> None:
    """Segment scenes, teach the word from others, and segment them again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--captions", type=int, default=24, help="captioned scenes to learn from")
    parser.add_argument("--out", type=Path, default=Path("taught"))
    options = parser.parse_args()
    scenes, label = draw(HELD_OUT, "held-out")
    pictures = [scene.picture for scene in scenes]

    with captionary.Dictionary(options.out / "dictionary", encoder="mini") as dictionary:
        before = list(dictionary.segment(pictures, CLASSES, fusion="text"))
        lesson, _ = draw(options.captions, "train")
        job = dictionary.index(
            [(scene.picture, scene.captions) for scene in lesson], source_name="lesson"
        )
        after = list(dictionary.segment(pictures, CLASSES))

    print(f"{job.added} captioned scenes, {job.nouns} nouns learned")
    shown = int(np.argmax([(scene.labels == label).sum() for scene in scenes]))
    for name, results in (("before", before), ("after", after)):
        path = options.out / f"{name}.jpg"
        results[shown].overlay().save(path)
        iou = tractor_iou(results, scenes, label)
        print(f"{name}: IoU of the tractor {iou:.0%} in {HELD_OUT} scenes; one of them: {path}")


if __name__ == "__main__":
    main()
