"""Ways to cut and to embed, side by side: how well regions are named, and pixels.

    python -m benchmarks.embeddings CAPTIONS DATASET --encoder E [--embed crop dense ...]
        [--proposer superpixels ...] [--part 1/2] [--stores FOLDER] [--json FILE]

For each pair of a proposer and a way to embed, the captioned pictures are indexed (or the
dictionary of an earlier run in `--stores` is read), and the dataset's pictures are labelled by
text, calibrated text, prototypes and both. Printed are mIoU of segmentation, the share of the
dataset's true regions that are named right when their own masks are embedded, and seconds a
picture to cut and embed.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from captionary.build import ModelNames, Parts
from captionary.cli.progress import bars
from captionary.indexer.readers import read_pairs
from captionary.schemas.labels import IGNORE
from captionary.schemas.options import FUSIONS
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.extraction import RegionExtractor
from captionary.vision.hardware import one_torch_thread
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture
from captionary.vision.pictures.resizing import resize_labels
from captionary.vision.proposers.label_maps import LabelMaps

SMALLEST = 0.005
"""Share of the picture below which a true region is not asked for."""


def measure(segmenter: Segmenter, data: DatasetFolder) -> dict[str, float]:
    """The figures of one proposer and one way to embed."""
    matrices = {fusion: ConfusionMatrix([c.name for c in data.classes]) for fusion in FUSIONS}
    hits: dict[str, list[bool]] = defaultdict(list)
    true = RegionExtractor(LabelMaps(data.pictures[0].mask.parent), segmenter.extractor.embedder)
    counts, seconds = [], []
    for pair in data:
        picture = load_picture(pair.image)
        truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
        start = time.perf_counter()
        cut = segmenter.extractor.extract(picture)
        seconds.append(time.perf_counter() - start)
        counts.append(len(cut.regions))
        own = true.extract(picture)
        shown = resize_labels(truth, own.regions[0].mask.shape)
        wanted = [int(shown[region.mask][0]) for region in own.regions]
        for fusion in FUSIONS:
            settings = Settings(fusion)
            answer = segmenter.label(cut, data.classes, settings)
            matrices[fusion].add(truth, answer.class_map)
            named = segmenter.label(own, data.classes, settings).regions
            hits[fusion] += [
                region.class_id == right
                for region, right in zip(named, wanted, strict=True)
                if region.area >= SMALLEST and right != IGNORE
            ]
    return {
        **{f"mIoU {fusion}": matrix.miou for fusion, matrix in matrices.items()},
        **{f"top-1 {fusion}": float(np.mean(right)) for fusion, right in hits.items()},
        "pixels both": matrices["both"].pixel_accuracy,
        "regions": float(np.mean(counts)),
        "seconds": float(np.median(seconds)),
    }


def show(figures: dict[str, dict[str, float]]) -> None:
    table = Table("", *(f"mIoU {f}" for f in FUSIONS), *(f"top-1 {f}" for f in FUSIONS), box=None)
    for name in ("pixels both", "regions", "s/picture"):
        table.add_column(name)
    for name, row in figures.items():
        percents = [row[f"{kind} {f}"] for kind in ("mIoU", "top-1") for f in FUSIONS]
        cells = [f"{100 * value:.1f}" for value in (*percents, row["pixels both"])]
        table.add_row(name, *cells, f"{row['regions']:.0f}", f"{row['seconds']:.3f}")
    Console(width=150).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("captions", help="what 'captionary index' takes as SOURCE")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--encoder", required=True)
    parser.add_argument("--embed", nargs="+", default=["crop", "dense"])
    parser.add_argument("--proposer", nargs="+", default=["superpixels"])
    parser.add_argument("--part")
    parser.add_argument("--stores", type=Path, help="keep dictionaries here, and use them again")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    data = DatasetFolder(options.dataset, part=options.part)
    figures: dict[str, dict[str, float]] = {}
    ways = [(proposer, embed) for proposer in options.proposer for embed in options.embed]
    with tempfile.TemporaryDirectory() as folder, bars(Console(stderr=True)) as lines:
        bar = lines.add("ways", len(ways))
        for number, (proposer, embed) in enumerate(ways, start=1):
            name = f"{proposer} {embed}"
            store = (options.stores or Path(folder)) / name.replace("/", "-").replace(" ", "-")
            models = ModelNames(options.encoder, proposer, embed)
            with closing(Parts(str(store), models)) as parts, one_torch_thread():
                parts.indexer.index(read_pairs(options.captions))
                figures[name] = measure(parts.segmenter, data)
            bar.show(number)
            show({name: figures[name]})
    show(figures)
    if options.json is not None:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
