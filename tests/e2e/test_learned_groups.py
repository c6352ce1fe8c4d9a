"""What the bundled models have learned from captions alone: where things are, and what they are."""

import json
from pathlib import Path
from statistics import fmean

import pytest
import torch

from captionary.vision.clip.catalogue import GROUPING_MODELS
from tests.cli.running import captionary
from tests.scenes import draw

SEEN = ("dog", "banana", "umbrella", "car", "book", "key", "bus", "house")
NOVEL = ("penguin", "watermelon", "robot")


def run(*arguments: object) -> str:
    answer = captionary(*arguments, "--device", "cpu")
    assert answer.code == 0
    assert all("has no noun for" in line for line in answer.err.splitlines())
    return answer.out


@pytest.fixture(scope="module")
def held_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return draw(tmp_path_factory.mktemp("held-out"), 30, nouns=(*SEEN, *NOVEL), split="held-out")


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("captioned"), 40, nouns=(*SEEN, *NOVEL))


@pytest.mark.parametrize("name", GROUPING_MODELS)
def test_own_groups_segment_what_was_learned_and_what_captions_teach(
    name: str, held_out: Path, captioned: Path, tmp_path: Path
) -> None:
    def evaluate(fusion: str) -> dict[str, float | None]:
        models = ("--encoder", name, "--store", store, "--fusion", fusion)
        run("evaluate", held_out, *models, "--json", tmp_path / "figures.json")
        figures = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))
        assert figures["settings"]["fingerprint"].startswith("groups-")
        iou: dict[str, float | None] = figures["iou"]
        return iou

    def miou(iou: dict[str, float | None], nouns: tuple[str, ...]) -> float:
        return fmean(iou[noun] or 0 for noun in nouns)

    store = tmp_path / "store"
    run("index", captioned / "captions.jsonl", "--encoder", name, "--store", store)

    by_text, by_both = evaluate("text"), evaluate("both")
    assert miou(by_text, SEEN) > 0.2
    assert miou(by_both, NOVEL) > miou(by_text, NOVEL) + 0.1
