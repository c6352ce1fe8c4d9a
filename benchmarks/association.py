"""How pure the association of nouns with regions is, on pictures whose true masks are known.

    python -m benchmarks.association DATASET --store S

DATASET has images/, masks/ and classes.txt; its pictures are in the dictionary S, with captions. Of
the regions that nouns take in these pictures, where the noun names a class that is there, the share
is printed whose pixels are mostly of that class: by text alone, by consistency alone, and blended
as refreshing does it. Run it on a store with a look model and on one without.
"""

import argparse
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import numpy as np

from captionary.build import ModelNames, Parts
from captionary.indexer.association import TEXT_SHARE
from captionary.indexer.candidate_regions import CandidateReader
from captionary.indexer.refresh import MOST_PICTURES
from captionary.indexer.region_choice import REFERENCE_PICTURES, RegionChooser
from captionary.schemas.arrays import LabelMap
from captionary.schemas.nouns import NounIndex
from captionary.schemas.regions import Region
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture
from captionary.vision.pictures.resizing import resize_labels

SHARES = {"text": 1.0, "blended": TEXT_SHARE, "consistency": 0.0}


def true_share(region: Region, truth: LabelMap, class_id: int) -> float:
    """Share of a region's pixels that are of a class, among those that are of any."""
    labels = resize_labels(truth, (region.mask.shape[0], region.mask.shape[1]))[region.mask]
    known = labels[labels >= 0]
    return float((known == class_id).mean()) if len(known) else 0.0


def main() -> None:
    """Print the purity of each way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--store", required=True)
    options = parser.parse_args()
    data = DatasetFolder(options.dataset)
    with closing(Parts(options.store, ModelNames())) as parts:
        stored, extractor, text = parts.stored, parts.extractor, parts.encoder
        masked = {pair.image.name: pair for pair in data}
        regions: dict[str, tuple[tuple[Region, ...], LabelMap]] = {}
        for picture in stored.pictures():
            if (pair := masked.get(Path(picture.image).name)) is not None:
                loaded = load_picture(pair.image)
                truth = read_mask(pair.mask, size_hw=loaded.size_hw, classes=len(data.classes))
                regions[picture.id] = (extractor.extract(loaded).regions, truth)
        reader = CandidateReader(stored, stored.sample())
        found: Mapping[str, list[bool]] = defaultdict(list)
        index = NounIndex(entry.noun for entry in stored.entries())
        for class_id, item in enumerate(data.classes):
            for noun in sorted({noun for name in item.prompts for noun in index.find(name)}):
                pictures = stored.first_pictures(noun, limit=MOST_PICTURES)
                first = pictures[:REFERENCE_PICTURES]
                names = sorted({other for picture in pictures for other in picture.all_nouns})
                words = dict(zip(names, text.encode_texts(names, templates="7"), strict=True))
                for way, share in SHARES.items():
                    chooser = RegionChooser(
                        noun, words, (first, reader.read(first)), reader, text_share=share
                    )
                    for picture in pictures:
                        true = regions.get(picture.id)
                        tag = chooser.choose(picture, reader.read([picture]))
                        if tag is not None and true is not None and np.any(true[1] == class_id):
                            region = true[0][tag.index]
                            found[way].append(true_share(region, true[1], class_id) > 0.5)
        for way, right in found.items():
            print(f"{way:12} {100 * np.mean(right):5.1f} % of {len(right)} regions")


if __name__ == "__main__":
    main()
