"""`captionary vocabulary export` and `import`: a dictionary goes into a file, and out of it."""

import json
from pathlib import Path

import pytest
import torch
from pyarrow import parquet

from captionary.vision.hardware import has_bfloat16
from captionary.vocabulary.sharing import MANIFEST
from tests.cli.running import World, captionary
from tests.stores import copy_store


def shown(store: Path) -> list[str]:
    """All nouns with counts, and all of one of them."""
    listed = captionary("vocabulary", "list", "--limit", 0, "--store", store).out
    return [listed, captionary("vocabulary", "show", "teddy bear", "--store", store).out]


def test_an_exported_dictionary_is_imported_anywhere(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    file, store = tmp_path / "shared.parquet", tmp_path / "store"
    options = ("--license", "CC0", "--note", "drawn=by = hand", "--store", world.store)
    answer = captionary("vocabulary", "export", file, *options)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("8 pictures with ")
    manifest = json.loads(parquet.ParquetFile(file).metadata.metadata[MANIFEST])
    assert manifest["license"] == "CC0"
    assert manifest["sources"] == [{"name": "drawn", "pictures": 8, "note": "by = hand"}]

    # The models are those that the file names.
    answer = captionary("vocabulary", "import", file, "--store", store, "--device", "cpu")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("8 pictures: 8 added or joined, 0 known already, 0 left out; ")
    assert shown(store) == shown(world.store)
    again = captionary("vocabulary", "import", file, world.store, "--store", store, *models)
    assert again.out.startswith("16 pictures: 0 added or joined, 16 known already, 0 left out; 0 ")
    assert shown(store) == shown(world.store)


def test_a_picture_of_another_id_is_left_out_and_told(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    stores = [tmp_path / "one", tmp_path / "two"]
    for store, image in zip(stores, world.images, strict=False):
        lines = tmp_path / f"{store.name}.jsonl"
        lines.write_text(json.dumps({"id": "same", "image": str(image), "caption": "a dog"}))
        assert captionary("index", lines, "--store", store, *models).code == 0
    answer = captionary("vocabulary", "import", stores[0], "--store", stores[1], *models)
    assert answer.code == 2
    assert answer.out.startswith("1 pictures: 0 added or joined, 0 known already, 1 left out; ")
    assert answer.err.startswith(f"left out: {stores[0]}: the id 'same' belongs to another picture")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("import", "nowhere.parquet"), "there is no nowhere.parquet; name a file of"),
        (("import", "EMPTY"), "there is no dictionary at "),
        (("import", "DAMAGED"), "is no exported dictionary, or was cut short"),
        (("import", "OTHER"), "only dictionaries of the same models can be joined"),
        (("export", "FOLDER"), "cannot write "),
        (("export", "a.parquet", "--note", "drawn"), "--note 'drawn' must be SOURCE=TEXT"),
        (("export", "a.parquet", "--note", "x=y"), "has no source 'x'; its sources are 'drawn'"),
    ],
)
def test_what_cannot_be_shared_is_said_in_one_line(
    command: tuple[str, ...],
    message: str,
    world: World,
    models: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    store = copy_store(world.store, tmp_path / "store")
    place = tmp_path / command[1]
    if command[1] in ("EMPTY", "FOLDER"):
        place.mkdir()
    elif command[1] == "DAMAGED":
        place.write_bytes(b"PAR1")
    elif command[1] == "OTHER":
        cut = ("--proposer", "whole", "--store", place, *models)
        assert captionary("index", world.captions, *cut).code == 0
    own = models if command[0] == "import" else ()

    answer = captionary("vocabulary", *command, "--store", store, *own)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err


def test_an_encoder_that_does_not_fit_makes_nothing(world: World, tmp_path: Path) -> None:
    file, store = tmp_path / "shared.parquet", tmp_path / "store"
    captionary("vocabulary", "export", file, "--no-thumbnails", "--store", world.store)
    # The one of the two that the store was not built in: `auto` depends on the processor.
    other = "float32" if has_bfloat16(torch.device("cpu")) else "bfloat16"
    options = ("--store", store, "--encoder", "mini", "--precision", other)
    answer = captionary("vocabulary", "import", file, *options)
    assert answer.code == 2
    assert "the store was built with" in answer.err
    assert not store.exists()
