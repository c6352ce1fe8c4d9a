"""YOLO datasets: polygons and boxes in shares of pictures, in the layouts of common exports."""

from pathlib import Path

import pytest
from PIL import Image

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.pointing import BoxArea, PointedArea, PolygonArea
from tests.indexer.readers.sources import read

NAMES = "names: [dog, cat]\n"
POLYGON = PointedArea("cat", PolygonArea(((0, 0, 10, 0, 10, 20),)))
BOX = PointedArea("dog", BoxArea(2, 5, 4, 10))


def picture(folder: Path, name: str, labels: str | bytes | None = "1 0 0 .5 0 0.5 1\n") -> Path:
    """A picture of 20 x 20 pixels, with its labels."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 20)).save(path)
    if labels is not None:
        text = Path(str(path).replace("images", "labels")).with_suffix(".txt")
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_bytes(labels.encode() if isinstance(labels, str) else labels)
    return folder


def config(folder: Path, text: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        (f"train: images\n{NAMES}", "images/a.png"),
        (f"train: ../train/images\nval: ../valid/images\n{NAMES}", "train/images/a.png"),
        (f"path: ../datasets/coco8\ntrain: images/train\n{NAMES}", "images/train/a.png"),
        ("path: .\nval: [images/a, images/b]\nnames: {0: dog, 1: cat}", "images/b/deep/a.png"),
    ],
)
def test_pictures_are_found_as_exports_lay_them_out(tmp_path: Path, layout: str, name: str) -> None:
    picture(tmp_path, name)
    source = config(tmp_path, layout)

    for each in (source, tmp_path):
        (pair,) = read(each)
        assert isinstance(pair, ImageCaption)
        assert pair.image == f"{tmp_path}/{name}"
        assert (pair.captions, pair.areas) == ((), (POLYGON,))
        assert count_pairs(str(each)) == 1


def test_lists_of_pictures_are_read(tmp_path: Path) -> None:
    picture(tmp_path, "images/a.png")
    picture(tmp_path, "images/b.png", "0 0.2 0.5 0.2 0.5\n\n1 0 0 .5 0 .5 1\n")
    (tmp_path / "train.txt").write_text("images/a.png\n./images/b.png\nimages/none.png\n")
    source = config(tmp_path, f"train: train.txt\nval: images\n{NAMES}")

    pairs = [item for item in read(source) if isinstance(item, ImageCaption)]

    assert [pair.areas for pair in pairs] == [(POLYGON,), (BOX, POLYGON)]
    assert [pair.tags for pair in pairs] == [("train",)] * 2


def test_pictures_outside_of_the_folder_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path, "images/a.png")
    (tmp_path / "config").mkdir()
    config(tmp_path / "config", f"path: {tmp_path}\ntrain: images\n{NAMES}")
    monkeypatch.chdir(tmp_path / "config")

    (pair,) = read("data.yaml")

    assert isinstance(pair, ImageCaption)
    assert (pair.image, pair.areas) == (f"{tmp_path}/images/a.png", (POLYGON,))


def test_the_points_of_skeletons_are_passed_over(tmp_path: Path) -> None:
    picture(tmp_path, "images/a.png", "0 0.2 0.5 0.2 0.5 0.1 0.1 2 0.3 0.3 1\n")

    (pair,) = read(config(tmp_path, f"train: images\nkpt_shape: [2, 3]\n{NAMES}"))

    assert isinstance(pair, ImageCaption)
    assert pair.areas == (BOX,)


def test_what_is_not_there_is_counted(tmp_path: Path) -> None:
    for name, labels in (("a", "0 .5 .5 1 1"), ("b", None), ("c", " \n")):
        picture(tmp_path, f"images/{name}.png", labels)
    source = config(tmp_path, f"train: images\ntest: nowhere\n{NAMES}")

    assert [str(item) for item in read_pairs(str(source)) if isinstance(item, Note)] == [
        "parts of the data set that are not there: 1 (first: test: nowhere)",
        "pictures without labels: 1 (first: images/b.png)",
        "pictures without labels: 1 (first: images/c.png)",
    ]


def test_lists_and_names_that_are_none_are_told(tmp_path: Path) -> None:
    picture(tmp_path, "images/a.png")
    (tmp_path / "train.txt").write_text(f"/\n{'x' * 400}\nimages/a.png\n")

    source = config(tmp_path, f"train: train.txt\nval: {'y' * 400}\n{NAMES}")
    items = list(read_pairs(str(source)))

    assert [pair.areas for pair in items if isinstance(pair, ImageCaption)] == [(POLYGON,)]
    failures = [item.reason for item in items if isinstance(item, PairFailure)]
    assert "/ names no picture" in failures
    notes = [str(item) for item in items if isinstance(item, Note)]
    assert any("parts of the data set that are not there: 1" in note for note in notes)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2 .5 .5 1 1", "its class 2 is not among the names of the data.yaml"),
        ("0.5 .5 .5 1 1", "its class 0.5 is not among"),
        ("dog .5 .5 1 1", "'dog .5 .5 1 1' is no class with numbers behind it"),
        ("0 .5 .5 nan 1", "it has nan; give shares of the picture, from 0 to 1"),
        ("0 240 120 60 60", "it has 240; give shares of the picture"),
        ("0 .5 .5 0 1", "the box [10, 0, 0, 20] has no area"),
        ("0 .5 .5 1 1 .9", "it has 5 numbers behind its class; give four of a box"),
        ("0 .5 .5 1 1 .9 .9 .3", "it has 7 numbers behind its class"),
        ("0", "it has 0 numbers behind its class"),
    ],
)
def test_a_line_that_is_none_costs_no_other(tmp_path: Path, line: str, reason: str) -> None:
    picture(tmp_path, "images/a.png", f"{line}\n0 0.2 0.5 0.2 0.5\n")

    failure, pair = read(config(tmp_path, f"train: images\n{NAMES}"))

    assert isinstance(failure, PairFailure)
    assert failure.where == f"{tmp_path.name}/a.txt:1"
    assert failure.image == "images/a.png"
    assert reason in failure.reason
    assert isinstance(pair, ImageCaption)
    assert pair.areas == (BOX,)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    picture(tmp_path, "images/a.png", b"\xff\xfe0")
    picture(tmp_path, "images/b.png")
    (tmp_path / "images/b.png").write_text("no picture")

    reasons = [item.reason for item in read(config(tmp_path, f"train: images\n{NAMES}"))
               if isinstance(item, PairFailure)]  # fmt: skip

    assert reasons[0] == "it is not valid UTF-8 text; save it as UTF-8"
    assert "images/b.png is missing or no picture" in reasons[1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [", "is not YAML"),
        ("- a", "is no data.yaml of YOLO: it has no names, or no train, val or test"),
        ("train: images", "is no data.yaml of YOLO"),
        (f"train: nowhere\n{NAMES}", "are not there (train: nowhere); give paths as seen from"),
        ("\0", "is not YAML"),
    ],
)
def test_a_file_that_is_no_data_set_says_so_at_once(
    tmp_path: Path, text: str, message: str
) -> None:
    source = config(tmp_path, text)

    with pytest.raises(WrongInput) as caught:
        read_pairs(str(source))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert count_pairs(str(source)) is None
