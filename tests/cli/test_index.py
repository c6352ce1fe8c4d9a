"""`captionary index`: what it says, what it leaves, and what it refuses."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.cli.running import World, captionary, write_lines
from tests.indexer.readers.shards import write_shard
from tests.processes import captionary_process
from tests.stores import copy_store

REASONS = {
    "truncated": "is truncated or damaged",
    "empty": "is empty (0 bytes)",
    "huge": "has 900,000,000 pixels, more than the limit",
    "notes": "is not a picture",
    "missing": "does not exist",
}


def images_in(store: Path) -> int:
    answer = captionary("vocabulary", "stats", "--json", "--store", store)
    assert (answer.code, answer.err) == (0, "")
    return int(json.loads(answer.out)["images"])


@pytest.fixture
def store(world: World, tmp_path: Path) -> Path:
    """A copy of the dictionary, to be changed."""
    return copy_store(world.store, tmp_path / "store")


def test_a_clean_run_says_what_it_did_and_nothing_else(world: World) -> None:
    assert (world.indexed.code, world.indexed.err) == (0, "")
    assert world.indexed.out.startswith("8 pairs: 8 indexed, 0 known already, 0 refused; ")
    assert world.indexed.out.count("\n") == 1
    assert "\x1b" not in world.indexed.out
    assert images_in(world.store) == 8


def test_the_same_again_is_known_already(
    world: World, store: Path, models: tuple[str, ...]
) -> None:
    before = captionary("vocabulary", "stats", "--store", store).out

    answer = captionary("index", world.captions, "--store", store, "--source", "drawn", *models)

    assert answer.out.startswith("8 pairs: 0 indexed, 8 known already, 0 refused; 0 nouns")
    assert captionary("vocabulary", "stats", "--store", store).out == before


def test_shards_are_indexed_and_known_again(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    for name, images in (("00", world.images[:2]), ("01", world.images[2:4])):
        files = {"alone.txt": b"a dog"}
        for image in images:
            files[f"{image.stem}.png"] = image.read_bytes()
            files[f"{image.stem}.txt"] = b"a zebra beside a piano"
        write_shard(tmp_path / f"{name}.tar", files)
    command = ("index", tmp_path / "{00..02}.tar", "--store", tmp_path / "store", *models)

    answer, again = captionary(*command), captionary(*command)

    assert (answer.code, again.code) == (0, 0)
    assert answer.out.startswith("7 pairs: 4 indexed, 0 known already, 3 refused; ")
    assert answer.err.startswith("refused, first: 00.tar:alone: no alone.jpg beside .txt\n")
    assert again.out.startswith("7 pairs: 0 indexed, 4 known already, 3 refused; 0 nouns ")
    assert images_in(tmp_path / "store") == 4


def test_bad_pairs_are_told_and_not_fatal(
    world: World,
    store: Path,
    models: tuple[str, ...],
    wrong_pictures: dict[str, Path],
    tmp_path: Path,
) -> None:
    good, second = str(world.images[0]), str(world.images[1])
    rows = [
        *({"image": str(path), "caption": "a dog"} for path in wrong_pictures.values()),
        {"image": good, "caption": "so very much of it"},
        {"image": good, "caption": "   "},
        {"image": second, "caption": "a zebra beside a piano"},
        {"image": str(world.images[2]), "caption": "a kite", "id": "mine"},
        {"image": str(world.images[3]), "caption": "a kite", "id": "mine"},
    ]
    source = write_lines(tmp_path / "pairs.jsonl", rows)

    answer = captionary("index", source, "--store", store, *models)

    assert answer.code == 0
    assert answer.out.startswith("10 pairs: 2 indexed, 0 known already, 8 refused; ")
    first, where = answer.err.splitlines()
    assert first.startswith("refused, first: pairs.jsonl:")
    assert where == f"all of them: {store}.failures.jsonl"
    lines = Path(f"{store}.failures.jsonl").read_text(encoding="utf-8").splitlines()
    reasons = {(row["image"], row["reason"]) for row in map(json.loads, lines)}
    assert len(reasons) == 8
    for name, path in wrong_pictures.items():
        (reason,) = (reason for image, reason in reasons if image == str(path))
        assert REASONS[name] in reason
    assert sum("name nothing that can be seen" in reason for _, reason in reasons) == 1
    assert sum("no caption" in reason for _, reason in reasons) == 1
    assert sum("the id 'mine' belongs to another picture" in reason for _, reason in reasons) == 1
    assert images_in(store) == 9
    assert captionary("vocabulary", "show", "zebra", "--store", store).code == 0


def test_every_row_of_a_table_is_in_a_pair_or_refused(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    texts = ("Zèbre", "a zebra", "nan", '"a piano')
    rows = [f"{image};{text}" for image in world.images[:2] for text in texts]
    table = "\r\n".join(["image;caption", *rows, ""])
    (tmp_path / "s.csv").write_bytes(table.encode("cp1252"))

    answer = captionary("index", tmp_path / "s.csv", "--store", tmp_path / "store", *models)

    assert answer.out.startswith("8 rows, 6 pairs: 2 indexed, 0 known already, 4 refused; ")
    assert "s.csv:4: it has no caption" in answer.err
    assert "lines read as cp1252, as they are not UTF-8: 2 (first: s.csv:2)" in answer.err


def test_a_cut_emoji_is_refused_and_written_down(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [
        {"image": str(world.images[0]), "caption": "a zebra"},
        {"image": "cow \ud83d.jpg", "caption": "a cow"},
    ]
    source = write_lines(tmp_path / "cut.jsonl", rows)

    answer = captionary("index", source, "--store", tmp_path / "store", *models)

    assert answer.code == 0
    assert answer.out.startswith("2 pairs: 1 indexed, 0 known already, 1 refused; ")
    assert "it holds half a character (\\ud83d)" in answer.err
    (line,) = (tmp_path / "store.failures.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["image"] == r"cow \ud83d.jpg"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--proposer", "whole"), "the store was built with 'superpixels-"),
        (("--proposer", "magic"), "unknown proposer 'magic'; choose one of superpixels"),
        (("--embed", "magic"), "unknown way to embed 'magic'"),
        (("--device", "magic"), "unknown device 'magic'; choose one of auto"),
        (("--precision", "magic"), "unknown precision 'magic'; choose one of auto"),
        (("--pipeline", "xx_no_such"), "xx_no_such"),
        (("--keep", "none.txt"), "cannot read none.txt: No such file or directory; give a text"),
        (("--workers", "0"), "Invalid value for '--workers'"),
        (("--store", "ftp://localhost"), "the store ftp://... is of no known kind"),
        (("--store", "http://localhost/a/b"), "is no address of a Qdrant server"),
        (("--encoder", "local-dir:nowhere"), "the encoder folder nowhere does not exist"),
        (("--encoder", "ViT-B-17/openia"), "unknown encoder 'ViT-B-17/openia'; near it: ViT-B-16"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    options: tuple[str, ...],
    message: str,
    world: World,
    store: Path,
    models: tuple[str, ...],
) -> None:
    answer = captionary("index", world.captions, "--store", store, *models, *options)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert message in answer.err
    assert images_in(store) == 8


@pytest.mark.parametrize(
    "source",
    [
        *("missing.jsonl", "captions.docx", "empty", "noise.csv", "noise.tsv", "noise.txt"),
        *("noise.json", "noise.jsonl", "noise.parquet", "noise.csv.gz", "noise.tar"),
    ],
)
def test_a_source_that_cannot_be_read_makes_no_store(source: str, tmp_path: Path) -> None:
    (tmp_path / "captions.docx").write_bytes(b"no")
    (tmp_path / "empty").mkdir()
    if source.startswith("noise"):
        (tmp_path / source).write_bytes(bytes(range(256)) * 20)

    answer = captionary("index", tmp_path / source, "--store", tmp_path / "store")

    assert answer.code == 2
    assert answer.err.startswith("captionary: ")
    assert answer.err.count("\n") == 1
    assert source in answer.err
    assert not (tmp_path / "store").exists()


def test_a_folder_of_something_else_is_left_alone(
    world: World, models: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "thesis.txt").write_text("mine")

    answer = captionary("index", world.captions, "--store", tmp_path, *models)

    assert answer.code == 2
    assert "is not a store (it has no captionary.json)" in answer.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_says_how_to_go_on(
    scenes: Path, models: tuple[str, ...], tmp_path: Path
) -> None:
    captions, store = scenes / "captions.jsonl", tmp_path / "store"
    command = ["index", captions, "--store", store, "--workers", "1", *models]
    run = captionary_process(command, tmp_path)
    while not (store / "captionary.json").exists() and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)

    assert run.wait() == 130
    assert run.errors.read_text() == "interrupted; nothing is lost, run the same command again\n"
    assert images_in(store) < 40


def test_how_deep_pictures_were_read_is_told_once(models: tuple[str, ...], tmp_path: Path) -> None:
    ramp = np.mgrid[:48, :64].sum(axis=0).astype(np.uint16)
    bands = 40 * np.dstack([ramp, 2 * ramp, ramp[::-1], 3 * ramp])
    for number in range(3):
        tifffile.imwrite(
            tmp_path / f"{number}.tif", bands, photometric="minisblack", planarconfig="contig"
        )
    pairs = write_lines(
        tmp_path / "pairs.jsonl",
        [{"image": f"{number}.tif", "caption": "a dog", "id": f"{number}"} for number in range(3)],
    )

    answer = captionary("index", pairs, "--store", tmp_path / "store", *models)

    assert answer.code == 0
    first = tmp_path / "0.tif"
    assert answer.err.splitlines() == [
        f"pictures of deep values stretched by their own range: 3 (first: {first})",
        f"pictures with bands left out: 3 (first: {first}); choose them with --bands, as in 4,3,2",
    ]
    answer = captionary(
        *("segment", tmp_path / "0.tif", tmp_path / "1.tif", "--classes", "dog"),
        *("--store", tmp_path / "store", "--bands", "4,3,2", "--out", tmp_path / "out"),
    )
    assert answer.code == 0
    assert answer.err == (
        f"pictures of deep values stretched by their own range: 2 (first: {first})\n"
    )


@pytest.mark.parametrize("bands", ["4,3", "0,1,2", "red", "", "1,2,3,4", "-1"])
def test_bands_that_make_no_sense(bands: str, world: World) -> None:
    answer = captionary("index", world.captions, "--bands", bands)
    assert answer.code == 2
    assert "name three, for red, green and blue, or one, for grey, counted from 1" in answer.err
