"""Pictures whose names are not UTF-8 are indexed and segmented, and shown in what is written."""

import io
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from captionary.cli.main import main
from tests.cli.running import World, captionary

LATIN = os.fsdecode(b"caf\xe9")


@pytest.fixture
def folder(world: World, tmp_path: Path) -> Path:
    """A folder of an old archive: a good picture, one of no noun, and one that is damaged."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name, text in ((LATIN, "a zebra beside a piano"), (f"{LATIN}2", "so very much of it")):
        shutil.copy(world.images[0], folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(text)
    (folder / f"{LATIN}3.png").write_bytes(b"\x89PNG")
    (folder / f"{LATIN}3.txt").write_text("a dog")
    (folder / f"{LATIN}.mp4").touch()
    return folder


def test_a_folder_is_indexed_and_what_is_refused_is_listed(
    folder: Path, models: tuple[str, ...], tmp_path: Path
) -> None:
    answer = captionary("index", folder, "--store", tmp_path / "store", *models)

    assert answer.code == 0
    assert answer.out.startswith("3 pairs: 1 indexed, 0 known already, 2 refused; ")
    assert r"refused, first: in/caf\xe92.txt: its captions name nothing" in answer.err
    assert r"neither pictures nor captions (.mp4 1): 1 (first: in/caf\xe9.mp4)" in answer.err
    lines = (tmp_path / "store.failures.jsonl").read_text(encoding="utf-8").splitlines()
    images = [json.loads(line)["image"] for line in lines]
    assert images == [rf"{folder}/caf\xe92.png", rf"{folder}/caf\xe93.png"]
    assert captionary("vocabulary", "show", "zebra", "--store", tmp_path / "store").code == 0


def test_a_folder_is_segmented_into_every_format(
    folder: Path, models: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / LATIN

    answer = captionary(
        *("segment", folder, "--classes", "zebra, piano", "--fusion", "text", "--out", out),
        *("--format", "overlay,png,json,coco", *models),
    )

    assert (answer.code, answer.out) == (
        2,
        f"2 of 3 pictures segmented into {tmp_path}/caf\\xe9\n",
    )
    assert rf"{folder}/caf\xe93.png is truncated or damaged" in answer.err
    assert {path.name for path in out.iterdir()} == {
        "classes.txt",
        *(f"{LATIN}{n}{end}" for n in ("", "2") for end in (".overlay.jpg", ".png", ".json")),
        *(f"{LATIN}{n}.coco.json" for n in ("", "2")),
    }
    coco = json.loads((out / f"{LATIN}.coco.json").read_bytes().decode())
    assert coco["images"][0]["file_name"] == r"caf\xe9.png"


def test_what_a_terminal_cannot_show_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(printed, "ascii"))

    with pytest.raises(SystemExit) as end:
        main(["index", f"bär/{LATIN}.csv"])

    sys.stderr.flush()
    assert end.value.code == 2
    assert printed.getvalue().startswith(rb"captionary: b\xe4r/caf\xe9.csv does not exist; ")
