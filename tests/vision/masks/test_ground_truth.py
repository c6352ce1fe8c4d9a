"""Masks as data sets have them: read for what they are, and said; or refused with the reason."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.schemas.arrays import LabelMap
from captionary.schemas.errors import WrongInput
from captionary.schemas.labels import IGNORE
from captionary.vision.masks.coding import find_coding
from captionary.vision.masks.datasets import DatasetFolder
from captionary.vision.masks.ground_truth import GroundTruth, read_ground_truth
from captionary.vision.pictures.loading import load_picture

Values = list[list[int]]


def dataset(
    folder: Path, masks: Sequence[object], classes: str = "cat, dog, sky", suffix: str = ".png"
) -> DatasetFolder:
    """Pictures of 3 x 2 pixels with masks: values, or images."""
    for name in ("images", "masks"):
        (folder / name).mkdir()
    (folder / "classes.txt").write_text(classes.replace(", ", "\n"))
    for number, mask in enumerate(masks):
        Image.new("RGB", (3, 2)).save(folder / "images" / f"p{number}.png")
        image = mask if isinstance(mask, Image.Image) else Image.fromarray(np.array(mask, np.uint8))
        image.save(folder / "masks" / f"p{number}{suffix}")
    return DatasetFolder(folder)


def maps(truth: GroundTruth) -> list[Values]:
    read: list[LabelMap] = [truth.read(pair, load_picture(pair.image)) for pair in truth.pictures]
    return [each.tolist() for each in read]


PLAIN: Values = [[0, 1, 2], [2, 255, 0]]
LABELS: Values = [[0, 1, 2], [2, IGNORE, 0]]


def test_plain_masks_need_no_word(tmp_path: Path) -> None:
    truth = read_ground_truth(dataset(tmp_path, [PLAIN, [[0, 0, 0], [255, 255, 0]]]))
    assert maps(truth) == [LABELS, [[0, 0, 0], [IGNORE, IGNORE, 0]]]
    assert (truth.notes, truth.refused) == ((), ())


@pytest.mark.parametrize(
    ("classes", "masks", "expected", "said"),
    [
        pytest.param(
            "ground, thing",
            [[[0, 0, 255], [255, 255, 0]], [[0, 0, 0], [0, 0, 0]]],
            [[[0, 0, 1], [1, 1, 0]], [[0, 0, 0], [0, 0, 0]]],
            "masks of 0 and 255, in which 0 was taken for 'ground' and 255 for 'thing': 1",
            id="two classes as black and white",
        ),
        pytest.param(
            "ground, thing",
            [[[0, 0, 255], [255, 255, 0]], [[0, 77, 255], [0, 0, 0]]],
            [[[0, 0, 1], [1, 1, 0]]],
            "masks of 0, 77 and 255, in which 0 was taken for 'ground' and 255 for 'thing': 2",
            id="a stray value in one of two",
        ),
        pytest.param(
            "a, b, c",
            [[[0, 128, 255], [255, 127, 0]]],
            [[[0, 1, 2], [2, 1, 0]]],
            "masks of 0, 127, 128 and 255, in which 0 was taken for 'a' and 127 for 'b'",
            id="three classes spread over all greys",
        ),
        pytest.param(
            "cat, dog",
            [[[0, 1, 2], [2, 255, 0]]],
            [[[IGNORE, 0, 1], [1, IGNORE, IGNORE]]],
            "masks that count classes from 1, in which 1 was taken for 'cat', 2 for 'dog' and 0 "
            "for no class: 1",
            id="counted from 1",
        ),
        pytest.param(
            "cat, dog, sky",
            [[[0, 0, 255], [255, 255, 0]]],
            [[[0, 0, IGNORE], [IGNORE, IGNORE, 0]]],
            "masks of 0 and 255 alone, in which 255 was taken for no class: 1",
            id="only one of three classes",
        ),
    ],
)
def test_what_can_be_told_is_read_and_said(
    tmp_path: Path, classes: str, masks: list[Values], expected: list[Values], said: str
) -> None:
    truth = read_ground_truth(dataset(tmp_path, masks, classes))
    assert maps(truth) == expected
    (note,) = truth.notes
    assert str(note).startswith(said)
    assert len(truth.refused) == len(masks) - len(expected)


@pytest.mark.parametrize(
    ("classes", "masks", "refused"),
    [
        pytest.param(
            "background, cat", [PLAIN, [[0, 1, 1], [0, 0, 0]]], 1, id="a named background"
        ),
        pytest.param(
            "cat, dog", [PLAIN, *[[[0, 1, 1], [0, 0, 0]]] * 4], 1, id="a stray value in one of five"
        ),
        pytest.param("cat, dog, sky", [PLAIN, [[0, 9, 1], [0, 0, 0]]], 1, id="no class at all"),
    ],
)
def test_what_cannot_be_told_is_a_place_in_the_list(
    tmp_path: Path, classes: str, masks: list[Values], refused: int
) -> None:
    truth = read_ground_truth(dataset(tmp_path, masks, classes))
    assert len(truth.refused) == refused
    assert len(truth.pictures) == len(masks) - refused
    assert all("holds the value" in reason and ".png" in reason for reason in truth.refused)


def test_one_class_against_nothing_is_refused(tmp_path: Path) -> None:
    data = dataset(tmp_path, [[[0, 0, 255], [255, 255, 0]]], "thing")
    with pytest.raises(
        WrongInput, match=r"hold the values 0 and 255 but .* one class, 'thing'; na"
    ):
        read_ground_truth(data)


def test_the_parts_of_a_dataset_are_read_alike() -> None:
    # The second mask alone would be taken for one without a class.
    masks = {Path("a"): frozenset({0, 1, 2, 255}), Path("b"): frozenset({0, 255})}
    coding, note = find_coding(masks, ["cat", "dog", "sky"])
    assert (coding.kind, note) == ("from 0", None)


def colours(values: Values, palette: dict[int, tuple[int, int, int]]) -> Image.Image:
    return Image.fromarray(
        np.array([[palette[value] for value in row] for row in values], np.uint8)
    )


VOC = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 255: (224, 224, 192)}


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".bmp"])
def test_colours_that_stand_for_numbers(tmp_path: Path, suffix: str) -> None:
    grey = colours(PLAIN, {value: (value,) * 3 for value in VOC})
    truth = read_ground_truth(dataset(tmp_path, [colours(PLAIN, VOC), grey], suffix=suffix))
    assert maps(truth) == [LABELS, LABELS]
    assert [str(note).split(":")[0] for note in truth.notes] == [
        "masks in the colours of Pascal VOC, taken for its class numbers",
        "masks of grey saved as colours, of which one channel was taken",
    ]


def test_other_forms_of_the_same_numbers(tmp_path: Path) -> None:
    values = np.array(PLAIN)
    deep = Image.fromarray(np.where(values == 255, 65535, values).astype(np.uint16))
    low = Image.fromarray(values.astype(np.uint16))  # 255 in 16 bits, and no class is called that
    opaque = Image.merge(
        "LA", [Image.fromarray(values.astype(np.uint8)), Image.new("L", (3, 2), 9)]
    )
    palette = Image.fromarray(values.astype(np.uint8))
    palette.putpalette(bytes(range(255, -1, -1)) * 3)
    truth = read_ground_truth(dataset(tmp_path, [deep, low, opaque, palette]))
    assert maps(truth) == [LABELS] * 4
    floats = tmp_path / "floats"
    floats.mkdir()
    wholes = Image.fromarray(np.where(values == 255, 2, values).astype(np.float32))
    assert maps(read_ground_truth(dataset(floats, [wholes], suffix=".tif"))) == [
        [[0, 1, 2], [2, 2, 0]]
    ]


WRONG = {
    "colours": (colours(PLAIN, {**VOC, 1: (1, 2, 3)}), ".png", "has 4 colours, among them #010203"),
    "JPEG": (Image.fromarray(np.array(PLAIN, np.uint8)), ".jpg", "is a JPEG file, whose values"),
    "size": (Image.new("L", (4, 2)), ".png", "is 4 x 2 pixels but its picture is 3 x 2"),
    "turned": (Image.new("L", (2, 3)), ".png", "is 2 x 3 pixels but its picture is 3 x 2"),
    "fractions": (Image.new("F", (3, 2), 0.5), ".tif", "has fractions, not labels"),
    "clear": (
        Image.merge("LA", [Image.new("L", (3, 2)), Image.linear_gradient("L").resize((3, 2))]),
        ".png",
        "has transparency that varies",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_bad_masks_are_left_out_and_named(tmp_path: Path, kind: str) -> None:
    image, suffix, said = WRONG[kind]
    data = dataset(tmp_path, [PLAIN])
    Image.new("RGB", (3, 2)).save(tmp_path / "images/bad.png")
    image.save(tmp_path / f"masks/bad{suffix}")
    truth = read_ground_truth(data)
    assert maps(truth) == [LABELS]
    (reason,) = truth.refused
    assert said in reason
    assert f"bad{suffix}" in reason
    (tmp_path / "masks/p0.png").unlink()
    with pytest.raises(WrongInput, match="bad") as caught:
        read_ground_truth(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_of_pictures_that_exif_turns(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = dataset(tmp_path, [PLAIN])
    Image.new("RGB", (3, 2)).save(tmp_path / f"images/p0{suffix}", exif=exif)
    (tmp_path / "images/p0.png").unlink()
    truth = read_ground_truth(data)
    turned = orientation > 4
    assert [note.what[:42] for note in truth.notes] == (
        ["masks of the size of pictures not turned b"] if turned else []
    )
    # Pillow's own way of turning is the measure.
    Image.fromarray(np.array(PLAIN, np.uint8)).save(tmp_path / "as-picture.png", exif=exif)
    upright = load_picture(tmp_path / "as-picture.png").pixels[..., 0].astype(int)
    expected = np.where(upright == 255, IGNORE, upright).tolist() if turned else LABELS
    assert maps(truth) == [expected]


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_mask_with_an_orientation_of_its_own(
    tmp_path: Path, orientation: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.rot90(np.array(PLAIN, np.uint8), 1 if orientation == 6 else 2)
    data = dataset(tmp_path, [PLAIN])
    (tmp_path / "masks/p0.png").unlink()
    Image.fromarray(stored).save(tmp_path / f"masks/p0{suffix}", exif=exif)
    truth = read_ground_truth(data)
    assert maps(truth) == [LABELS]
    assert ("own EXIF orientation" in str(truth.notes)) == (suffix == ".png")


def test_masks_named_after_their_pictures(tmp_path: Path) -> None:
    data = dataset(tmp_path, [PLAIN, PLAIN, PLAIN])
    masks = tmp_path / "masks"
    (masks / "p0.png").rename(masks / "p0_mask.png")
    (masks / "p1.png").rename(masks / "P1-GT.PNG")
    Image.new("L", (3, 2), 77).save(masks / "p2_mask.png")  # p2.png is nearer
    truth = read_ground_truth(data)
    assert [pair.mask.name for pair in truth.pictures] == ["p0_mask.png", "p2.png"]
    assert [str(note) for note in truth.notes] == [
        f"masks named otherwise than their pictures: 1 (first: {masks / 'p0_mask.png'})"
    ]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    data = dataset(tmp_path, [PLAIN, PLAIN])
    read_ground_truth(data, on_mask=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
