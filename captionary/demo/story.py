"""The story of the demo: captions teach a dictionary, which segments other scenes and grows."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from captionary.build import ModelNames, Parts
from captionary.demo.scenes import (
    Cast,
    Sizes,
    choose_cast,
    draw_newcomer,
    draw_scenes,
    write_captioned,
    write_dataset,
)
from captionary.indexer.pipeline import Indexer
from captionary.indexer.readers import read_pairs
from captionary.pictograms.world import Scene
from captionary.schemas.classes import ClassName
from captionary.schemas.options import FUSIONS, Fusion
from captionary.schemas.regions import CutPicture, Region
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.hardware import one_torch_thread
from captionary.vision.pictures.loading import load_picture


class ProgressBar(Protocol):
    """One line of progress."""

    def show(self, done: int, total: int | None = None) -> None:
        """Show how much is done, and of how much where that is known."""


class ProgressBars(Protocol):
    """Where progress is shown."""

    def add(self, label: str, total: int | None = None) -> ProgressBar:
        """Start another line."""


@dataclass(frozen=True, slots=True)
class CutScene:
    """A scene with its regions and their embeddings."""

    scene: Scene
    cut: CutPicture


@dataclass(frozen=True, slots=True)
class SegmentedScene:
    """A scene and its segmentation by every fusion; row i of each is of `regions[i]`."""

    scene: Scene
    regions: Sequence[Region]
    segmentations: Mapping[Fusion, Segmentation]


@dataclass(frozen=True, slots=True)
class Growth:
    """Scenes with the newcomer, segmented before and after captioned ones were indexed.

    taught: the captioned ones.
    """

    taught: Sequence[Scene]
    before: Sequence[SegmentedScene]
    after: Sequence[SegmentedScene]


@dataclass(frozen=True, slots=True)
class Story:
    """All that happened. seconds: duration of each part."""

    cast: Cast
    captioned: Sequence[Scene]
    held_out: Sequence[SegmentedScene]
    growth: Growth
    fingerprint: str
    seconds: Mapping[str, float]


class _Stopwatch:
    """Measures the seconds of each part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        """End a part, and begin the next."""
        now = time.perf_counter()
        self.seconds[part], self._last = now - self._last, now


@dataclass(frozen=True, slots=True)
class _Experiment:
    """One dictionary, and a folder for the scenes that are indexed and segmented."""

    indexer: Indexer
    segmenter: Segmenter
    classes: Sequence[ClassName]
    folder: Path
    progress: ProgressBars

    def index(self, scenes: Sequence[Scene], name: str) -> None:
        """Write captioned scenes into the folder `name`, and index them."""
        source = write_captioned(scenes, self.folder / name)
        pairs_bar = self.progress.add(f"{name} scenes", len(scenes))
        nouns_bar = self.progress.add("nouns")
        self.indexer.index(
            read_pairs(str(source)),
            report=lambda job: pairs_bar.show(job.pairs),
            refreshed=nouns_bar.show,
        )

    def cut(self, scenes: Sequence[Scene], name: str) -> list[CutScene]:
        """Write scenes into the folder `name`, and cut and embed them, a thread for each core."""
        files = write_dataset(scenes, self.folder / name, self.classes)
        bar = self.progress.add(f"{name} scenes", len(scenes))
        extract = self.segmenter.extractor.extract
        results: list[CutScene] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            cuts = pool.map(lambda file: extract(load_picture(file)), files)
            for scene, cut in zip(scenes, cuts, strict=True):
                results.append(CutScene(scene, cut))
                bar.show(len(results))
        return results

    def segment(self, scenes: Sequence[CutScene]) -> list[SegmentedScene]:
        """Segment scenes by every fusion, with what the dictionary holds now."""
        return [SegmentedScene(item.scene, item.cut.regions, self._label(item)) for item in scenes]

    def _label(self, item: CutScene) -> dict[Fusion, Segmentation]:
        label = partial(self.segmenter.label, item.cut, self.classes)
        return {fusion: label(Settings(fusion, evidence=1)) for fusion in FUSIONS}


def play_story(
    folder: Path, models: ModelNames, *, seed: int, sizes: Sizes, progress: ProgressBars
) -> Story:
    """Index, segment and grow; scenes and dictionary are written into a folder.

    Args:
        folder: it exists, and holds none of them.

    Raises:
        WrongInput: the models cannot be used.
    """
    stopwatch, cast = _Stopwatch(), choose_cast(seed, sizes)
    # One thread in torch: scenes have threads of their own, and figures repeat to the last bit.
    with one_torch_thread(), closing(Parts(str(folder / "dictionary"), models)) as parts:
        # The indexer first: it makes the dictionary that the segmenter reads.
        indexer, segmenter = parts.indexer, parts.segmenter
        experiment = _Experiment(indexer, segmenter, cast.classes, folder, progress)
        stopwatch.lap("start")
        captioned = draw_scenes(cast, split="train", seed=seed, scenes=sizes.captioned)
        held_out = draw_scenes(cast, split="held-out", seed=seed, scenes=sizes.held_out)
        taught = draw_newcomer(cast, split="train", seed=seed, scenes=sizes.taught)
        unknown = draw_newcomer(cast, split="held-out", seed=seed, scenes=sizes.asked)
        stopwatch.lap("draw")
        experiment.index(captioned, "captioned")
        stopwatch.lap("index")
        segmented = experiment.segment(experiment.cut(held_out, "held-out"))
        cut_unknown = experiment.cut(unknown, "newcomer-held-out")
        before = experiment.segment(cut_unknown)
        stopwatch.lap("segment")
        experiment.index(taught, "newcomer")
        stopwatch.lap("teach")
        after = experiment.segment(cut_unknown)
        stopwatch.lap("segment again")
    growth = Growth(taught, before, after)
    fingerprint = segmenter.extractor.fingerprint
    return Story(cast, captioned, segmented, growth, fingerprint, stopwatch.seconds)
