"""What Captionary is for, on scenes with true masks: captions teach what the encoder lacks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import pytest
import torch

from tests.cli.running import Answer, captionary
from tests.scenes import draw

SEEN = (
    *("dog", "cow", "fish", "banana", "chair", "umbrella"),
    *("car", "book", "key", "hammer", "bus", "house"),
)
NOVEL = ("penguin", "cactus", "watermelon", "camera", "helicopter", "robot")

Ious = Mapping[str, float | None]
"""Intersection over union of each class, None where it is nowhere."""


@dataclass(frozen=True)
class Bench:
    """A dictionary, and held-out scenes of all nouns to measure it on."""

    folder: Path
    held_out: Path

    def index(self, scenes: Path, *, source: str) -> Answer:
        captions, masks = scenes / "captions.jsonl", f"masks:{scenes / 'masks'}"
        models = ("--encoder", "mini", "--proposer", masks, "--device", "cpu")
        return self.run("index", captions, "--source", source, *models)

    def ious(self, fusion: str) -> Ious:
        file = self.folder / f"{fusion}.json"
        masks = f"masks:{self.held_out / 'masks'}"
        models = ("--encoder", "mini", "--proposer", masks, "--device", "cpu")
        self.run("evaluate", self.held_out, "--fusion", fusion, "--json", file, *models)
        figures: Ious = json.loads(file.read_text(encoding="utf-8"))["iou"]
        return figures

    def nouns(self) -> set[str]:
        lines = self.run("vocabulary", "list", "--limit", 0).out.splitlines()[1:-1]
        return {" ".join(line.split()[:-3]) for line in lines}

    def run(self, *arguments: object) -> Answer:
        answer = captionary(*arguments, "--store", self.folder / "store")
        assert answer.code == 0
        assert all("has no noun for" in line for line in answer.err.splitlines())
        return answer


@dataclass(frozen=True)
class Story:
    """How well classes were found, and what nouns there were, as the dictionary grew and shrank."""

    by_text: Ious
    before: Ious
    taught: Ious
    removed: Ious
    nouns_before: set[str]
    nouns_taught: set[str]
    nouns_removed: set[str]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """First a source of what the encoder knows, then one with what it never saw, then without."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("story")
    everything = (*SEEN, *NOVEL)
    known = draw(folder / "known", 30, nouns=SEEN)
    novel = draw(folder / "novel", 60, nouns=everything)
    held_out = draw(folder / "held-out", 30, nouns=everything, split="held-out")
    bench = Bench(folder, held_out)
    bench.index(known, source="known")
    before, nouns_before = bench.ious("both"), bench.nouns()
    bench.index(novel, source="novel")
    taught, nouns_taught = bench.ious("both"), bench.nouns()
    bench.run("vocabulary", "remove", "--source", "novel")
    return Story(
        by_text=bench.ious("text"),
        before=before,
        taught=taught,
        removed=bench.ious("both"),
        nouns_before=nouns_before,
        nouns_taught=nouns_taught,
        nouns_removed=bench.nouns(),
    )


def mean(ious: Ious, names: tuple[str, ...]) -> float:
    """The mean over the classes that are somewhere."""
    return fmean(iou for name in names if (iou := ious[name]) is not None)


def test_novel_nouns_are_found_far_better_than_by_text_alone(story: Story) -> None:
    assert mean(story.taught, NOVEL) > mean(story.by_text, NOVEL) + 0.5


def test_a_second_source_teaches_what_the_first_did_not(story: Story) -> None:
    assert not story.nouns_before & {*NOVEL}
    assert story.nouns_before < story.nouns_taught
    assert story.nouns_taught >= {*NOVEL}
    assert mean(story.taught, NOVEL) > mean(story.before, NOVEL) + 0.5


def test_what_the_encoder_knows_is_found_as_well_as_before(story: Story) -> None:
    assert mean(story.taught, SEEN) > mean(story.by_text, SEEN) - 0.05


def test_without_the_source_everything_is_as_if_it_had_never_been(story: Story) -> None:
    assert story.nouns_removed == story.nouns_before
    assert story.removed == pytest.approx(story.before, abs=1e-6, nan_ok=True)
