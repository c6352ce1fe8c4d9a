"""What pointing at regions is worth, beside captions and by itself, on a folder with masks.

    python -m benchmarks.pointing DATASET --store S [--of 1/2] [--part 2/2] [--counts 1 4 16]
        [--seeds 3] [--single] [--json FILE]

Of every class some regions are drawn at random from one part of the dataset, by their true masks,
and taught to a copy of the dictionary, and to an empty one of the same models. Both then label the
other part. Beside them stand text alone, captions alone, and a plain k-nearest-neighbours vote of
the same regions on the same vectors. With --single, one class alone is pointed at, for each class,
and its own IoU is compared with that of captions alone.
"""

import argparse
import json
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from captionary.build import ModelNames, Parts
from captionary.cli.progress import bars
from captionary.schemas.arrays import LabelMap, Scores
from captionary.schemas.classes import ClassName
from captionary.schemas.options import Fusion
from captionary.schemas.pairs import ImageCaption
from captionary.schemas.pointing import MaskArea, PointedArea
from captionary.schemas.regions import CutPicture
from captionary.segmenter.confusion import ConfusionMatrix
from captionary.segmenter.painting import paint_picture
from captionary.segmenter.scoring import softmax
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.hardware import one_torch_thread
from captionary.vision.masks.datasets import DatasetFolder, read_mask
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.centring import centred
from captionary.vocabulary.copying import copy_store
from captionary.vocabulary.engines.choice import open_engine

SMALLEST = 0.02
"""Share of a picture below which a region is not pointed at."""

NEAREST = 5
"""Neighbours that vote in the plain baseline."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A region that may be pointed at: a class in a picture."""

    image: Path
    mask: Path
    class_id: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A picture in regions, and its ground truth."""

    cut: CutPicture
    truth: LabelMap


Figures = dict[tuple[str, int], list[tuple[float, float]]]
"""mIoU and share of pixels of each way, and count, of all seeds, in percent."""


def find_shown(data: DatasetFolder) -> list[Shown]:
    """The classes of all pictures that are large enough to be pointed at."""
    found = []
    for pair in data:
        picture = load_picture(pair.image)
        truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
        for class_id in range(len(data.classes)):
            if (truth == class_id).mean() >= SMALLEST:
                found.append(Shown(pair.image, pair.mask, class_id))
    return found


def draw(shown: Sequence[Shown], count: int, seed: int, class_ids: Sequence[int]) -> list[Shown]:
    """Some regions of each class, or all where it has fewer."""
    chance = np.random.default_rng(seed)
    drawn = []
    for class_id in class_ids:
        own = [item for item in shown if item.class_id == class_id]
        drawn += [own[row] for row in chance.permutation(len(own))[:count]]
    return drawn


def lessons(drawn: Sequence[Shown], classes: Sequence[ClassName]) -> Iterator[ImageCaption]:
    """Pairs that point at regions, a picture each."""
    by_image: defaultdict[Path, list[PointedArea]] = defaultdict(list)
    for item in drawn:
        area = MaskArea(str(item.mask), (item.class_id,))
        by_image[item.image].append(PointedArea(classes[item.class_id].name, area))
    for image, areas in by_image.items():
        yield ImageCaption(image=str(image), captions=(), areas=tuple(areas))


def evaluate(
    label: Callable[[CutPicture], LabelMap], asked: Sequence[Asked], classes: Sequence[ClassName]
) -> ConfusionMatrix:
    """The confusion of the pictures."""
    matrix = ConfusionMatrix([item.name for item in classes])
    for item in asked:
        matrix.add(item.truth, label(item.cut))
    return matrix


def by_fusion(
    segmenter: Segmenter, classes: Sequence[ClassName], fusion: Fusion
) -> Callable[[CutPicture], LabelMap]:
    """Label as the program does."""
    return lambda cut: segmenter.label(cut, classes, Settings(fusion)).class_map


def by_neighbours(
    segmenter: Segmenter, classes: Sequence[ClassName]
) -> Callable[[CutPicture], LabelMap]:
    """Label by the classes of the NEAREST pointed regions, in centred look vectors."""
    assert segmenter.retriever is not None
    stored, common = segmenter.retriever.dictionary, segmenter.retriever.common_parts()
    named: list[tuple[str, int]] = []
    owner: list[int] = []
    number = {item.name: class_id for class_id, item in enumerate(classes)}
    for picture in stored.pictures():
        for item in picture.pointings:
            named.append((picture.id, item.index))
            owner.append(number[item.noun])
    looks = centred(stored.rows_of(named).looks, common.look)
    one_hot = np.eye(len(classes), dtype=np.float32)[owner]

    def label(cut: CutPicture) -> LabelMap:
        similarity = centred(cut.table.looks, common.look) @ looks.T
        count = min(NEAREST, len(owner))
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        near = np.take_along_axis(similarity, nearest, axis=1)
        weight = np.exp(10 * near)
        votes = (weight[..., None] * one_hot[nearest]).sum(axis=1)
        scores: Scores = softmax(np.log(votes + 1e-3).astype(np.float32))
        return paint_picture(cut, scores)[0]

    return label


def copy_of(store: str, folder: Path) -> str:
    """A copy of a dictionary that may be written to."""
    target = str(folder / "copy")
    with closing(open_engine(store)) as source, closing(open_engine(target)) as copied:
        copy_store(source, copied, report=lambda *_: None)
    return target


def taught(store: str, models: ModelNames, pairs: Sequence[ImageCaption]) -> Parts:
    """The dictionary of a store, taught by pairs."""
    parts = Parts(store, models)
    job = parts.indexer.index(pairs)
    assert not job.failures, job.failures
    return parts


def names_of(store: str) -> ModelNames:
    """The models that a dictionary was built with."""
    with closing(Parts(store)) as parts:
        named = parts.stored.models
        return ModelNames(
            named.get("encoder"), named.get("proposer"), named.get("embed"), named.get("looks")
        )


def percent(matrix: ConfusionMatrix) -> tuple[float, float]:
    return 100 * float(matrix.miou), 100 * float(matrix.pixel_accuracy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--store", required=True)
    parser.add_argument("--of", default="1/2", help="part of the dataset that is pointed at")
    parser.add_argument("--part", default="2/2", help="part that is labelled")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--single", action="store_true", help="point at one class at a time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    shown = find_shown(DatasetFolder(options.dataset, part=options.of))
    data = DatasetFolder(options.dataset, part=options.part)
    classes = data.classes
    models = names_of(options.store)
    with one_torch_thread(), tempfile.TemporaryDirectory() as folder:
        with closing(Parts(options.store)) as parts:
            asked = list(cut_all(parts, data))
            before = {
                fusion: evaluate(by_fusion(segmenter, classes, fusion), asked, classes)
                for fusion, segmenter in (
                    ("text", parts.text_segmenter),
                    ("all", parts.segmenter),
                )
            }
        run = Run(options.store, models, classes, shown, asked, Path(folder), options.seeds)
        if options.single:
            figures = run.single(options.counts, before["all"])
        else:
            figures = run.all_classes(options.counts)
    shown_before = {name: percent(matrix) for name, matrix in before.items()}
    print(f"text alone {shown_before['text']}, captions alone {shown_before['all']}")
    show(figures)
    if options.json is not None:
        plain = {f"{way} | {count}": values for (way, count), values in figures.items()}
        written = {"text": shown_before["text"], "captions": shown_before["all"], **plain}
        options.json.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def cut_all(parts: Parts, data: DatasetFolder) -> Iterator[Asked]:
    """Cut and embed the pictures of a part."""
    with bars(Console(stderr=True)) as lines:
        bar = lines.add("cut", len(data.pictures))
        for done, pair in enumerate(data.pictures, start=1):
            picture = load_picture(pair.image)
            truth = read_mask(pair.mask, size_hw=picture.size_hw, classes=len(data.classes))
            yield Asked(parts.extractor.extract(picture), truth)
            bar.show(done)


@dataclass(frozen=True, slots=True)
class Run:
    """What all steps of a measurement share."""

    store: str
    models: ModelNames
    classes: Sequence[ClassName]
    shown: Sequence[Shown]
    asked: Sequence[Asked]
    folder: Path
    seeds: int

    def all_classes(self, counts: Sequence[int]) -> Figures:
        """Every class is pointed at alike."""
        figures: Figures = defaultdict(list)
        for seed in range(self.seeds):
            for count in counts:
                drawn = draw(self.shown, count, seed, range(len(self.classes)))
                pairs = list(lessons(drawn, self.classes))
                for way, store in self._stores(f"{seed}-{count}"):
                    with closing(taught(store, self.models, pairs)) as parts:
                        segmenter = parts.segmenter
                        label = by_fusion(segmenter, self.classes, "all")
                        found = percent(evaluate(label, self.asked, self.classes))
                        figures[way, count].append(found)
                        if way == "pointing alone":
                            plain = by_neighbours(segmenter, self.classes)
                            near = percent(evaluate(plain, self.asked, self.classes))
                            figures[f"{NEAREST} nearest neighbours", count].append(near)
        return figures

    def single(self, counts: Sequence[int], before: ConfusionMatrix) -> Figures:
        """One class is pointed at; gained in its own IoU, and in the mean of all."""
        figures: Figures = defaultdict(list)
        for seed in range(self.seeds):
            for count in counts:
                for class_id in range(len(self.classes)):
                    drawn = draw(self.shown, count, seed, [class_id])
                    pairs = list(lessons(drawn, self.classes))
                    store = copy_of(self.store, self.folder / f"{seed}-{count}-{class_id}")
                    with closing(taught(store, self.models, pairs)) as parts:
                        label = by_fusion(parts.segmenter, self.classes, "all")
                        matrix = evaluate(label, self.asked, self.classes)
                    own = 100 * float(matrix.iou[class_id] - before.iou[class_id])
                    mean = 100 * float(matrix.miou - before.miou)
                    figures["gain of the class | of the mean", count].append((own, mean))
        return figures

    def _stores(self, name: str) -> Iterator[tuple[str, str]]:
        yield "pointing alone", str(self.folder / f"{name}-alone")
        yield "captions + pointing", copy_of(self.store, self.folder / f"{name}-both")


def show(figures: Mapping[tuple[str, int], Sequence[tuple[float, float]]]) -> None:
    """Print means and standard deviations over the seeds."""
    counts = sorted({count for _, count in figures})
    table = Table("regions of each class", *map(str, counts), box=None)
    for way in dict.fromkeys(way for way, _ in figures):
        cells = []
        for count in counts:
            first, second = (list(part) for part in zip(*figures[way, count], strict=True))
            spread = f" ± {statistics.pstdev(first):.1f}"
            cells.append(f"{statistics.mean(first):.1f}{spread} | {statistics.mean(second):.1f}")
        table.add_row(way, *cells)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
