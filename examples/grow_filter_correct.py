"""Grow a dictionary from two collections, filter by collection, see why, and correct it.

    python examples/grow_filter_correct.py [--out corrected]

Needs no data and no network: the two collections are drawn scenes. One of them has wrong captions.
"""

import argparse
from pathlib import Path

import captionary
from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.nouns import read_nouns
from captionary.pictograms.world import World

CLASSES = ["dog", "apple", "background: " + " | ".join(ground.name for ground in GROUNDS)]


def main() -> None:
    """Index two collections, look for what the worse one taught, and remove it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("corrected"))
    options = parser.parse_args()
    nouns = tuple(noun for noun in read_nouns() if noun.name in ("dog", "apple"))
    scenes = list(World(nouns, objects=1, captions=1).scenes(16))
    picture = World(nouns, objects=1, split="held-out").scene(1).picture
    # The captions of the second half call every dog an apple, and every apple a dog.
    swapped = {"dog": "an apple", "apple": "a dog"}

    with captionary.Dictionary(options.out / "dictionary", encoder="mini") as dictionary:
        good = [(scene.picture, scene.captions) for scene in scenes[:8]]
        wrong = [
            (scene.picture, next(swapped[n] for n in swapped if n in " ".join(scene.captions)))
            for scene in scenes[8:]
            if any(noun in " ".join(scene.captions) for noun in swapped)
        ]
        dictionary.index(good, source_name="checked")
        dictionary.index(wrong, source_name="unchecked")
        print("nouns:", ", ".join(f"{n.noun} ({n.pictures})" for n in dictionary.nouns()))

        _, regions = dictionary.retrieve(picture, limit=3, source="unchecked")
        print("most similar regions of 'unchecked':")
        for near in regions:
            print(f"  {near.similarity:.2f} {', '.join(near.nouns) or '-'}")

        result = dictionary.segment(picture, CLASSES, evidence=1)
        result.overlay().save(options.out / "before.jpg")
        largest = max(result.regions, key=lambda region: region.area)
        for evidence in largest.evidence:
            print(f"the largest region looks like {evidence.noun!r}:")
            for exemplar in evidence.exemplars[:2]:
                print(f"  {exemplar.caption!r} from {exemplar.source!r}")

        pictures, refreshed = dictionary.remove(source="unchecked")
        print(f"{pictures} pictures removed, {refreshed} nouns refreshed")
        result = dictionary.segment(picture, CLASSES)
        result.overlay().save(options.out / "after.jpg")
        result.save(options.out, formats=("png", "json", "coco"))
        print(f"overlays and masks in {options.out}")


if __name__ == "__main__":
    main()
