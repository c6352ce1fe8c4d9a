"""COCO instances: boxes, polygons and run lengths, with captions in the same file or without."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.pointing import BoxArea, PointedArea, PolygonArea, RleArea
from captionary.vision.pictures.areas import area_mask
from captionary.vision.pictures.rle import encode_mask
from tests.indexer.readers.sources import read

RLE = {"counts": [2, 4], "size": [2, 3]}


def write(folder: Path, annotations: list[Any], **others: Any) -> Path:
    document = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
        "categories": [{"id": 1, "name": "dog"}, {"id": "2", "name": "stop sign"}, {"id": 3}],
        "annotations": annotations,
        **others,
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(document))
    return path


def test_every_shape_becomes_an_area_of_its_category(tmp_path: Path) -> None:
    box = [1, 2, 3, 4]
    source = write(
        tmp_path,
        [
            {"image_id": 8, "category_id": 1, "bbox": box, "segmentation": [[0, 0, 2, 0, 2, 2]]},
            {"image_id": 8, "category_id": 2, "bbox": box, "segmentation": RLE, "iscrowd": 1},
            {"image_id": 7, "category_id": 1.0, "bbox": box, "segmentation": []},
        ],
    )

    found = [item for item in read(source) if isinstance(item, ImageCaption)]

    assert [(pair.image, pair.captions, pair.areas) for pair in found] == [
        (f"{tmp_path}/a.jpg", (), (PointedArea("dog", BoxArea(1, 2, 3, 4)),)),
        (f"{tmp_path}/b.jpg", (), (
            PointedArea("dog", PolygonArea(((0, 0, 2, 0, 2, 2),))),
            PointedArea("stop sign", RleArea((2, 4), (2, 3))),
        )),
    ]  # fmt: skip
    assert count_pairs(str(source)) == 2


def test_captions_and_instances_may_stand_in_one_file(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        [
            {"image_id": 7, "caption": "a dog"},
            {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "caption": "it runs"},
            {"image_id": 8, "caption": "a hat"},
        ],
    )

    pairs = [item for item in read(source) if isinstance(item, ImageCaption)]

    assert [(pair.captions, len(pair.areas)) for pair in pairs] == [
        (("a dog", "it runs"), 1),
        (("a hat",), 0),
    ]


def test_pictures_without_annotations_are_counted(tmp_path: Path) -> None:
    source = write(tmp_path, [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}])

    assert [str(item) for item in read_pairs(str(source)) if isinstance(item, Note)] == [
        "pictures without annotations: 1 (first: instances.json:images[1])"
    ]


def test_what_the_segmenter_writes_is_read(tmp_path: Path) -> None:
    mask = np.eye(5, 7, dtype=np.bool_)
    area = encode_mask(mask)
    rle = {"size": list(area.size_hw), "counts": area.counts}
    source = write(tmp_path, [{"image_id": 7, "category_id": 1, "segmentation": rle}])

    pair = read(source)[0]

    assert isinstance(pair, ImageCaption)
    found = area_mask(pair.areas[0].area, size_hw=(5, 7), to_hw=(5, 7))
    np.testing.assert_array_equal(found, mask)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({"category_id": 9, "bbox": [1, 2, 3, 4]}, "its category_id 9 is not among the categories"),
        ({"category_id": 3, "bbox": [1, 2, 3, 4]}, "it has no noun in the name of its category"),
        ({"category_id": 1}, "it has no segmentation and no bbox"),
        ({"category_id": 1, "bbox": [1, 2, 3]}, "its box is [1, 2, 3], not"),
        ({"category_id": 1, "bbox": [1, 2, 3, 4], "image_id": 5}, "its image_id 5 is not among"),
        ({"category_id": 1, "segmentation": [[1, 2, 3, 4]]}, "the polygon [1, 2, 3, 4] is none"),
        ({"category_id": 1, "segmentation": {"counts": [1]}}, "the size of its rle is null"),
        ({"category_id": 1, "segmentation": "x"}, 'its polygon is "x"'),
        ({}, "it has no text in caption and no category_id"),
        ("x", "it has no text in caption and no category_id"),
    ],
)
def test_an_annotation_that_is_none_costs_no_other(
    tmp_path: Path, annotation: Any, reason: str
) -> None:
    if isinstance(annotation, dict):
        annotation = {"image_id": 7, **annotation}
    good = {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4]}

    failure, pair = read(write(tmp_path, [annotation, good]))

    assert isinstance(failure, PairFailure)
    assert failure.where == "instances.json:annotations[0]"
    assert reason in failure.reason
    assert isinstance(pair, ImageCaption)
    assert len(pair.areas) == 1


def test_without_any_the_first_problem_is_told(tmp_path: Path) -> None:
    source = write(tmp_path, [{"image_id": 7, "category_id": 1}], categories="none")

    with pytest.raises(WrongInput, match="category_id 1 is not among the categories"):
        read_pairs(str(source))
