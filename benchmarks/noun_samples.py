"""How many pictures a noun needs to be judged by, and to be made from.

    python -m benchmarks.noun_samples DATASET --store S [--part 2/2]

Every setting makes all nouns of a copy of the dictionary S anew, and segments DATASET with them.
Printed are mIoU of prototypes, of text and prototypes, and of all witnesses, and seconds a noun.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest import mock

from benchmarks.witnesses import Example
from captionary.build import ModelNames, Parts
from captionary.indexer import candidate_regions, refresh, region_choice
from captionary.segmenter.class_vectors import encode_classes_by_dictionary
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.painting import LARGENESS, paint_picture
from captionary.segmenter.region_scores import Weights, score_regions
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture

SETTINGS = (
    # references, lacking, spread, most
    (32, 64, 8, 1000),
    (32, 64, 8, 256),
    (32, 64, 8, 64),
    (32, 64, 32, 1000),
    (16, 32, 8, 1000),
    (64, 128, 8, 1000),
)
"""Pictures with the noun, and without, that consistency compares with; that its spread is taken
from; and that a noun is made from."""

FUSIONS = ("prototypes", "both", "all")


def made_anew(store: str, setting: tuple[int, int, int, int]) -> str:
    """Make all nouns of a store by a setting; how long it took."""
    references, lacking, spread, most = setting
    with (
        mock.patch.object(refresh, "REFERENCE_PICTURES", references),
        mock.patch.object(candidate_regions, "LACKING_PICTURES", lacking),
        mock.patch.object(region_choice, "SPREAD_PICTURES", spread),
        mock.patch.object(refresh, "MOST_PICTURES", most),
        mock.patch.object(refresh, "RULES_VERSION", repr(setting)),
        closing(Parts(store, ModelNames())) as parts,
    ):
        start = time.perf_counter()
        nouns = parts.refresher.refresh()
        return f"{(time.perf_counter() - start) / nouns * 1e3:5.1f} ms a noun"


def examples(store: str, data: DatasetFolder) -> Iterator[Example]:
    """The pictures, cut and embedded; neighbours do not depend on how nouns are made."""
    with closing(Parts(store, ModelNames())) as parts:
        retriever = parts.retriever
        for pair in data:
            picture = load_picture(pair.image)
            cut = parts.extractor.extract(picture)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
            yield Example(cut, retriever.neighbours(cut.table), truth)


def measure(store: str, data: DatasetFolder, pictures: list[Example]) -> str:
    """The mIoU of each fusion."""
    names = [item.name for item in data.classes]
    with closing(Parts(store, ModelNames())) as parts:
        text, retriever = parts.encoder, parts.retriever
        classes = encode_classes_by_dictionary(data.classes, text, retriever)
        weights = Weights(text.logit_scale)
        figures = []
        for fusion in FUSIONS:
            matrix = ConfusionMatrix(names)
            for one in pictures:
                scores = score_regions(
                    one.cut.table, classes, one.near, fusion=fusion, weights=weights
                )
                class_map, _ = paint_picture(one.cut, scores.fused, largeness=LARGENESS)
                matrix.add(one.truth, class_map)
            figures.append(f"{fusion} {100 * matrix.miou:5.1f}")
        return "  ".join(figures)


def main() -> None:
    """Print a line for each setting."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--part")
    options = parser.parse_args()
    data = DatasetFolder(options.dataset, part=options.part)
    pictures = list(examples(options.store, data))
    print(f"{'as it is':22} {measure(options.store, data, pictures)}", flush=True)
    for setting in SETTINGS:
        with tempfile.TemporaryDirectory() as folder:
            store = f"{folder}/store"
            shutil.copytree(options.store, store)
            speed = made_anew(store, setting)
            print(f"{setting!s:22} {measure(store, data, pictures)}  {speed}", flush=True)


if __name__ == "__main__":
    main()
