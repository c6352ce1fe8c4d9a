"""Wrong pictures, and a small dictionary made through the command line."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.captionary.running import SIDE, World, captionary, huge_png, write_lines

PICTURES = 8


@pytest.fixture(scope="session")
def models(photo_mini: str) -> tuple[str, ...]:
    """Options that name the encoder; one thread, as others may use the machine too."""
    torch.set_num_threads(1)
    return ("--encoder", photo_mini, "--device", "cpu")


@pytest.fixture(scope="session")
def world(shared: Path, models: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    coco = shared / "data" / "coco"
    lines = (coco / "captions.jsonl").read_text(encoding="utf-8").splitlines()[:PICTURES]
    rows = [json.loads(line) for line in lines]
    images = tuple(folder / row["image"] for row in rows)
    for image in images:
        with Image.open(coco / "images" / image.name) as picture:
            picture.resize((SIDE, SIDE)).save(image, quality=90)
    captions = write_lines(
        folder / "captions.jsonl",
        [{"image": row["image"], "captions": row["captions"]} for row in rows],
    )
    store = folder / "store"
    indexed = captionary("index", captions, "--store", store, "--source", "coco", *models)
    return World(captions, images, store, indexed)


@pytest.fixture
def wrong_pictures(world: World, tmp_path: Path) -> dict[str, Path]:
    """A picture file for everything that can be wrong with one."""
    folder = tmp_path / "wrong"
    folder.mkdir()
    whole = world.images[0].read_bytes()
    contents = {
        "truncated.jpg": whole[: len(whole) // 2],
        "empty.jpg": b"",
        "huge.png": huge_png(),
        "notes.jpg": b"not a picture at all",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {Path(name).stem: folder / name for name in (*contents, "missing.jpg")}
