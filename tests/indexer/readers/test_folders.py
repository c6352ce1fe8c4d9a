"""Folders as people have them: texts beside pictures, folders within folders, and other files."""

import json
import os
from pathlib import Path

import pytest

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.readers.shards import numbered

Said = dict[str, tuple[str, ...]]


def write(folder: Path, *names: str | bytes, text: str = "a cow") -> Path:
    """Make files, with the folders that they are in; what is no picture holds a text."""
    for name in names:
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text if path.suffix != ".json" else json.dumps({"caption": text}))
    return folder


def said(folder: Path, source: str | None = None) -> Said:
    """The captions of a folder by the names of the pictures below it."""
    items = read_pairs(source or str(folder))
    pairs = [item for item in items if isinstance(item, ImageCaption)]
    return {os.path.relpath(str(pair.image), folder): pair.captions for pair in pairs}


def notes(folder: Path) -> list[str]:
    return [str(item) for item in read_pairs(str(folder)) if isinstance(item, Note)]


@pytest.mark.parametrize(
    "text",
    [
        *("a.txt", "a.TXT", "a.caption", "a.captions", "a.jpg.txt", "a.jpg.caption"),
        *("a.caption.txt", "a.JPG.txt", "a.json", "a.jpg.json"),
    ],
)
def test_captions_stand_beside_their_picture_by_any_usual_name(text: str, tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", text)

    assert said(tmp_path) == {"a.jpg": ("a cow",)}
    assert notes(tmp_path) == []


def test_dots_in_names_are_part_of_them(tmp_path: Path) -> None:
    names = ["img.v1", "img.v2", "2024.01.02_a", "img"]
    write(tmp_path, *(f"{name}{kind}" for name in names for kind in (".jpg", ".txt")))

    assert said(tmp_path).keys() == {f"{name}.jpg" for name in names}


def test_a_txt_counts_before_other_captions_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "a.caption", "a.jpg.txt", "b.jpg", "b.json", "b.txt", text="other")
    (tmp_path / "a.txt").write_text("a cow")

    assert said(tmp_path) == {"a.jpg": ("a cow",), "b.jpg": ("other",)}
    (note,) = notes(tmp_path)
    assert note.startswith(f"pictures with several files of captions: 1 (first: {tmp_path.name}/a.")


def test_json_about_something_else_is_no_caption(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "a.txt", "b.jpg", "c.jpg")
    (tmp_path / "b.json").write_text('{"shapes": []}')
    (tmp_path / "c.json").write_text("[1")

    reasons = [item.reason for item in read_pairs(str(tmp_path)) if isinstance(item, PairFailure)]

    assert reasons[0] == "no b.txt with captions beside it"
    assert reasons[1].startswith("it is not JSON: ")


def test_folders_within_are_walked_in_order_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("b/a", "b", "a/x/1", "a/1", ".git/a", "__MACOSX/a", "@eaDir/a", "a/.trash/2"):
        write(tmp_path, f"{name}.jpg", f"{name}.txt")
    write(tmp_path, "._b.jpg", "a/._1.txt", ".DS_Store")

    assert list(said(tmp_path)) == ["b.jpg", "a/1.jpg", "a/x/1.jpg", "b/a.jpg"]
    assert count_pairs(str(tmp_path)) == 4
    assert notes(tmp_path) == []


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    elsewhere, folder = write(tmp_path / "x", "a.jpg", "a.txt"), tmp_path / "folder"
    write(folder, "b.jpg", "b.txt")
    (folder / "linked").symlink_to(elsewhere)
    (folder / "again").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)

    assert list(said(folder)) == ["b.jpg", "again/a.jpg"]


def test_what_img2dataset_writes_as_files_is_read(tmp_path: Path) -> None:
    write(
        tmp_path, *(f"00000/00000000{n}.{kind}" for n in (0, 1) for kind in ("jpg", "txt", "json"))
    )
    write(tmp_path, "00000.parquet", "00000_stats.json")

    assert said(tmp_path).keys() == {"00000/000000000.jpg", "00000/000000001.jpg"}
    (note,) = notes(tmp_path)
    assert "files that are neither pictures nor captions (.parquet 1, .json 1): 2" in note


def test_all_that_is_no_pair_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a.jpg", "a.txt", "b.heic", "x/c.txt", "film.mp4", "x/film2.MP4", "Thumbs.db")
    write(tmp_path, "README", "d.cr2", "d.txt")

    items = list(read_pairs(str(tmp_path)))

    name = tmp_path.name
    assert [item for item in items if isinstance(item, PairFailure)] == [
        PairFailure(f"{name}/b.heic", "b.heic", "no b.txt with captions beside it")
    ]
    lost, others = notes(tmp_path)
    assert lost == (
        f"texts without a picture beside them: 2 (first: {name}/d.txt); "
        "a text is called like its picture"
    )
    assert others.startswith("files that are neither pictures nor captions (.mp4 2, ")
    assert {"without a suffix 1", ".db 1", ".cr2 1"} <= set(
        others.partition(")")[0][46:].split(", ")
    )


def test_a_folder_without_pairs_says_what_it_holds(tmp_path: Path) -> None:
    write(tmp_path, "train/a.jpg", "train/metadata.csv", "b.zip", "c.txt")

    with pytest.raises(WrongInput) as caught:
        read_pairs(str(tmp_path))

    assert "(1 pictures, 1 texts; others: .zip 1, .csv 1)" in str(caught.value)
    assert f"or name {tmp_path}/train/metadata.csv as SOURCE" in str(caught.value)


def test_a_folder_that_cannot_be_listed_does_not_end_the_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a/1.jpg", "a/1.txt", "b/1.jpg", "b/1.txt")
    whole = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)

    failure, pair = read_pairs(str(tmp_path))

    assert isinstance(failure, PairFailure)
    assert failure.reason == f"cannot read {tmp_path}/a: Permission denied"
    assert isinstance(pair, ImageCaption)


LATIN, COMPOSED, DECOMPOSED = b"caf\xe9", b"caf\xc3\xa9", b"cafe\xcc\x81"


@pytest.mark.parametrize("picture", [LATIN, COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("text", [LATIN, COMPOSED, DECOMPOSED])
def test_names_that_look_alike_belong_together(picture: bytes, text: bytes, tmp_path: Path) -> None:
    write(tmp_path, picture + b"/" + picture + b".jpg", picture + b"/" + text + b".txt")

    ((name, captions),) = said(tmp_path).items()

    assert os.fsencode(name) == picture + b"/" + picture + b".jpg"
    assert captions == ("a cow",)


@pytest.mark.parametrize("disk", [LATIN, COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("folder", ["", "images/"])
@pytest.mark.parametrize("table", ["café.jpg", "cafe\u0301.jpg"])
def test_a_table_finds_pictures_whose_names_look_alike(
    table: str, folder: str, disk: bytes, tmp_path: Path
) -> None:
    write(tmp_path, folder.encode() + disk + b".jpg")
    (tmp_path / "s.jsonl").write_text(json.dumps({"image": table, "caption": "a cow"}))

    (name,) = said(tmp_path, str(tmp_path / "s.jsonl"))

    assert os.fsencode(name) == folder.encode() + disk + b".jpg"


def test_shards_in_folders_are_read_and_pictures_beside_them_told(tmp_path: Path) -> None:
    pairs = numbered(tmp_path, ["a/0.tar", "b/0.tar"])
    write(tmp_path, "c/1.jpg", "c/1.txt")

    items = list(read_pairs(str(tmp_path)))

    assert len([item for item in items if isinstance(item, ImageCaption)]) == len(pairs)
    (note,) = notes(tmp_path)
    assert note.startswith("pictures beside shards, not read: 1 (first: c/1.jpg)")
