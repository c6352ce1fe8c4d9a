"""Regions of rows: in JSON Lines, JSON, Parquet and tables, with a noun and a shape each."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from captionary.schemas.pairs import ImageCaption, PairFailure
from captionary.schemas.pointing import (
    Area,
    BoxArea,
    MaskArea,
    PointedArea,
    PolygonArea,
    RleArea,
)
from tests.indexer.readers.sources import read

DOG = {"noun": "dog", "box": [1, 2, 3.5, 4]}
DOG_AREA = PointedArea("dog", BoxArea(1, 2, 3.5, 4))


def write_lines(folder: Path, *rows: object) -> Path:
    path = folder / "s.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def regions(folder: Path, *items: object) -> list[tuple[PointedArea, ...] | str]:
    """The areas of each row with these regions, or why there are none."""
    found = read(write_lines(folder, *({"image": "a.jpg", "regions": item} for item in items)))
    return [item.reason if isinstance(item, PairFailure) else item.areas for item in found]


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ({"box": [1, 2, 3.5, 4]}, BoxArea(1, 2, 3.5, 4)),
        ({"polygon": [1, 2, 3, 4, 5, 6]}, PolygonArea(((1, 2, 3, 4, 5, 6),))),
        ({"polygon": [[0, 0, 1, 0, 1, 1], [1, 2, 3, 4, 5, 6]]},
         PolygonArea(((0, 0, 1, 0, 1, 1), (1, 2, 3, 4, 5, 6)))),
        ({"rle": {"counts": [2, 4], "size": [2, 3]}}, RleArea((2, 4), (2, 3))),
        ({"rle": {"counts": "024", "size": [2, 3]}}, RleArea("024", (2, 3))),
    ],
)  # fmt: skip
def test_each_shape_is_read(tmp_path: Path, shape: dict[str, object], area: Area) -> None:
    item = {"noun": " a dog ", "not": False, "mask": None, **shape}

    assert regions(tmp_path, [item], [{**item, "not": True}]) == [
        (PointedArea("a dog", area), PointedArea("a dog", area, refused=True))
    ]


def test_masks_are_found_beside_the_file_whereever_its_pictures_are(tmp_path: Path) -> None:
    for name in ("images/a.jpg", "images/b.jpg", "masks/a.png", "else/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    rows = [
        {"image": name, "regions": [{"noun": "dog", "mask": "masks/a.png"}]}
        for name in ("a.jpg", "b.jpg")
    ]
    source = write_lines(tmp_path, *rows)

    for images in (None, str(tmp_path / "else")):
        found = read(source, images=images)
        areas = [item.areas for item in found if isinstance(item, ImageCaption)]
        assert areas == [(PointedArea("dog", MaskArea(f"{tmp_path}/masks/a.png")),)] * 2


def test_captions_may_be_missing_where_regions_are(tmp_path: Path) -> None:
    source = write_lines(
        tmp_path,
        {"image": "a.jpg", "caption": "a dog", "regions": [DOG]},
        {"image": "b.jpg", "captions": ["", " "], "regions": [DOG]},
        {"image": "c.jpg", "regions": [DOG]},
        {"image": "d.jpg", "caption": "a dog"},
        {"image": "e.jpg", "regions": []},
        {"image": "f.jpg", "caption": "a dog", "regions": None},
    )

    found = read(source)

    assert [(item.captions, item.areas) for item in found if isinstance(item, ImageCaption)] == [
        (("a dog",), (DOG_AREA,)),
        ((), (DOG_AREA,)),
        ((), (DOG_AREA,)),
        (("a dog",), ()),
        (("a dog",), ()),
    ]
    assert [(item.where, item.reason) for item in found if isinstance(item, PairFailure)] == [
        ("s.jsonl:5", "it has no caption, or only blank ones and no region")
    ]


def test_rows_of_one_picture_join_their_regions(tmp_path: Path) -> None:
    cat = {"noun": "cat", "box": [0, 0, 1, 1]}
    rows = [{"image": "a.jpg", "regions": [each]} for each in (DOG, cat)]

    (pair,) = read(write_lines(tmp_path, *rows, {"image": "a.jpg", "caption": "pets"}))

    assert isinstance(pair, ImageCaption)
    assert pair.areas == (DOG_AREA, PointedArea("cat", BoxArea(0, 0, 1, 1)))
    assert (pair.captions, pair.rows) == (("pets",), 3)


def test_other_rows_have_them_too(tmp_path: Path) -> None:
    items = [DOG, {"noun": "cat", "polygon": [[0, 0, 1, 0, 1, 1]]}]
    rows = [
        {"image": "a.jpg", "regions": items, "caption": None},
        {"image": "b.jpg", "regions": None, "caption": "a hat"},
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "s.parquet")
    (tmp_path / "s.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "s.tsv").write_text(f"image\tregions\na.jpg\t{json.dumps(items)}\n")
    (tmp_path / "t.csv").write_text("image,caption,regions\na.jpg,a dog,Europe\n")
    areas = DOG_AREA, PointedArea("cat", PolygonArea(((0, 0, 1, 0, 1, 1),)))

    for name in ("s.parquet", "s.json", "s.tsv"):
        pair = read(tmp_path / name)[0]
        assert isinstance(pair, ImageCaption), name
        assert pair.areas == areas
    (pair,) = read(tmp_path / "t.csv")
    assert isinstance(pair, ImageCaption)
    assert (pair.captions, pair.areas) == (("a dog",), ())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (7, 'regions is 7, not a list of {"noun"'),
        (["dog"], 'regions[0]: it is "dog", not an object as {"noun"'),
        ("[{]", "its regions are not JSON: "),
        ([DOG, {"box": [1, 2, 3, 4]}], "regions[1]: it has no noun in noun; say what is there"),
        ([{**DOG, "noun": " "}], "regions[0]: it has no noun in noun"),
        ([{**DOG, "noun": 7}], "regions[0]: noun is 7, not text"),
        ([{**DOG, "not": "yes"}], 'regions[0]: its not is "yes"; give true, or leave it out'),
        ([{"noun": "dog"}], "it has no shape; give one of box, polygon, rle and mask"),
        ([{**DOG, "mask": "a.png"}], "it has box and mask; give one of"),
        ([{"noun": "dog", "box": [1, 2, 3]}], "its box is [1, 2, 3], not [x, y, width, height]"),
        ([{"noun": "dog", "box": [1, 2, 3, "4"]}], "not a list of numbers"),
        ([{"noun": "dog", "box": [1, 2, 3, True]}], "not a list of numbers"),
        ([{"noun": "dog", "box": [1, 2, 3, 10**400]}], "which is too large"),
        ([{"noun": "dog", "box": [1, float("nan"), 3, 4]}], "the box [1, nan, 3, 4] has no area"),
        ([{"noun": "dog", "box": [1, 2, 0, 4]}], "the box [1, 2, 0, 4] has no area"),
        ([{"noun": "dog", "polygon": [[1, 2], [3, 4], [5, 6]]}], "the polygon [1, 2] is none"),
        ([{"noun": "dog", "polygon": "1 2 3"}], 'its polygon is "1 2 3", not a list of numbers'),
        ([{"noun": "dog", "rle": "024"}], 'its rle is "024", not {"size"'),
        ([{"noun": "dog", "rle": {"counts": [6]}}], "the size of its rle is null"),
        ([{"noun": "dog", "rle": {"size": [2, 3], "counts": 6}}], "the counts of its rle are 6"),
        ([{"noun": "dog", "rle": {"size": [2, 3], "counts": [1.5]}}], "neither text nor whole"),
        ([{"noun": "dog", "rle": {"size": [2, 3], "counts": [5]}}], "add up to 5 pixels"),
        ([{"noun": "dog", "rle": {"size": [2, 3], "counts": "o"}}], "are cut off"),
        ([{"noun": "dog", "mask": 7}], "mask is 7, not text"),
        ([{"noun": "dog", "mask": "\0"}], "is not the name of a mask"),
    ],
)
def test_what_is_no_region_is_told_precisely(tmp_path: Path, value: object, reason: str) -> None:
    (found,) = regions(tmp_path, value)

    assert isinstance(found, str)
    assert reason in found
    assert "\n" not in found
