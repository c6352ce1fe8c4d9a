from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.schemas.errors import WrongInput
from captionary.schemas.labels import IGNORE
from captionary.vision.masks.datasets import DatasetFolder, read_mask


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset of ten masked pictures of two classes, and a picture without a mask."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    (tmp_path / "classes.txt").write_text("cat | kitten\nsky\n")
    for index in range(10):
        suffix = (".jpg", ".PNG", ".webp", ".bmp")[index % 4]
        Image.new("RGB", (4, 3)).save(tmp_path / "images" / f"p{index}{suffix}")
        Image.new("L", (4, 3), index % 2).save(tmp_path / "masks" / f"p{index}.png")
    Image.new("RGB", (4, 3)).save(tmp_path / "images" / "bare.jpg")
    (tmp_path / "images" / "notes.txt").write_text("not a picture")
    return tmp_path


def save_mask(path: Path, values: list[list[int]], *, dtype: type = np.uint8) -> Path:
    Image.fromarray(np.array(values, dtype)).save(path)
    return path


def test_pairs_are_sorted_and_have_masks(folder: Path) -> None:
    dataset = DatasetFolder(folder)
    assert [item.image.stem for item in dataset] == [f"p{index}" for index in range(10)]
    assert all(item.mask == folder / "masks" / f"{item.image.stem}.png" for item in dataset)
    assert [item.name for item in dataset.classes] == ["cat", "sky"]
    assert len(dataset) == 10


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_parts_share_out_the_pictures(folder: Path, parts: int) -> None:
    shares = [DatasetFolder(folder, f"{n}/{parts}").pictures for n in range(1, parts + 1)]
    together = [item for share in shares for item in share]
    assert sorted(together, key=lambda item: item.image.name) == list(DatasetFolder(folder))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert all(list(share) == sorted(share, key=lambda item: item.image) for share in shares)


def test_a_part_does_not_depend_on_the_place(folder: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    names = [item.image.name for item in DatasetFolder(moved, "1/2")]
    assert names == ["p0.jpg", "p1.PNG", "p5.PNG", "p8.jpg", "p9.PNG"]


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "1/0", "a/b", "1/2/3", ""])
def test_parts_that_make_no_sense(folder: Path, part: str) -> None:
    with pytest.raises(WrongInput, match="not of the form n/m"):
        DatasetFolder(folder, part)


def test_a_part_may_be_empty(folder: Path) -> None:
    with pytest.raises(WrongInput, match="no picture with a mask in part 11/11"):
        DatasetFolder(folder, "11/11")


@pytest.mark.parametrize("name", ["images", "masks"])
def test_a_missing_folder_is_named(folder: Path, name: str) -> None:
    (folder / name).rename(folder / "elsewhere")
    with pytest.raises(WrongInput, match=f"has no folder {name}/"):
        DatasetFolder(folder)


def test_a_missing_class_list_is_named(folder: Path) -> None:
    (folder / "classes.txt").unlink()
    with pytest.raises(WrongInput, match="cannot read the class list"):
        DatasetFolder(folder)


def test_no_pairs(folder: Path) -> None:
    for mask in (folder / "masks").iterdir():
        mask.unlink()
    with pytest.raises(WrongInput, match="has no picture with a mask; images/NAME"):
        DatasetFolder(folder)


def test_too_many_classes_to_tell_from_ignore(folder: Path) -> None:
    (folder / "classes.txt").write_text("\n".join(f"class {n}" for n in range(65536)))
    with pytest.raises(WrongInput, match="has 65536 classes; masks can tell at most 65535"):
        DatasetFolder(folder)


def test_masks_are_read_as_indices(tmp_path: Path) -> None:
    path = save_mask(tmp_path / "m.png", [[0, 1, 255], [2, 0, 1]])
    mask = read_mask(path, size_hw=(2, 3), classes=3)
    assert mask.dtype == np.int32
    assert mask.tolist() == [[0, 1, IGNORE], [2, 0, 1]]


def test_masks_of_more_than_255_classes(tmp_path: Path) -> None:
    path = save_mask(tmp_path / "m.png", [[0, 255, 65535], [299, 0, 1]], dtype=np.uint16)
    mask = read_mask(path, size_hw=(2, 3), classes=300)
    assert mask.tolist() == [[0, 255, IGNORE], [299, 0, 1]]
    with pytest.raises(WrongInput, match=r"holds the value 299 but .* has 299 classes"):
        read_mask(path, size_hw=(2, 3), classes=299)


def test_masks_that_do_not_fit(tmp_path: Path) -> None:
    path = save_mask(tmp_path / "m.png", [[0, 1, 255], [7, 0, 1]])
    with pytest.raises(WrongInput, match=r"holds the value 7 but classes\.txt has 3 classes"):
        read_mask(path, size_hw=(2, 3), classes=3)
    with pytest.raises(WrongInput, match="is 3 x 2 pixels but its picture is 2 x 3"):
        read_mask(path, size_hw=(3, 2), classes=8)


def test_masks_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(WrongInput, match=r"the mask .*absent\.png does not exist"):
        read_mask(tmp_path / "absent.png", size_hw=(2, 2), classes=9)


@pytest.mark.parametrize(("name", "pictures", "classes"), [("msrc", 296, 21), ("coco", 50, 129)])
def test_the_development_sets(shared: Path, name: str, pictures: int, classes: int) -> None:
    dataset = DatasetFolder(shared / "data" / name)
    assert (len(dataset), len(dataset.classes)) == (pictures, classes)
    for item in dataset.pictures[:5]:
        with Image.open(item.image) as picture:
            size_hw = (picture.height, picture.width)
        read_mask(item.mask, size_hw=size_hw, classes=classes)
