"""Label Studio's JSON export: boxes, polygons and masks of the brush, in percent of pictures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.indexer.readers.annotations.brush import decode_brush
from captionary.indexer.readers.values import BadValueError
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.pointing import BoxArea, PointedArea, PolygonArea, RleArea
from captionary.vision.pictures.rle import decode_mask
from tests.indexer.readers.sources import read

BOX = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
BOX_AREA = BoxArea(20, 20, 60, 40)
HW = (2, 3)


def result(kind: str, value: dict[str, Any], *labels: str, **others: Any) -> dict[str, Any]:
    """A result in a picture of 200 x 100 pixels."""
    size = {"original_width": 200, "original_height": 100, "image_rotation": 0}
    return {"type": kind, "value": {**value, kind: list(labels)}, **size, **others}


def write(folder: Path, *results: object, image: str = "a.jpg", **others: Any) -> Path:
    annotations = [{"id": 1, "was_cancelled": False, "result": list(results)}]
    task = {"id": 1, "data": {"image": image}, "annotations": annotations, **others}
    path = folder / "project.json"
    path.write_text(json.dumps([task]))
    return path


def areas(folder: Path, *results: object) -> tuple[PointedArea, ...]:
    (pair,) = read(write(folder, *results))
    assert isinstance(pair, ImageCaption)
    return pair.areas


def pack(values: list[int], runs: list[tuple[bool, int]]) -> list[int]:
    """Bytes as Label Studio writes them: values of 8 bits in runs that are the same, or are not."""
    sizes = (2, 3, 7, 15)
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size:04b}" for size in sizes)
    place = 0
    for same, length in runs:
        choice = next(n for n, size in enumerate(sizes) if length - 1 < 1 << (size + 1))
        bits += f"{int(same)}{choice:02b}{length - 1:0{sizes[choice] + 1}b}"
        words = values[place : place + 1] if same else values[place : place + length]
        bits += "".join(f"{word:08b}" for word in words)
        place += length
    bits += "0" * (-len(bits) % 8)
    return [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]


@st.composite
def brushes(draw: st.DrawFn) -> tuple[list[int], list[int]]:
    """Alphas of 2 x 3 pixels, and the bytes of a mask of them."""
    alphas = draw(st.lists(st.sampled_from([0, 77, 255]), min_size=6, max_size=6))
    values = [channel for alpha in alphas for channel in (9, 0, 255, alpha)]
    runs: list[tuple[bool, int]] = []
    place = 0
    while place < len(values):
        same = next((n for n, v in enumerate(values[place:]) if v != values[place]), 1)
        length = draw(st.integers(1, len(values) - place))
        runs.append((length <= same, length))
        place += length
    return alphas, pack(values, runs)


@given(brushes())
def test_masks_of_the_brush_are_decoded(brush: tuple[list[int], list[int]]) -> None:
    alphas, codes = brush

    mask = decode_brush(codes, HW)

    np.testing.assert_array_equal(mask, np.reshape(alphas, HW) > 0)
    with pytest.raises(BadValueError, match="is cut off"):
        decode_brush(codes[:-2], HW)


@given(st.lists(st.integers(-1, 256), max_size=40))
def test_other_numbers_are_no_masks(codes: list[int]) -> None:
    with pytest.raises(BadValueError):
        decode_brush(codes, HW)


def test_each_shape_becomes_an_area(tmp_path: Path) -> None:
    points = {"points": [[0, 0], [50, 0], [50, 100]], "closed": True}

    assert areas(
        tmp_path,
        result("rectanglelabels", BOX, "dog", "animal"),
        result("polygonlabels", points, "cat"),
        result("labels", BOX, "hat"),
        result("rectanglelabels", BOX),
        {"type": "choices", "value": {"choices": ["day"]}},
    ) == (
        PointedArea("dog", BOX_AREA),
        PointedArea("animal", BOX_AREA),
        PointedArea("cat", PolygonArea(((0, 0, 100, 0, 100, 100),))),
        PointedArea("hat", BOX_AREA),
    )


def test_a_turned_box_is_a_polygon_of_its_corners(tmp_path: Path) -> None:
    ((area),) = (each.area for each in areas(
        tmp_path, result("rectanglelabels", {**BOX, "x": 50, "rotation": 90}, "dog")
    ))  # fmt: skip

    assert isinstance(area, PolygonArea)
    assert area.polygons[0] == pytest.approx((100, 20, 100, 80, 60, 80, 60, 20))


def test_a_brush_becomes_run_lengths(tmp_path: Path) -> None:
    alphas = [0, 255, 255, 0, 0, 255]
    codes = pack([alpha for alpha in alphas for _ in range(4)], [(False, 24)])
    brush = {"format": "rle", "rle": codes}
    size = {"original_width": 3, "original_height": 2}

    ((area),) = (each.area for each in areas(
        tmp_path, result("brushlabels", brush, "dog", **size)
    ))  # fmt: skip

    assert isinstance(area, RleArea)
    assert decode_mask(area).ravel().tolist() == [alpha > 0 for alpha in alphas]


@pytest.mark.parametrize(
    ("image", "file"),
    [
        ("/data/upload/3/0a1b2c3d-my%20dog.jpg", "0a1b2c3d-my dog.jpg"),
        ("/data/upload/3/0a1b2c3d-my%20dog.jpg", "my dog.jpg"),
        ("http://localhost:8080/data/upload/0a1b2c3d-a.jpg", "images/a.jpg"),
        ("/data/local-files/?d=photos/a.jpg", "photos/a.jpg"),
        ("/data/local-files/?d=mnt%2Fphotos/a.jpg", "a.jpg"),
        ("a.jpg", "images/a.jpg"),
    ],
)
def test_pictures_are_found_where_they_are_now(tmp_path: Path, image: str, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()

    (pair,) = read(write(tmp_path, result("labels", BOX, "dog"), image=image))

    assert isinstance(pair, ImageCaption)
    assert pair.image == f"{tmp_path}/{file}"


def test_an_address_that_is_none_costs_no_other_task(tmp_path: Path) -> None:
    area = {"result": [result("labels", BOX, "dog")]}
    tasks = [
        {"data": {"image": image}, "annotations": [area]} for image in ("http://[x/a.jpg", "b.jpg")
    ]
    (tmp_path / "p.json").write_text(json.dumps(tasks))
    (tmp_path / "b.jpg").touch()

    *_, pair = read(tmp_path / "p.json")

    assert isinstance(pair, ImageCaption)
    assert pair.image == f"{tmp_path}/b.jpg"


def test_text_areas_called_caption_are_captions(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        {"type": "textarea", "from_name": "caption", "value": {"text": ["a dog", "it runs"]}},
        {"type": "textarea", "from_name": "remarks", "value": {"text": ["blurred"]}},
    )

    (pair,) = read(source)

    assert isinstance(pair, ImageCaption)
    assert (pair.captions, pair.areas) == (("a dog", "it runs"), ())
    assert count_pairs(str(source)) == 1


def test_what_is_passed_over_is_counted(tmp_path: Path) -> None:
    cancelled = {"was_cancelled": True, "result": [result("labels", BOX, "dog")]}
    content = [
        {"data": {"image": "a.jpg"}, "annotations": [cancelled, "x"]},
        {"data": {"image": "b.jpg"}, "annotations": [
            {"result": [result("ellipselabels", {"x": 1, "radiusX": 2}, "dog")]}
        ]},
    ]  # fmt: skip
    (tmp_path / "p.json").write_text(json.dumps(content))

    assert [str(item) for item in read_pairs(str(tmp_path / "p.json"))] == [
        "tasks without regions: 1 (first: p.json[0])",
        "annotations that are no boxes, polygons or masks of the brush: 1 "
        "(first: p.json[1].annotations[0].result[0])",
        "tasks without regions: 1 (first: p.json[1])",
    ]
    assert all(isinstance(item, Note) for item in read_pairs(str(tmp_path / "p.json")))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (result("labels", {**BOX, "x": None}, "dog"), "its x, y, width and height is [null, 20"),
        (result("labels", {**BOX, "width": 0}, "dog"), "the box [20, 20, 0, 40] has no area"),
        (result("labels", {**BOX, "y": float("nan")}, "dog"), "has no area"),
        (result("labels", {"points": [[1, 2, 3]]}, "dog"), "its points are [[1, 2, 3]]"),
        (result("labels", {"points": 7}, "dog"), "its points are [7]"),
        (result("labels", {"points": [[1, 2], [3, 4]]}, "dog"), "the polygon"),
        (result("labels", {"rle": "abc"}, "dog"), "its rle is no list of bytes"),
        (result("labels", {"rle": [0] * 20}, "dog"), "its rle has 0 values, not four for each of"),
        (result("labels", BOX, "dog", original_width=None), "are [100, null], not the pixels of"),
        (result("labels", BOX, "dog", original_width=10**9), "not the pixels of"),
        (result("labels", BOX, "dog", image_rotation=90), "was turned by 90 degrees in Label Stud"),
        (
            result("labels", {**BOX, "rotation": float("inf")}, "dog"),
            "its rotation is inf, not deg",
        ),
        (result("labels", BOX, " "), "it has no noun in labels"),
        ({"type": "labels", "value": {**BOX, "labels": "dog"}}, 'its labels are "dog", not a list'),
        ({"type": "labels", "value": 7}, "its value is 7, not an object"),
    ],
)
def test_a_result_that_is_none_costs_no_other(tmp_path: Path, wrong: object, reason: str) -> None:
    failure, pair = read(write(tmp_path, wrong, result("labels", BOX, "dog")))

    assert isinstance(failure, PairFailure)
    assert (failure.where, failure.image) == ("project.json[0].annotations[0].result[0]", "a.jpg")
    assert reason in failure.reason
    assert isinstance(pair, ImageCaption)
    assert pair.areas == (PointedArea("dog", BOX_AREA),)


def test_tasks_of_other_things_say_so_at_once(tmp_path: Path) -> None:
    source = write(tmp_path, data={"audio": "a.wav"})

    with pytest.raises(WrongInput, match="name no pictures in their data"):
        read_pairs(str(source))
