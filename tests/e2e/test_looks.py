"""A dictionary with look vectors through the command line: grown, corrected, copied, asked."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from captionary.build import ModelNames, Parts
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.centring import centred
from tests.cli.running import Answer, captionary
from tests.indexer.planted import Dump, dump
from tests.scenes import SIDE, draw
from tests.served import PATIENCE, ready, service
from tests.stores import copy_store

LOOKS = "look-lite0:64"
MODELS = ("--encoder", "mini", "--proposer", "superpixels", "--looks", LOOKS, "--device", "cpu")
CLASSES = "dog, apple, bus, person: man | woman, zeppelin"


def run(*arguments: object) -> Answer:
    answer = captionary(*arguments)
    assert answer.code == 0, answer.err
    return answer


def held(store: Path) -> Dump:
    """All that a store holds, both vectors of every point among it."""
    with closing(Parts(str(store))) as parts:
        return dump(parts.stored)


@dataclass(frozen=True)
class Story:
    """A store that has taken in a second source and lost it again, and what it held between."""

    scenes: Path
    store: Path
    first: Dump
    grown: Dump
    removed: Dump


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("looks")
    scenes, store = draw(folder / "scenes", 12), folder / "store"
    lines = (scenes / "captions.jsonl").read_text(encoding="utf-8").splitlines()
    states = []
    for name, part in (("first", lines[:6]), ("second", lines[6:10])):
        (scenes / f"{name}.jsonl").write_text("\n".join(part), encoding="utf-8")
        # The second time the store says which models.
        models = MODELS if name == "first" else ("--device", "cpu")
        run("index", scenes / f"{name}.jsonl", "--store", store, "--source", name, *models)
        states.append(held(store))
    run("vocabulary", "remove", "--source", "second", "--store", store)
    return Story(scenes, store, states[0], states[1], held(store))


def test_every_region_and_prototype_has_both_vectors(story: Story) -> None:
    for name in ("regions", "prototypes"):
        assert len(story.grown[name]) > len(story.first[name]) > 0
        for _, (clip, look) in story.grown[name].values():
            vectors = [np.frombuffer(one, np.float32) for one in (clip, look)]
            assert [len(one) for one in vectors] == [192, 1280]
            np.testing.assert_allclose([np.linalg.norm(one) for one in vectors], 1, atol=1e-3)
    assert {look for _, (_, look) in story.first["pictures"].values()} == {None}


def test_what_is_removed_was_never_there(story: Story) -> None:
    assert story.removed == story.first


def test_a_copy_has_both_vectors(story: Story, tmp_path: Path) -> None:
    run("vocabulary", "copy", story.store, tmp_path / "copy")
    assert held(tmp_path / "copy") == story.first


def segmented(story: Story, out: Path, *options: object) -> dict[str, Any]:
    """What is told of a scene that is not in the dictionary."""
    picture = sorted((story.scenes / "images").iterdir())[-1]
    command = ("segment", picture, "--classes", CLASSES, "--store", story.store, "--out", out)
    run(*command, "--format", "png,json", "--evidence", 2, *options)
    with Image.open(out / f"{picture.stem}.png") as labels:
        assert labels.size == (SIDE, SIDE)
    told: dict[str, Any] = json.loads((out / f"{picture.stem}.json").read_text(encoding="utf-8"))
    return told


def test_all_witnesses_are_told_and_evidence_is_near_in_looks(story: Story, tmp_path: Path) -> None:
    told = segmented(story, tmp_path)
    assert told["without_noun"] == ["zeppelin"]
    shown = [one for region in told["regions"] for one in region["evidence"]]
    assert shown
    for region in told["regions"]:
        said = {name: region[name] for name in ("text", "neighbours", "prototype", "captions")}
        silent = ("prototype", "captions") if region["class"] == "zeppelin" else ()
        assert {name for name, share in said.items() if share is None} == {*silent}
        assert all(0 <= share <= 1 for share in said.values() if share is not None)
    with closing(Parts(str(story.store), ModelNames(device="cpu"))) as parts:
        looks = {(p.noun, p.number): p.look for p in parts.stored.prototypes(["dog", "apple"])}
        picture = sorted((story.scenes / "images").iterdir())[-1]
        table = parts.extractor.extract(load_picture(picture)).table
        own = centred(table.looks, parts.retriever.common_parts().look)
    for row, region in enumerate(told["regions"]):
        for one in region["evidence"]:
            look = looks.get((one["noun"], one["number"]))
            if look is not None:
                assert one["similarity"] == pytest.approx(float(own[row] @ look), abs=1e-4)


@pytest.mark.parametrize("fusion", ["text", "text+prototypes", "neighbours+captions"])
def test_witnesses_can_be_named(fusion: str, story: Story, tmp_path: Path) -> None:
    told = segmented(story, tmp_path, "--fusion", fusion, *(MODELS if fusion == "text" else ()))
    expected = {"text", *("prototype" if n == "prototypes" else n for n in fusion.split("+"))}
    said = [
        {name for name in ("text", "neighbours", "prototype", "captions") if region[name]}
        for region in told["regions"]
    ]
    assert set().union(*said) == expected


def test_evaluate_names_the_look_model(story: Story, tmp_path: Path) -> None:
    """By its fingerprint; and another one is refused."""
    command = ("evaluate", story.scenes, "--part", "1/6", "--store", story.store, "--device", "cpu")
    run(*command, "--looks", LOOKS, "--json", tmp_path / "figures.json")
    settings = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["settings"]
    assert settings["fusion"] == "all"
    assert "looks-" in settings["fingerprint"]
    refused = captionary(*command, "--looks", "look-lite0:96")
    assert refused.code == 2
    assert "the store was built with" in refused.err


def test_index_refuses_another_look_model_and_changes_nothing(story: Story) -> None:
    for looks in ("none", "look-lite0@2:64"):
        command = ("index", story.scenes / "second.jsonl", "--store", story.store)
        refused = captionary(*command, "--looks", looks, "--device", "cpu")
        assert refused.code == 2
        assert "the store was built with" in refused.err
    assert held(story.store) == story.first


@pytest.fixture
def address(story: Story, tmp_path: Path) -> Iterator[str]:
    options = ("--state", str(tmp_path / "state"), "--looks", LOOKS, "--device", "cpu")
    store = copy_store(story.store, tmp_path / "store")
    with service(store, tmp_path / "log", *options) as both:
        ready(both.address)
        yield both.address


def test_it_is_served(address: str, story: Story, tmp_path: Path) -> None:
    """With the same answer as on the command line."""
    told = segmented(story, tmp_path)
    data = sorted((story.scenes / "images").iterdir())[-1].read_bytes()
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        answer = client.post(
            "/v1/segment", files={"image": data}, data={"classes": CLASSES, "evidence": "2"}
        ).raise_for_status()
        near = client.post("/v1/retrieve", files={"image": data}).raise_for_status()
    assert answer.json()["masks"] == told["masks"]
    assert answer.json()["regions"] == told["regions"]
    assert near.json()["nouns"]
