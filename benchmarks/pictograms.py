"""What prototypes are worth on pictogram scenes, whose true masks are known.

    python -m benchmarks.pictograms [--encoder mini] [--looks none] [--seeds 3] [--seen 60]
        [--novel 24] [--captioned 240] [--held-out 100] [--json FILE]

For each seed it draws nouns and scenes, indexes the captioned ones, and labels held-out ones with
each fusion. Printed are the means over the seeds, with their
standard deviations: mIoU of segmentation with superpixels and with true masks as regions, and the
share of true regions (of objects, not of grounds) that are named right.
"""

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from captionary.build import ModelNames, Parts
from captionary.cli.progress import bars
from captionary.demo.figures import mean_iou
from captionary.demo.scenes import Cast, Sizes, choose_cast
from captionary.indexer.readers import read_pairs
from captionary.pictograms.dataset_folder import write_world
from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.world import Split, World
from captionary.schemas.options import FUSIONS, Fusion
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.segmenter import Settings
from captionary.vision.hardware import one_torch_thread
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture

Figures = Mapping[tuple[str, str], Mapping[Fusion, float]]
"""Value of each (measure, group) and fusion."""


def measure(
    seed: int, sizes: Sizes, proposer: str, *, encoder: str, embed: str, looks: str, folder: Path
) -> Figures:
    """The figures of one seed and one kind of regions."""
    cast = choose_cast(seed, sizes)
    taught = _draw(cast, folder / "taught", "train", seed, sizes.captioned)
    asked = _draw(cast, folder / "asked", "held-out", seed, sizes.held_out)
    data = DatasetFolder(asked)
    of = {name: f"masks:{path / 'masks'}" for name, path in (("taught", taught), ("asked", asked))}
    true = proposer == "true masks"
    store = str(folder / proposer.replace(" ", "-"))
    models = ModelNames(encoder, of["taught"] if true else proposer, embed, looks)
    with closing(Parts(store, models)) as parts, one_torch_thread():
        parts.indexer.index(read_pairs(str(taught / "captions.jsonl")))
    groups = {
        "seen": range(len(GROUNDS) + sizes.seen),
        "novel": range(len(GROUNDS) + sizes.seen, len(GROUNDS) + sizes.seen + sizes.novel),
    }
    matrices = {fusion: ConfusionMatrix([c.name for c in data.classes]) for fusion in FUSIONS}
    hits: dict[tuple[str, Fusion], list[bool]] = defaultdict(list)
    models = replace(models, proposer=of["asked"] if true else proposer)
    with closing(Parts(store, models)) as parts, one_torch_thread():
        segmenter = parts.segmenter
        for pair in data:
            picture = load_picture(pair.image)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
            cut = segmenter.extractor.extract(picture)
            for fusion in FUSIONS:
                segmentation = segmenter.label(cut, data.classes, Settings(fusion))
                matrices[fusion].add(truth, segmentation.class_map)
                if true:
                    for region, labelled in zip(cut.regions, segmentation.regions, strict=True):
                        own = int(truth[region.mask][0])
                        if own >= len(GROUNDS):
                            group = "novel" if own in groups["novel"] else "seen"
                            hits[group, fusion].append(labelled.class_id == own)
    figures: dict[tuple[str, str], dict[Fusion, float]] = {
        (f"mIoU, {proposer}", group): {
            fusion: mean_iou(matrix, ids) or 0.0 for fusion, matrix in matrices.items()
        }
        for group, ids in groups.items()
    }
    for (group, fusion), right in hits.items():
        figures.setdefault(("top-1, true masks", group), {})[fusion] = float(np.mean(right))
    return figures


def _draw(cast: Cast, folder: Path, split: Split, seed: int, scenes: int) -> Path:
    world = World((*cast.seen, *cast.novel), seed=seed, split=split, captions=3)
    for _ in write_world(world, folder, scenes=scenes, nouns="all"):
        pass
    return folder


def show(runs: Sequence[Figures]) -> None:
    """Print means and standard deviations over the seeds, in percent."""
    table = Table("", "classes", *FUSIONS, box=None)
    for measured, group in runs[0]:
        values = {fusion: [run[measured, group][fusion] for run in runs] for fusion in FUSIONS}
        cells = [
            f"{100 * statistics.mean(each):.1f} ± {100 * statistics.pstdev(each):.1f}"
            for each in values.values()
        ]
        table.add_row(measured, group, *cells)
    Console(width=130).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--encoder", default="mini")
    parser.add_argument("--embed", default="crop")
    parser.add_argument("--looks", default="none")
    parser.add_argument("--seeds", type=int, default=3)
    for name, value in (("seen", 60), ("novel", 24), ("captioned", 240), ("held-out", 100)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--proposers", nargs="+", default=["superpixels", "true masks"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sizes = Sizes(options.seen, options.novel, options.captioned, options.held_out)
    runs = []
    with bars(Console(stderr=True)) as lines:
        bar = lines.add("runs", options.seeds * len(options.proposers))
        for seed in range(options.seeds):
            run: dict[tuple[str, str], Mapping[Fusion, float]] = {}
            with tempfile.TemporaryDirectory() as folder:
                for number, proposer in enumerate(options.proposers, start=1):
                    run |= measure(
                        seed,
                        sizes,
                        proposer,
                        encoder=options.encoder,
                        embed=options.embed,
                        looks=options.looks,
                        folder=Path(folder),
                    )
                    bar.show(seed * len(options.proposers) + number)
            runs.append(run)
    show(runs)
    if options.json is not None:
        plain = [{" | ".join(key): dict(value) for key, value in run.items()} for run in runs]
        options.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
