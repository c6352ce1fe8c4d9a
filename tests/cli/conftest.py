"""Wrong pictures, and a small dictionary made through the command line."""

from pathlib import Path

import pytest
import torch

from tests.cli.running import World, captionary, huge_png
from tests.scenes import draw

PICTURES = 8


@pytest.fixture(scope="session")
def models(mini: str) -> tuple[str, ...]:
    """Options that name the encoder; one thread, as others may use the machine too."""
    torch.set_num_threads(1)
    return ("--encoder", mini, "--device", "cpu")


@pytest.fixture(scope="session")
def world(models: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = draw(tmp_path_factory.mktemp("world") / "scenes", PICTURES)
    captions, store = folder / "captions.jsonl", folder.parent / "store"
    indexed = captionary("index", captions, "--store", store, "--source", "drawn", *models)
    return World(captions, tuple(sorted((folder / "images").iterdir())), store, indexed)


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
