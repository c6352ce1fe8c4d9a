"""What happens in the demo: captions teach a dictionary, which segments other scenes and grows."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import get_args

from captionary.build import Models, open_both
from captionary.cli.progress import Bars
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
from captionary.schemas.options import Fusion
from captionary.schemas.regions import CutPicture, Region
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.pictures.loading import load_picture

FUSIONS: tuple[Fusion, ...] = get_args(Fusion)


@dataclass(frozen=True, slots=True)
class Look:
    """A scene as the extractor sees it."""

    scene: Scene
    cut: CutPicture


@dataclass(frozen=True, slots=True)
class Asked:
    """A scene that was segmented; the regions are those of every answer, in order."""

    scene: Scene
    regions: Sequence[Region]
    answers: Mapping[Fusion, Segmentation]


@dataclass(frozen=True, slots=True)
class Growth:
    """Scenes with the newcomer, before and after captioned ones (`taught`) were indexed."""

    taught: Sequence[Scene]
    before: Sequence[Asked]
    after: Sequence[Asked]


@dataclass(frozen=True, slots=True)
class Told:
    """All that happened. seconds: of each part."""

    cast: Cast
    captioned: Sequence[Scene]
    held_out: Sequence[Asked]
    growth: Growth
    fingerprint: str
    seconds: Mapping[str, float]


class _Clock:
    """Seconds of each part, from lap to lap."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, part: str) -> None:
        now = time.perf_counter()
        self.seconds[part], self._last = now - self._last, now


@dataclass(frozen=True, slots=True)
class _Stage:
    """One dictionary, and a folder for the scenes that are shown to it."""

    indexer: Indexer
    segmenter: Segmenter
    classes: Sequence[ClassName]
    folder: Path
    lines: Bars

    def teach(self, scenes: Sequence[Scene], name: str) -> None:
        """Index captioned scenes."""
        source = write_captioned(scenes, self.folder / name)
        reading, nouns = self.lines.add(f"{name} scenes", len(scenes)), self.lines.add("nouns")
        self.indexer.index(
            read_pairs(str(source)),
            report=lambda job: reading.show(job.pairs),
            refreshed=nouns.show,
        )

    def look(self, scenes: Sequence[Scene], name: str) -> list[Look]:
        """Cut and embed scenes, a thread for each core."""
        files = write_dataset(scenes, self.folder / name, self.classes)
        bar = self.lines.add(f"{name} scenes", len(scenes))
        extract = self.segmenter.extractor.extract
        looks: list[Look] = []
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            extracted = pool.map(lambda file: extract(load_picture(file)), files)
            for scene, cut in zip(scenes, extracted, strict=True):
                looks.append(Look(scene, cut))
                bar.show(len(looks))
        return looks

    def ask(self, looks: Sequence[Look]) -> list[Asked]:
        """Segment scenes in every way."""
        return [Asked(look.scene, look.cut.regions, self._answers(look)) for look in looks]

    def _answers(self, look: Look) -> dict[Fusion, Segmentation]:
        label = partial(self.segmenter.label, look.cut, self.classes)
        return {fusion: label(Settings(fusion, evidence=1)) for fusion in FUSIONS}


def tell(folder: Path, models: Models, *, seed: int, sizes: Sizes, lines: Bars) -> Told:
    """Play the story; its scenes and its dictionary are written into a folder.

    Args:
        folder: it exists, and holds none of them.
        lines:  where progress is shown.

    Raises:
        WrongInput: the models cannot be used.
    """
    clock, cast = _Clock(), choose_cast(seed, sizes)
    with open_both(models, str(folder / "dictionary")) as (indexer, segmenter):
        stage = _Stage(indexer, segmenter, cast.classes, folder, lines)
        clock.lap("start")
        captioned = draw_scenes(cast, split="train", seed=seed, scenes=sizes.captioned)
        held_out = draw_scenes(cast, split="held-out", seed=seed, scenes=sizes.held_out)
        taught = draw_newcomer(cast, split="train", seed=seed, scenes=sizes.taught)
        unknown = draw_newcomer(cast, split="held-out", seed=seed, scenes=sizes.asked)
        clock.lap("draw")
        stage.teach(captioned, "captioned")
        clock.lap("index")
        asked = stage.ask(stage.look(held_out, "held-out"))
        looks = stage.look(unknown, "newcomer-held-out")
        before = stage.ask(looks)
        clock.lap("segment")
        stage.teach(taught, "newcomer")
        clock.lap("teach")
        after = stage.ask(looks)
        clock.lap("segment again")
    growth = Growth(taught, before, after)
    return Told(cast, captioned, asked, growth, segmenter.extractor.fingerprint, clock.seconds)
