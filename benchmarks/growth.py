"""How well a class that the dictionary lacks is found, the more scenes teach it.

    python -m benchmarks.growth [--seeds 3] [--newcomers 4] [--plot docs/growth.svg]

For each seed a dictionary is made of captioned scenes without the newcomers, nouns that the
encoder never saw either. Then scenes that show them are captioned, or their region is pointed at,
or both: 1, 2, 4 and 16 scenes for each, and after every step other scenes with them are segmented.
Printed is the mean of the newcomers' IoU, with its standard deviation; regions are superpixels, or
the true masks.
"""

import argparse
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
from captionary.pictograms.world import Scene
from captionary.schemas.classes import ClassName
from captionary.schemas.pairs import ImageCaption, PairItem
from captionary.schemas.pointing import MaskArea, PointedArea
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.segmenter import Segmenter
from captionary.vision.hardware import one_torch_thread
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.copying import copy_store
from captionary.vocabulary.engines.choice import open_engine

STEPS = (0, 1, 2, 4, 16)
WAYS = ("captions", "pointing", "both")
REGIONS = ("superpixels", "true masks")
HELD_OUT = 12
"""Scenes that each newcomer is looked for in."""

Ious = Mapping[tuple[str, str, int], Sequence[float]]
"""Of each newcomer, for the kind of regions, the way of teaching and the step."""


def choose_casts(seed: int, newcomers: int, sizes: Sizes) -> list[Cast]:
    """Casts of the same nouns, but each with a newcomer of its own."""
    cast = choose_cast(seed, replace(sizes, novel=sizes.novel + newcomers - 1))
    others, novel = cast.novel[: newcomers - 1], cast.novel[newcomers - 1 :]
    company = tuple(noun for noun in cast.companions if noun not in others)
    return [Cast(cast.seen, novel, noun, company) for noun in (cast.newcomer, *others)]


def grow(casts: Sequence[Cast], seed: int, sizes: Sizes, regions: str, folder: Path) -> Ious:
    """Teach the newcomers step by step, in each way."""
    drawn = [draw_newcomer(cast, split="train", seed=seed, scenes=STEPS[-1]) for cast in casts]
    base = draw_scenes(casts[0], split="train", seed=seed, scenes=sizes.captioned)
    first, store = folder / "first", str(folder / "store")
    write_dataset(base, first, casts[0].classes)
    with closing(Parts(store, _models(regions, first))) as parts, one_torch_thread():
        parts.indexer.index(read_pairs(str(write_captioned(base, first))))
    shown = [
        _cut_scenes(cast, seed, regions, folder / f"held-out-{number}", store)
        for number, cast in enumerate(casts)
    ]
    ious: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for way in WAYS:
        copied = str(folder / way)
        with closing(open_engine(store)) as source, closing(open_engine(copied)) as target:
            copy_store(source, target, report=lambda *_: None)
        for before, now in pairwise((0, *STEPS)):
            lesson = [
                (cast, scene)
                for cast, scenes in zip(casts, drawn, strict=True)
                for scene in scenes[before:now]
            ]
            taught = folder / f"{way}-{now}"
            pairs = list(_lessons(lesson, taught, way))
            with closing(Parts(copied, _models(regions, taught))) as parts, one_torch_thread():
                parts.indexer.index(pairs)
                for cast, cut in zip(casts, shown, strict=True):
                    iou = _newcomer_iou(parts.segmenter, cut, cast.classes)
                    ious[regions, way, now].append(iou)
    return ious


def _lessons(lesson: Sequence[tuple[Cast, Scene]], folder: Path, way: str) -> Iterator[PairItem]:
    """The pairs by which scenes teach their newcomer: captioned, pointed at, or both."""
    scenes = [scene for _, scene in lesson]
    write_dataset(scenes, folder, lesson[0][0].classes if lesson else ())
    if not lesson:
        return
    found = read_pairs(str(write_captioned(scenes, folder)))
    for number, (pair, (cast, _)) in enumerate(zip(found, lesson, strict=True), start=1):
        assert isinstance(pair, ImageCaption)
        # The newcomer is the last class.
        mask = MaskArea(str(folder / "masks" / f"{number:03d}.png"), (len(cast.classes) - 1,))
        areas = (PointedArea(cast.newcomer.name, mask),) if way != "captions" else ()
        captions = () if way == "pointing" else pair.captions
        yield replace(pair, captions=captions, areas=areas)


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
) -> float:
    """IoU of the newcomer, the last class."""
    matrix = ConfusionMatrix([item.name for item in classes])
    for item in cut_scenes:
        matrix.add(item.scene.labels, segmenter.label(item.cut, classes).class_map)
    return float(matrix.iou[-1])


def show(ious: Ious) -> None:
    """Print a table in percent."""
    table = Table("regions", "taught by", *map(str, STEPS), box=None)
    for regions in REGIONS:
        for way in WAYS:
            values = [ious[regions, way, step] for step in STEPS]
            cells = [
                f"{100 * statistics.mean(each):.1f} ± {100 * statistics.pstdev(each):.1f}"
                for each in values
            ]
            table.add_row(regions, way, *cells)
    Console(width=110).print(table)


def plot(ious: Ious, path: Path) -> None:
    """Draw the curves; the same figures give the same file."""
    colours = {"captions": "#8a8a8a", "pointing": "#d1741f", "both": "#2b6cb0"}
    with rc_context({"svg.hashsalt": "growth", "font.size": 11, "font.family": "sans-serif"}):
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        for axes, regions in zip(figure.subplots(1, 2, sharey=True), REGIONS, strict=True):
            for way in WAYS:
                means = [100 * statistics.mean(ious[regions, way, step]) for step in STEPS]
                axes.plot(range(len(STEPS)), means, "o-", color=colours[way], label=way)
            axes.set_xticks(range(len(STEPS)), [str(step) for step in STEPS])
            axes.set_ylim(-2, 100)
            axes.set_title(f"regions: {regions}", fontsize=11)
            axes.set_xlabel("scenes that teach the newcomer")
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
    ious: dict[tuple[str, str, int], list[float]] = defaultdict(list)
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
