"""What a Python user gets of a segmented picture."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captionary.schemas.arrays import Rgb
from captionary.schemas.errors import WrongInput
from captionary.schemas.segmentation import LabelledRegion, Segmentation
from captionary.segmenter.result import Result
from tests.segmenter.decoding import decode_mask, read_class_map

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def pixels() -> Rgb:
    return np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)


@pytest.fixture
def result(pixels: Rgb, tmp_path: Path) -> Result:
    class_map = np.zeros((30, 40), np.int32)
    class_map[10:20, 5:15] = 1
    region = LabelledRegion((0, 0, 40, 30), 1.0, 0, 0.8, {"text": 0.7})
    scores = np.array([0.8, 0.6, 0.0], np.float32)
    segmentation = Segmentation(class_map, scores, ("grass", "dog", "sky"), (region,), revision=3)
    return Result(segmentation, pixels, str(tmp_path / "garden.png"))


def test_it_has_what_the_segmentation_has(result: Result) -> None:
    segmentation = result.segmentation
    assert result.class_map is segmentation.class_map
    assert result.classes == ("grass", "dog", "sky")
    assert result.scores is segmentation.scores
    assert result.regions == segmentation.regions
    assert result.revision == 3
    assert "garden.png', 40 x 30 pixels, classes=('grass', 'dog', 'sky')" in repr(result)


def test_the_mask_of_a_class(result: Result) -> None:
    mask = result.mask("dog")
    assert mask.dtype == np.bool_
    assert (mask.shape, mask.sum()) == ((30, 40), 100)
    np.testing.assert_array_equal(~mask, result.mask("grass"))
    assert not result.mask("sky").any()
    with pytest.raises(WrongInput, match="'cat' is none of the classes grass, dog, sky"):
        result.mask("cat")


def test_a_notebook_shows_the_overlay(result: Result) -> None:
    overlay = result.overlay()
    assert (overlay.mode, overlay.width) == ("RGB", 800)
    with Image.open(io.BytesIO(result._repr_jpeg_())) as shown:
        assert (shown.format, shown.size) == ("JPEG", overlay.size)


def test_json_and_coco(result: Result) -> None:
    masks = result.to_json()["masks"]
    assert [mask["class"] for mask in masks] == ["grass", "dog"]
    np.testing.assert_array_equal(decode_mask(masks[1]["rle"]), result.mask("dog"))
    coco = result.to_coco()
    assert coco["images"][0]["file_name"] == "garden.png"
    assert [one["category_id"] for one in coco["annotations"]] == [0, 1]


def test_files_are_named_after_the_picture(result: Result, tmp_path: Path) -> None:
    written = result.save(tmp_path / "out")
    assert [path.name for path in written] == ["garden.overlay.jpg", "garden.png", "garden.json"]
    np.testing.assert_array_equal(read_class_map(written[1].read_bytes()), result.class_map)
    assert json.loads(written[2].read_bytes()) == result.to_json()
    (coco,) = result.save(str(tmp_path / "out"), ("coco",))
    assert json.loads(coco.read_bytes()) == result.to_coco()


def test_the_picture_itself_is_not_overwritten(result: Result, pixels: Rgb, tmp_path: Path) -> None:
    Image.fromarray(pixels).save(result.name)
    with pytest.raises(WrongInput, match=r"garden\.png would be overwritten"):
        result.save(tmp_path, ("png",))


def test_importing_it_imports_nothing_that_draws() -> None:
    code = (
        "import sys, captionary.segmenter.result\n"
        "print({'PIL', 'scipy', 'pycocotools', 'pydantic', 'torch'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
