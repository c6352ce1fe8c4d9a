"""How well a class that the dictionary lacks is found, the more captioned scenes show it.

    python -m benchmarks.growth [--seeds 3] [--newcomers 4] [--plot docs/growth.svg]

For each seed a dictionary is made of captioned scenes without the newcomers, nouns that the
encoder never saw either. Then scenes that show them are captioned, 1, 4, 16 and 64 for each, and
after every step other scenes with them are segmented. Printed is the mean of the newcomers' IoU,
with its standard deviation; regions are superpixels, or the true masks.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from captionary.build import ModelNames, Parts
from captionary.cli.progress import bars
from captionary.demo.scenes import (
    Cast,
    Sizes,
    choose_cast,
    draw_newcomer,
    draw_scenes,
    write_captioned,
    write_dataset,
)
from captionary.demo.story import CutScene
from captionary.indexer.readers import read_pairs
from captionary.schemas.classes import ClassName
from captionary.schemas.options import Fusion
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.hardware import one_torch_thread
from captionary.vision.pictures.loading import load_picture

STEPS = (0, 1, 4, 16, 64)
FUSIONS: tuple[Fusion, ...] = ("text", "prototypes", "both")
REGIONS = ("superpixels", "true masks")
HELD_OUT = 12
"""Scenes that each newcomer is looked for in."""

Ious = Mapping[tuple[str, Fusion, int], Sequence[float]]
"""Of each newcomer, for the kind of regions, the fusion and the step."""


def choose_casts(seed: int, newcomers: int, sizes: Sizes) -> list[Cast]:
    """Casts of the same nouns, but each with a newcomer of its own."""
    cast = choose_cast(seed, replace(sizes, novel=sizes.novel + newcomers - 1))
    others, novel = cast.novel[: newcomers - 1], cast.novel[newcomers - 1 :]
    company = tuple(noun for noun in cast.companions if noun not in others)
    return [Cast(cast.seen, novel, noun, company) for noun in (cast.newcomer, *others)]


def grow(casts: Sequence[Cast], seed: int, sizes: Sizes, regions: str, folder: Path) -> Ious:
    """Teach the newcomers step by step."""
    drawn = [draw_newcomer(cast, split="train", seed=seed, scenes=STEPS[-1]) for cast in casts]
    base = draw_scenes(casts[0], split="train", seed=seed, scenes=sizes.captioned)
    lessons = [base] + [
        [scene for scenes in drawn for scene in scenes[before:now]]
        for before, now in pairwise(STEPS)
    ]
    store = str(folder / "store")
    cut_scenes: list[list[CutScene]] = []
    ious: dict[tuple[str, Fusion, int], list[float]] = {}
    for step, lesson in zip(STEPS, lessons, strict=True):
        taught = folder / f"taught-{step}"
        write_dataset(lesson, taught, casts[0].classes)
        with closing(Parts(store, _models(regions, taught))) as parts, one_torch_thread():
            parts.indexer.index(read_pairs(str(write_captioned(lesson, taught))))
        cut_scenes = cut_scenes or [
            _cut_scenes(cast, seed, regions, folder / f"held-out-{number}", store)
            for number, cast in enumerate(casts)
        ]
        with closing(Parts(store, _models(regions, taught))) as parts, one_torch_thread():
            for cast, shown in zip(casts, cut_scenes, strict=True):
                for fusion, iou in _newcomer_iou(parts.segmenter, shown, cast.classes).items():
                    ious.setdefault((regions, fusion, step), []).append(iou)
    return ious


def _models(regions: str, folder: Path) -> ModelNames:
    return ModelNames(
        "mini", "superpixels" if regions == "superpixels" else f"masks:{folder}/masks"
    )


def _cut_scenes(cast: Cast, seed: int, regions: str, folder: Path, store: str) -> list[CutScene]:
    """Cut and embed other scenes with a cast's newcomer."""
    scenes = draw_newcomer(cast, split="held-out", seed=seed, scenes=HELD_OUT)
    files = write_dataset(scenes, folder, cast.classes)
    with closing(Parts(store, _models(regions, folder))) as parts, one_torch_thread():
        extract = parts.extractor.extract
        return [
            CutScene(scene, extract(load_picture(file)))
            for scene, file in zip(scenes, files, strict=True)
        ]


def _newcomer_iou(
    segmenter: Segmenter, cut_scenes: Sequence[CutScene], classes: Sequence[ClassName]
) -> Mapping[Fusion, float]:
    """IoU of the newcomer, the last class."""
    matrices = {fusion: ConfusionMatrix([item.name for item in classes]) for fusion in FUSIONS}
    for item in cut_scenes:
        for fusion, matrix in matrices.items():
            segmentation = segmenter.label(item.cut, classes, Settings(fusion))
            matrix.add(item.scene.labels, segmentation.class_map)
    return {fusion: float(matrix.iou[-1]) for fusion, matrix in matrices.items()}


def show(ious: Ious) -> None:
    """Print a table in percent."""
    table = Table("regions", "fusion", *map(str, STEPS), box=None)
    for regions in REGIONS:
        for fusion in FUSIONS:
            values = [ious[regions, fusion, step] for step in STEPS]
            cells = [
                f"{100 * statistics.mean(each):.1f} ± {100 * statistics.pstdev(each):.1f}"
                for each in values
            ]
            table.add_row(regions, fusion, *cells)
    Console(width=110).print(table)


def plot(ious: Ious, path: Path) -> None:
    """Draw the curves; the same figures give the same file."""
    colours = {"text": "#8a8a8a", "prototypes": "#d1741f", "both": "#2b6cb0"}
    with rc_context({"svg.hashsalt": "growth", "font.size": 11, "font.family": "sans-serif"}):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        for axes, regions in zip(figure.subplots(1, 2, sharey=True), REGIONS, strict=True):
            for fusion in FUSIONS:
                means = [100 * statistics.mean(ious[regions, fusion, step]) for step in STEPS]
                axes.plot(range(len(STEPS)), means, "o-", color=colours[fusion], label=fusion)
            axes.set_xticks(range(len(STEPS)), [str(step) for step in STEPS])
            axes.set_ylim(-2, 100)
            axes.set_title(f"regions: {regions}", fontsize=11)
            axes.set_xlabel("captioned scenes with the newcomer")
            axes.grid(alpha=0.3)
            axes.spines[["top", "right"]].set_visible(False)
        figure.axes[0].set_ylabel("its IoU, %")
        figure.axes[0].legend(frameon=False)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--newcomers", type=int, default=4)
    parser.add_argument("--captioned", type=int, default=120)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    sizes = Sizes(seen=60, novel=24, captioned=options.captioned)
    ious: dict[tuple[str, Fusion, int], list[float]] = defaultdict(list)
    with bars(Console(stderr=True)) as lines:
        bar = lines.add("runs", options.seeds * len(REGIONS))
        for seed in range(options.seeds):
            casts = choose_casts(seed, options.newcomers, sizes)
            for number, regions in enumerate(REGIONS, start=1):
                with tempfile.TemporaryDirectory() as folder:
                    found = grow(casts, seed, sizes, regions, Path(folder))
                for key, values in found.items():
                    ious[key].extend(values)
                bar.show(seed * len(REGIONS) + number)
    show(ious)
    if options.plot is not None:
        plot(ious, options.plot)


if __name__ == "__main__":
    main()
