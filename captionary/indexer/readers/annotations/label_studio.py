"""Rows of Label Studio's JSON export: tasks with boxes, polygons and masks of the brush.

Shapes are in percent of the picture: https://labelstud.io/guide/export
"""

import re
from collections.abc import Iterator, Mapping
from math import cos, isfinite, radians, sin
from typing import Any, TypeGuard
from urllib.parse import parse_qs, unquote, urlsplit

from captionary.indexer.readers.addresses import name_of
from captionary.indexer.readers.annotations.brush import decode_brush
from captionary.indexer.readers.annotations.regions import checked, to_noun, to_numbers
from captionary.indexer.readers.columns import find_columns
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.values import BadValueError, abbreviate, to_text
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure
from captionary.schemas.pointing import Area, BoxArea, PointedArea, PolygonArea
from captionary.vision.pictures.loading import MAX_PIXELS
from captionary.vision.pictures.rle import encode_mask

KINDS = ("rectanglelabels", "polygonlabels", "brushlabels", "labels")
"""Types of results that are read, and names of their list of labels."""

TEXTS = ("caption", "captions")
"""Names of text areas that hold captions."""

UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the names of uploaded files."""

Task = dict[str, Any]


def is_label_studio(content: object) -> TypeGuard[list[Task]]:
    """Whether a JSON document is a list of tasks with annotations."""
    return (
        isinstance(content, list)
        and bool(content)
        and all(
            isinstance(task, dict)
            and isinstance(task.get("data"), dict)
            and isinstance(task.get("annotations"), list)
            for task in content
        )
    )


def label_studio_rows(content: list[Task], source: str) -> Rows:
    """The pictures of the tasks, each with what all of its annotations have labelled.

    Raises:
        WrongInput: no task names a picture.
    """
    name = name_of(source)
    if not any(_picture(task["data"]) for task in content):
        raise WrongInput(
            f"the tasks of {source} name no pictures in their data; label pictures in Label "
            "Studio, and export as JSON"
        )
    for number, task in enumerate(content):
        where = f"{name}[{number}]"
        picture = _picture(task["data"])
        areas: list[PointedArea] = []
        captions: list[str] = []
        failed = False
        for place, result in _results(task["annotations"]):
            try:
                if _is_caption(result):
                    captions += _texts(result)
                elif result.get("type") in KINDS:
                    areas += _areas(result)
                elif str(result.get("type")).endswith("labels"):
                    what = "annotations that are no boxes, polygons or masks of the brush"
                    yield Note(what, f"{where}.{place}")
            except BadValueError as error:
                failed = True
                image = picture[0] if picture else ""
                yield PairFailure(f"{where}.{place}", image, str(error))
        if areas or captions or not picture:
            yield Row(where, {"image": picture, "captions": captions, "regions": areas})
        elif not failed:
            yield Note("tasks without regions", where)


def _picture(data: Mapping[str, object]) -> tuple[str, ...] | None:
    """The names that the picture of a task may have where its file is now."""
    at = find_columns(tuple(data)).image
    value = list(data.values())[at] if at is not None else None
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        parts = urlsplit(value)
    except ValueError:  # no address, so a name
        return (value,)
    if parts.path.startswith("/data/local-files"):
        path = parse_qs(parts.query).get("d", [""])[0]
    elif parts.path.startswith("/data/upload/"):
        path = unquote(parts.path.removeprefix("/data/upload/"))
    else:
        return (value,)
    file = path.rpartition("/")[2]
    return tuple(dict.fromkeys((path.strip("/"), file, UPLOADED.sub("", file, count=1))))


def _results(annotations: list[object]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All results of a task, and where each stands."""
    for number, annotation in enumerate(annotations):
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for place, result in enumerate(results if isinstance(results, list) else []):
            if isinstance(result, dict):
                yield f"annotations[{number}].result[{place}]", result


def _is_caption(result: Mapping[str, object]) -> bool:
    return result.get("type") == "textarea" and str(result.get("from_name")).lower() in TEXTS


def _texts(result: Mapping[str, object]) -> list[str]:
    value = _value(result).get("text")
    return [to_text(text, "text") for text in (value if isinstance(value, list) else [value])]


def _areas(result: Mapping[str, object]) -> list[PointedArea]:
    """An area for each label of a result."""
    value = _value(result)
    labels = value.get(str(result.get("type")))
    if not isinstance(labels, list):
        raise BadValueError(f"its {result.get('type')} are {abbreviate(labels)}, not a list")
    nouns = [to_noun(label, str(result.get("type"))) for label in labels]
    if turned := result.get("image_rotation"):
        raise BadValueError(
            f"its picture was turned by {abbreviate(turned)} degrees in Label Studio; turn the "
            "file itself and label that"
        )
    area = _area(value, _size_hw(result)) if nouns else None
    return [PointedArea(noun, area) for noun in nouns if area]


def _value(result: Mapping[str, object]) -> Mapping[str, object]:
    value = result.get("value")
    if not isinstance(value, dict):
        raise BadValueError(f"its value is {abbreviate(value)}, not an object in braces")
    return value


def _size_hw(result: Mapping[str, object]) -> tuple[int, int]:
    size = [result.get(f"original_{side}") for side in ("height", "width")]
    height, width = (side if type(side) is int else 0 for side in size)
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise BadValueError(
            f"its original_height and original_width are {abbreviate(size)}, not the pixels of its "
            "picture"
        )
    return height, width


def _area(value: Mapping[str, object], size_hw: tuple[int, int]) -> Area:
    height, width = size_hw
    if "rle" in value:
        codes = value["rle"]
        return encode_mask(decode_brush(codes if isinstance(codes, list) else [-1], size_hw))
    if "points" in value:
        points = value["points"] if isinstance(value["points"], list) else [value["points"]]
        pairs = [to_numbers(point, "points") for point in points]
        if any(len(pair) != 2 for pair in pairs):
            raise BadValueError(f"its points are {abbreviate(points)}, not [x, y] each")
        polygon = tuple(n for x, y in pairs for n in (x / 100 * width, y / 100 * height))
        return checked(PolygonArea((polygon,)))
    sides = [value.get(side) for side in ("x", "y", "width", "height")]
    x, y, across, down = to_numbers(sides, "x, y, width and height")
    left, top = x / 100 * width, y / 100 * height
    box = checked(BoxArea(left, top, across / 100 * width, down / 100 * height))
    if not (turned := value.get("rotation")):
        return box
    # Clockwise, around the corner at the left and top.
    degrees = to_numbers([turned], "rotation")[0]
    if not isfinite(degrees):
        raise BadValueError(f"its rotation is {degrees}, not degrees")
    angle = radians(degrees)
    corners = ((0, 0), (box.width, 0), (box.width, box.height), (0, box.height))
    turned_corners = (
        (left + a * cos(angle) - b * sin(angle), top + a * sin(angle) + b * cos(angle))
        for a, b in corners
    )
    return checked(PolygonArea((tuple(n for corner in turned_corners for n in corner),)))
