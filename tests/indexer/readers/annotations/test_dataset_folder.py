"""Dataset folders as a SOURCE: the classes of masks as regions, with captions where there are."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.pointing import MaskArea, PointedArea
from captionary.vision.pictures.areas import area_mask
from tests.indexer.readers.sources import read

CLASSES = "background\ncat|kitty\ndog\n"
DOT = np.zeros((30, 30), np.uint8)
DOT[3, 3:7] = 1


def dataset(folder: Path, masks: Mapping[str, object], classes: str = CLASSES) -> Path:
    """Pictures by name with masks, or with none."""
    for name in ("images", "masks"):
        (folder / name).mkdir()
    (folder / "classes.txt").write_text(classes)
    for name, values in masks.items():
        mask = np.array([[0]] if values is None else values, np.uint8)
        Image.new("RGB", mask.shape[::-1]).save(folder / "images" / f"{name}.png")
        if values is not None:
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    return folder


def areas(source: Path) -> dict[str, list[tuple[str, tuple[int, ...]]]]:
    """The classes and values of each picture."""
    found = {}
    for pair in read(source):
        assert isinstance(pair, ImageCaption)
        masks = [(each.noun, each.area) for each in pair.areas]
        found[Path(str(pair.image)).name] = [
            (noun, area.values) for noun, area in masks if isinstance(area, MaskArea)
        ]
    return found


def test_each_class_in_a_mask_is_a_region(tmp_path: Path) -> None:
    dataset(tmp_path, {"a": [[0, 1, 2], [2, 255, 1]], "b": [[2, 2]], "c": None})

    assert areas(tmp_path) == {"a.png": [("cat", (1,)), ("dog", (2,))], "b.png": [("dog", (2,))]}
    assert count_pairs(str(tmp_path)) == 2
    pair = read(tmp_path)[1]
    assert isinstance(pair, ImageCaption)
    assert pair.image == f"{tmp_path}/images/b.png"
    assert pair.captions == ()
    assert pair.areas == (PointedArea("dog", MaskArea(f"{tmp_path}/masks/b.png", (2,))),)
    assert area_mask(pair.areas[0].area, size_hw=(1, 2), to_hw=(1, 2)).all()


def test_values_mean_what_they_mean_to_evaluate(tmp_path: Path) -> None:
    dataset(tmp_path, {"a": [[1, 2, 3]], "b": [[0, 3, 3]]}, "cat\ndog\nsky\n")

    assert areas(tmp_path) == {
        "a.png": [("cat", (1,)), ("dog", (2,)), ("sky", (3,))],
        "b.png": [("sky", (3,))],
    }
    (note,) = [str(item) for item in read_pairs(str(tmp_path)) if isinstance(item, Note)]
    assert note.startswith("masks that count classes from 1, in which 1 was taken for 'cat'")


def test_rounded_values_of_one_class_are_one_region(tmp_path: Path) -> None:
    dataset(tmp_path, {"a": [[0, 127, 128, 255]]}, "a\nb\nc\n")

    assert areas(tmp_path)["a.png"] == [("a", (0,)), ("b", (127, 128)), ("c", (255,))]


def test_tiny_areas_are_left_out_and_counted(tmp_path: Path) -> None:
    dataset(tmp_path, {"dot": DOT, "plain": [[0, 2]]})

    assert areas(tmp_path) == {"plain.png": [("dog", (2,))]}
    assert [str(item) for item in read_pairs(str(tmp_path)) if isinstance(item, Note)] == [
        f"masks without a class of 0.5% of their picture: 1 (first: {tmp_path.name}/masks/dot.png)"
    ]


@pytest.mark.parametrize("named", ["a.png", "images/a.png"])
def test_captions_in_the_folder_go_with_their_regions(tmp_path: Path, named: str) -> None:
    dataset(tmp_path, {"a": [[1]], "b": [[2]], "c": None})
    rows = [(named, "a cat"), (named, "a kitty"), ("c.png", "nothing")]
    (tmp_path / "captions.csv").write_text(
        "image,caption\n" + "".join(f"{name},{text}\n" for name, text in rows)
    )

    found = {Path(str(item.image)): item for item in read(tmp_path)}

    assert all(path.exists() for path in found)
    said = [(item.captions, len(item.areas)) for item in found.values()
            if isinstance(item, ImageCaption)]  # fmt: skip
    assert said == [(("a cat", "a kitty"), 1), (("nothing",), 0), ((), 1)]


def test_texts_beside_the_pictures_are_captions_as_before(tmp_path: Path) -> None:
    dataset(tmp_path, {"a": [[1]], "b": [[2]], "c": None})
    (tmp_path / "images/a.txt").write_text("a cat\n")

    items = read(tmp_path)

    pairs = [item for item in items if isinstance(item, ImageCaption)]
    assert [(pair.captions, len(pair.areas)) for pair in pairs] == [(("a cat",), 1), ((), 1)]
    (failure,) = [item for item in items if isinstance(item, PairFailure)]
    assert failure.reason == "no c.txt with captions beside it"


def test_captions_that_cannot_be_read_are_told_also_where_there_is_a_mask(tmp_path: Path) -> None:
    dataset(tmp_path, {"a": [[1]], "b": [[2]]})
    (tmp_path / "images/a.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "images/b.txt").write_text("a dog\n")

    items = read(tmp_path)

    assert len([item for item in items if isinstance(item, ImageCaption)]) == 2
    (failure,) = [item for item in items if isinstance(item, PairFailure)]
    assert "a.png" in str(failure.image)


def test_masks_that_cannot_be_used_are_refused_and_others_are_not(tmp_path: Path) -> None:
    dataset(tmp_path, {"a": [[1]], "b": [[2]], "c": [[9, 9]]})
    Image.new("L", (5, 4)).save(tmp_path / "masks/b.png")

    items = read(tmp_path)

    assert [str(item.image) for item in items if isinstance(item, ImageCaption)] == [
        f"{tmp_path}/images/a.png"
    ]
    reasons = [item.reason for item in items if isinstance(item, PairFailure)]
    assert "b.png is 5 x 4 pixels but its picture is 1 x 1" in reasons[0]
    assert "c.png holds the value 9 but classes.txt has 3 classes" in reasons[1]


def test_a_folder_that_is_no_dataset_says_so_at_once(tmp_path: Path) -> None:
    dataset(tmp_path, {"a": None})
    with pytest.raises(WrongInput, match="has no picture with a mask"):
        read_pairs(str(tmp_path))
    Image.new("L", (1, 1), 1).save(tmp_path / "masks/a.png")
    with pytest.raises(WrongInput, match="leave out the folder x"):
        read_pairs(str(tmp_path), images="x")
    (tmp_path / "classes.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(WrongInput, match="it is not UTF-8 text"):
        read_pairs(str(tmp_path))
