import io
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

from captionary.schemas.arrays import Rgb
from captionary.schemas.dictionary import Exemplar
from captionary.schemas.errors import WrongInput
from captionary.schemas.segmentation import Evidence, LabelledRegion, Segmentation
from captionary.segmenter.json_data import coco_json, encode_mask, segmentation_json
from captionary.segmenter.outputs import class_map_png, parse_formats, write_outputs
from captionary.segmenter.result import Result
from captionary.vision.masks.datasets import read_mask
from tests.segmenter.decoding import decode_mask, read_class_map

# pycocotools asks numpy 2 for an array in numpy 1's way
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLASSES = ("cat", "sky", "Weißwurst", "background")


@pytest.fixture
def segmentation() -> Segmentation:
    class_map = np.ones((30, 40), np.int32)
    class_map[5:15, 8:20] = 0
    class_map[25:] = 3
    exemplar = Exemplar("flickr-1", 4, (1, 2, 30, 40), "a cat", "flickr8k", 0.75, b"jpeg")
    regions = (
        LabelledRegion(
            (8, 5, 20, 15),
            0.1,
            0,
            0.8,
            {"text": 0.7, "prototypes": 0.9},
            (Evidence("cat", 2, 0.5, (exemplar,)),),
        ),
        LabelledRegion((0, 0, 40, 30), 1.0, 1, 0.6, {"text": 0.6}),
    )
    scores = np.array([0.8, 0.6, 0.0, 0.2], np.float32)
    return Segmentation(class_map, scores, CLASSES, regions, revision=7)


@pytest.fixture
def image() -> Rgb:
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_masks_come_back(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    rle = encode_mask(mask).model_dump()
    assert rle["size"] == [height, width]
    np.testing.assert_array_equal(decode_mask(json.loads(json.dumps(rle))), mask)


@pytest.mark.parametrize(("count", "mode"), [(1, "P"), (255, "P"), (256, "I;16"), (1000, "I;16")])
def test_class_maps_come_back(count: int, mode: str) -> None:
    class_map = np.random.default_rng(0).integers(0, count, (20, 30)).astype(np.int32)
    class_map[0, 0] = count - 1
    png = class_map_png(class_map, [f"class {index}" for index in range(count)])
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.mode == mode
    np.testing.assert_array_equal(read_class_map(png), class_map)


def test_a_class_map_is_read_back_as_a_mask(tmp_path: Path) -> None:
    class_map = np.arange(256, dtype=np.int32).reshape(16, 16)
    png = class_map_png(class_map, [f"class {index}" for index in range(256)])
    (tmp_path / "it.png").write_bytes(png)
    mask = read_mask(tmp_path / "it.png", size_hw=(16, 16), classes=256)
    np.testing.assert_array_equal(mask, class_map)


def test_more_classes_than_a_png_can_hold() -> None:
    with pytest.raises(WrongInput, match="there are 70000 classes, but a PNG can tell only"):
        class_map_png(np.zeros((2, 2), np.int32), [""] * 70_000)


def test_json_tells_everything(segmentation: Segmentation) -> None:
    data = json.loads(json.dumps(segmentation_json(segmentation), allow_nan=False))
    assert data["size"] == [30, 40]
    assert data["classes"] == list(CLASSES)
    assert data["revision"] == 7
    assert [(mask["class"], mask["area"]) for mask in data["masks"]] == [
        *(("cat", 120), ("sky", 880), ("background", 200))
    ]
    painted = np.full((30, 40), -1)
    for mask in data["masks"]:
        painted[decode_mask(mask["rle"])] = CLASSES.index(mask["class"])
        assert mask["score"] == segmentation.scores[CLASSES.index(mask["class"])]
    np.testing.assert_array_equal(painted, segmentation.class_map)
    first, second = data["regions"]
    assert (first["class"], first["box"], first["prototype"]) == ("cat", [8, 5, 20, 15], 0.9)
    assert first["evidence"][0]["noun"] == "cat"
    (prototype,) = data["prototypes"]
    assert (prototype["noun"], prototype["number"]) == ("cat", first["evidence"][0]["number"])
    assert prototype["exemplars"][0]["caption"] == "a cat"
    assert prototype["exemplars"][0]["thumbnail"] == "anBlZw=="
    assert (second["prototype"], second["evidence"]) == (None, [])


@pytest.mark.parametrize("data", [segmentation_json, lambda it: coco_json(it, "a.jpg")])
def test_many_classes_take_no_more_room_than_few(data: Callable[[Segmentation], object]) -> None:
    count = 60
    class_map = np.repeat(np.arange(count, dtype=np.int32), 10)[:, None] + np.zeros(1000, np.int32)
    scores, names = np.ones(count, np.float32), tuple(f"class {index}" for index in range(count))
    many = Segmentation(class_map, scores, names, (), revision=None)
    data(many)
    tracemalloc.start()
    try:
        data(many)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * class_map.nbytes


def test_coco_reads_the_annotations(
    segmentation: Segmentation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.coco.json"
    path.write_text(json.dumps(coco_json(segmentation, "a.jpg")))
    coco = COCO(str(path))
    capsys.readouterr()
    assert [item["name"] for item in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    painted = np.full((30, 40), -1)
    for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[1])):
        mask = coco.annToMask(annotation).astype(bool)
        painted[mask] = annotation["category_id"]
        assert annotation["area"] == mask.sum()
    np.testing.assert_array_equal(painted, segmentation.class_map)
    assert coco.loadAnns([1])[0]["bbox"] == [8, 5, 12, 10]


def test_all_formats_are_written_and_nothing_else(
    segmentation: Segmentation,
    image: Rgb,
    tmp_path: Path,
) -> None:
    out = tmp_path / "deep" / "out"
    result = Result(segmentation, image, "my.photo.jpg")
    written = write_outputs(result, out, parse_formats("coco, json,png,overlay,png"))
    assert [path.name for path in written] == [
        *("my.photo.overlay.jpg", "my.photo.png", "my.photo.json", "my.photo.coco.json")
    ]
    assert {path.name for path in out.iterdir()} == {*(p.name for p in written), "classes.txt"}
    assert (out / "classes.txt").read_text("utf-8").splitlines() == list(CLASSES)
    np.testing.assert_array_equal(read_class_map(written[1].read_bytes()), segmentation.class_map)
    assert json.loads(written[2].read_text("utf-8")) == segmentation_json(segmentation)
    with Image.open(written[0]) as overlay:
        assert overlay.format == "JPEG"
        assert overlay.width == 800


def test_names_that_no_font_has_stand_beside_the_picture(
    segmentation: Segmentation, image: Rgb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("captionary.segmenter.drawing.lettering.machine_fonts", lambda: ())
    foreign = replace(segmentation, classes=("犬", "sky", "sausage", "background"))
    write_outputs(Result(foreign, image, "plain.jpg"), tmp_path / "a", ["overlay"])
    assert (tmp_path / "a" / "classes.txt").read_text("utf-8").splitlines()[0] == "犬"
    plain = replace(segmentation, classes=("cat", "sky", "sausage", "background"))
    write_outputs(Result(plain, image, "plain.jpg"), tmp_path / "b", ["overlay"])
    assert not (tmp_path / "b" / "classes.txt").exists()


def test_the_picture_is_never_overwritten(
    segmentation: Segmentation,
    image: Rgb,
    tmp_path: Path,
) -> None:
    source = tmp_path / "a.png"
    Image.fromarray(image).save(source)
    before = source.read_bytes()
    with pytest.raises(WrongInput, match=r"a\.png would be overwritten"):
        write_outputs(Result(segmentation, image, str(source)), tmp_path, ("png",))
    assert source.read_bytes() == before
    assert write_outputs(Result(segmentation, image, str(source)), tmp_path, ("json",))


def test_a_folder_that_cannot_be_made(
    segmentation: Segmentation,
    image: Rgb,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WrongInput, match="cannot write into"):
        write_outputs(Result(segmentation, image, "a.jpg"), tmp_path / "file", ("json",))


@pytest.mark.parametrize(("text", "wrong"), [("", "nothing"), ("png,gif", "gif"), (",", "nothing")])
def test_formats_that_are_none(text: str, wrong: str) -> None:
    with pytest.raises(WrongInput, match=f"names {wrong}; it may hold overlay, png, json, coco"):
        parse_formats(text)
