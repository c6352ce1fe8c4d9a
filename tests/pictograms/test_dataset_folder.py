import json
import shutil
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.indexer.readers import read_pairs
from captionary.pictograms.dataset_folder import write_world
from captionary.pictograms.nouns import Kind, choose_nouns
from captionary.pictograms.world import World
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption
from captionary.vision.masks.datasets import DatasetFolder, read_mask

SIZE, SCENES = 32, 6


def world_of(kind: Kind = "seen", *, seed: int = 0, captions: int = 2) -> World:
    return World(choose_nouns(kind), size=SIZE, seed=seed, captions=captions)


def write(folder: Path, *, scenes: int = SCENES, kind: Kind = "seen", seed: int = 0) -> list[int]:
    return list(write_world(world_of(kind, seed=seed), folder, scenes=scenes, nouns=kind))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("kind", "mode"), [("seen", "I;16"), ("novel", "L")])
def test_a_folder_is_a_dataset(kind: Kind, mode: str, tmp_path: Path) -> None:
    world, folder = world_of(kind), tmp_path / "deep" / "out"
    assert write(folder, kind=kind) == [1, 2, 3, 4, 5, 6]
    data = DatasetFolder(folder)
    assert data.classes == world.classes
    assert [item.image.name for item in data] == [f"0000{number}.png" for number in range(SCENES)]
    for number, item in enumerate(data):
        scene = world.scene(number)
        with Image.open(item.image) as picture, Image.open(item.mask) as mask:
            assert (picture.mode, mask.mode) == ("RGB", mode)
            np.testing.assert_array_equal(np.asarray(picture), scene.picture)
        labels = read_mask(item.mask, size_hw=(SIZE, SIZE), classes=len(data.classes))
        np.testing.assert_array_equal(labels, scene.labels)


def test_its_captions_are_a_source(tmp_path: Path) -> None:
    write(tmp_path)
    pairs = list(read_pairs(str(tmp_path / "captions.jsonl")))
    assert len(pairs) == SCENES
    for number, pair in enumerate(pairs):
        assert isinstance(pair, ImageCaption)
        assert isinstance(pair.image, str)
        assert Path(pair.image) == tmp_path / "images" / f"0000{number}.png"
        assert pair.captions == world_of().captions_of(number)


def test_it_says_what_it_is_and_whose_the_drawings_are(tmp_path: Path) -> None:
    write(tmp_path, seed=5)
    facts = json.loads((tmp_path / "world.json").read_text(encoding="utf-8"))
    assert facts.pop("sprites").endswith("SIL Open Font License 1.1")
    assert facts == {
        "world": "pictograms",
        "nouns": "seen",
        "split": "train",
        "seed": 5,
        "size": SIZE,
        "objects": None,
        "captions": 2,
        "ground_share": world_of().ground_share,
        "classes": len(world_of().classes),
        "scenes": SCENES,
    }


def test_a_run_cut_short_is_run_again(tmp_path: Path) -> None:
    write(tmp_path / "whole")
    cut = tmp_path / "cut"
    assert list(islice(write_world(world_of(), cut, scenes=SCENES, nouns="seen"), 3)) == [1, 2, 3]
    assert not (cut / "captions.jsonl").exists()
    (cut / "masks" / "00002.png").unlink()
    (cut / "masks" / ".00002.png.1a2b3c4d.part").write_bytes(b"half")

    assert write(cut) == [1, 2, 3, 4, 5, 6]

    assert contents(cut) == contents(tmp_path / "whole")


def test_killed_at_the_very_start(tmp_path: Path) -> None:
    (tmp_path / ".world.json.1a2b3c4d.part").write_text("{")
    write(tmp_path)
    assert not (tmp_path / ".world.json.1a2b3c4d.part").exists()


def test_what_is_there_is_not_drawn_again(tmp_path: Path) -> None:
    write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")} == before


def test_a_folder_can_grow_but_not_shrink(tmp_path: Path) -> None:
    write(tmp_path / "large")
    write(tmp_path / "small", scenes=2)
    assert len(DatasetFolder(tmp_path / "small")) == 2
    with pytest.raises(WrongInput, match="is to hold 6 scenes, more than 2; give as many or more"):
        write(tmp_path / "large", scenes=2)

    write(tmp_path / "small")

    assert contents(tmp_path / "small") == contents(tmp_path / "large")


def test_another_world_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    before = contents(tmp_path)
    with pytest.raises(WrongInput, match="holds a world with seed 0, not 1; give that, or another"):
        write(tmp_path, seed=1)
    with pytest.raises(WrongInput, match="holds a world with nouns seen, not novel"):
        write(tmp_path, kind="novel")
    with pytest.raises(WrongInput, match="holds a world with captions 2, not 3"):
        list(write_world(world_of(captions=3), tmp_path, scenes=SCENES, nouns="seen"))
    assert contents(tmp_path) == before


def test_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(WrongInput, match=r"holds something else \(it has no world\.json\)"):
        write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(WrongInput, match=r"cannot write into .*thesis\.txt: File exists"):
        write(tmp_path / "thesis.txt")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"scenes": null}', "\xff"])
def test_a_world_file_that_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "world.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(WrongInput, match=r"world\.json describes no world; give another folder"):
        write(tmp_path)


def test_a_folder_that_was_moved_still_grows(tmp_path: Path) -> None:
    write(tmp_path / "a", scenes=2)
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert write(tmp_path / "b", scenes=3) == [1, 2, 3]
