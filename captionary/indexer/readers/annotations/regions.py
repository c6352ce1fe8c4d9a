"""Regions as rows have them: an object each, with its noun and a shape; and the shapes of COCO."""

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, TypeVar

from captionary.indexer.readers.columns import is_absent
from captionary.indexer.readers.values import BadValueError, abbreviate, to_text
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pointing import (
    Area,
    BoxArea,
    MaskArea,
    PointedArea,
    PolygonArea,
    RleArea,
)
from captionary.vision.pictures.areas import check_area

AreaT = TypeVar("AreaT", BoxArea, PolygonArea, RleArea)

EXAMPLE = '{"noun": "dog", "box": [x, y, width, height]}'


def parse_regions(value: object, find_mask: Callable[[str], str]) -> tuple[PointedArea, ...]:
    """The regions of a row; none where it has none.

    Args:
        value:     a list of objects, also as JSON text, or of regions that a reader has made.
        find_mask: gives the address of a mask file by its name.

    Raises:
        BadValueError: a region has no noun or no shape, or its shape is none.
    """
    if isinstance(value, str):
        if not value.lstrip().startswith("["):
            return ()  # another thing of this name, as in a table of countries
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadValueError(f"its regions are not JSON: {one_line(error)}") from error
    if is_absent(value):
        return ()
    if not isinstance(value, list | tuple):
        raise BadValueError(f"regions is {abbreviate(value)}, not a list of {EXAMPLE}")
    areas = []
    for number, item in enumerate(value):
        try:
            areas.append(item if isinstance(item, PointedArea) else _region(item, find_mask))
        except BadValueError as error:
            raise BadValueError(f"regions[{number}]: {error}") from error
    return tuple(areas)


def _region(item: object, find_mask: Callable[[str], str]) -> PointedArea:
    if not isinstance(item, Mapping):
        raise BadValueError(f"it is {abbreviate(item)}, not an object as {EXAMPLE}")
    noun = to_noun(item.get("noun"), "noun")
    refused = item.get("not")
    if not isinstance(refused, bool | None):
        raise BadValueError(f"its not is {abbreviate(refused)}; give true, or leave it out")
    readers: dict[str, Callable[[Any], Area]] = {
        "box": box_area,
        "polygon": polygon_area,
        "rle": rle_area,
        "mask": lambda name: MaskArea(find_mask(_mask_name(name))),
    }
    shapes = [shape for shape in readers if not is_absent(item.get(shape))]
    if len(shapes) != 1:
        found = " and ".join(shapes) or "no shape"
        raise BadValueError(f"it has {found}; give one of box, polygon, rle and mask")
    return PointedArea(noun, readers[shapes[0]](item[shapes[0]]), bool(refused))


def to_noun(value: object, column: str) -> str:
    """The noun that an area is of. Raises BadValueError: it is no text, or blank."""
    noun = "" if value is None else to_text(value, column).strip()
    if not noun:
        raise BadValueError(f"it has no noun in {column}; say what is there")
    return noun


def _mask_name(value: object) -> str:
    name = to_text(value, "mask")
    if "\0" in name:
        raise BadValueError(f"{name!r} is not the name of a mask")
    return name


def box_area(value: object) -> BoxArea:
    """A box as COCO has it: x, y, width and height. Raises BadValueError: it is none."""
    numbers = to_numbers(value, "box")
    if len(numbers) != 4:
        raise BadValueError(f"its box is {abbreviate(value)}, not [x, y, width, height]")
    return checked(BoxArea(*numbers))


def polygon_area(value: object) -> PolygonArea:
    """A polygon, x, y, x, y, ..., or a list of several. Raises BadValueError: it is none."""
    polygons = [value]
    if isinstance(value, list | tuple) and value and isinstance(value[0], list | tuple):
        polygons = [*value]
    return checked(PolygonArea(tuple(to_numbers(each, "polygon") for each in polygons)))


def rle_area(value: object) -> RleArea:
    """Run lengths as COCO has them, as text or as numbers. Raises BadValueError: they are none."""
    if not isinstance(value, Mapping):
        raise BadValueError(f'its rle is {abbreviate(value)}, not {{"size": [h, w], "counts": ..}}')
    size, counts = value.get("size"), value.get("counts")
    if not _are_whole(size) or len(size) != 2:
        raise BadValueError(f"the size of its rle is {abbreviate(size)}, not [height, width]")
    if isinstance(counts, str | bytes):
        counts = to_text(counts, "counts")
    elif not _are_whole(counts):
        raise BadValueError(
            f"the counts of its rle are {abbreviate(counts)}, neither text nor whole numbers"
        )
    return checked(
        RleArea(counts if isinstance(counts, str) else tuple(counts), (size[0], size[1]))
    )


def checked(area: AreaT) -> AreaT:
    """An area whose numbers make a shape. Raises BadValueError: they do not."""
    try:
        check_area(area)
    except WrongInput as error:
        raise BadValueError(str(error)) from error
    return area


def to_numbers(value: object, what: str) -> tuple[float, ...]:
    """A list of numbers, as floats. Raises BadValueError: it is none."""
    numbers = value if isinstance(value, list | tuple) else [value]
    for number in numbers:
        # True and False are numbers to Python only.
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise BadValueError(f"its {what} is {abbreviate(value)}, not a list of numbers")
    try:
        return tuple(map(float, numbers))
    except OverflowError as error:
        raise BadValueError(f"its {what} is {abbreviate(value)}, which is too large") from error


def _are_whole(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list | tuple) and all(type(each) is int for each in value)
