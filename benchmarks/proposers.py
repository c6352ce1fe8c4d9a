"""Proposers side by side: how well their regions fit the true ones, how many they are, how long.

    python -m benchmarks.proposers DATASET --encoder E [--proposer superpixels clusters ...]
        [--looks none] [--part 1/2] [--count 50]

A true region is a connected part of one class that takes at least one percent of a picture. Printed
are the mean over true regions of the best IoU that any proposed region reaches, the share for which
it is above 0.5 and above 0.7, regions a picture, and the median seconds a picture, with ratios to
the first proposer. The first pass over a picture by the encoder, or by the look
model whose map `clusters` cuts by, is part of the time.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from captionary.schemas.arrays import LabelMap, Mask
from captionary.schemas.labels import IGNORE
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.views import default_embedding
from captionary.vision.extraction import LONGEST
from captionary.vision.looks.plan import parse_looks
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture
from captionary.vision.pictures.resizing import resize_labels, scaled_size
from captionary.vision.proposers.plan import parse_proposer

SMALLEST = 0.01
COMPARED_SIDE = 256
"""Longer side at which regions are compared."""


def true_regions(truth: LabelMap) -> Iterator[Mask]:
    for number in np.unique(truth[truth != IGNORE]):
        parts, count = ndimage.label(truth == number)
        for part in range(1, count + 1):
            if (parts == part).mean() >= SMALLEST:
                yield parts == part


def best_iou(true: Mask, masks: np.ndarray) -> float:
    both = (masks & true).sum(axis=(1, 2))
    return float((both / (masks | true).sum(axis=(1, 2))).max())


def measure(
    data: DatasetFolder, encoder: ClipEncoder, name: str, looks: str, count: int
) -> list[float]:
    """Mean best IoU, recall at 0.5 and 0.7, regions a picture, median seconds."""
    maps = default_embedding(encoder).feature_maps(encoder)
    if (cut_by := parse_looks(looks).build(device="cpu", precision="float32")) is not None:
        maps = cut_by.finest
    proposer = parse_proposer(name).build(encoder, maps, ClipEncoder)
    ious, counts, seconds = [], [], []
    for pair in islice(data, count):
        picture = load_picture(pair.image).at_most(LONGEST)
        truth = read_mask(pair.mask, size_hw=picture.file_hw, classes=len(data.classes))
        start = time.perf_counter()
        regions = proposer.propose(picture)
        seconds.append(time.perf_counter() - start)
        size_hw = scaled_size(picture.size_hw, COMPARED_SIDE)
        masks = [resize_labels(region.mask.astype(np.int32), size_hw) > 0 for region in regions]
        stack = np.array(masks)
        ious += [best_iou(true, stack) for true in true_regions(resize_labels(truth, size_hw))]
        counts.append(len(regions))
    reached = np.array(ious)
    recalls = [float((reached > least).mean()) for least in (0.5, 0.7)]
    return [float(reached.mean()), *recalls, float(np.mean(counts)), median(seconds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--encoder", required=True)
    parser.add_argument(
        "--proposer", nargs="+", default=["superpixels", "clusters", "superpixels+clusters"]
    )
    parser.add_argument("--looks", default="none")
    parser.add_argument("--part")
    parser.add_argument("--count", type=int, default=50, help="pictures")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = DatasetFolder(options.dataset, part=options.part)
    encoder = ClipEncoder(options.encoder)
    table = Table("proposer", "best IoU", "> 0.5", "> 0.7", "regions", "s", "times", box=None)
    first = None
    for name in options.proposer:
        iou, half, most, regions, seconds = measure(
            data, encoder, name, options.looks, options.count
        )
        first = first or seconds
        cells = (f"{iou:.3f}", f"{half:.0%}", f"{most:.0%}", f"{regions:.0f}", f"{seconds:.3f}")
        table.add_row(name, *cells, f"{seconds / first:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
