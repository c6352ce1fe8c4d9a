"""Rows -> pairs: what the columns of any format mean, checked value by value."""

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from captionary.files.file_names import is_file_name
from captionary.indexer.readers.addresses import Pictures, exists
from captionary.indexer.readers.annotations.regions import parse_regions
from captionary.indexer.readers.columns import is_absent
from captionary.indexer.readers.values import BadValueError, abbreviate, to_text
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure, PairItem

TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
PYTHON_LIST = re.compile(
    rf"(?:array\()?[\[(]\s*(?:(?:{TEXT})[\s,]*)+[\])](?:,\s*dtype=\w+)?\)?", re.DOTALL
)
"""A list of texts as Python or numpy writes it into a table; numpy leaves out the commas."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a SOURCE, as it stands there.

    where:  file and line, for reports.
    values: by column: `image`, `caption` or `captions`, `regions`, `id`, `source`, `tags`. An image
            is a name, several that it may have, bytes, or `bytes` and `path` together.
    """

    where: str
    values: Mapping[str, object]


Rows = Iterator[Row | PairFailure | Note]


def make_pair(
    row: Row | PairFailure,
    *,
    pictures: Pictures,
    masks: Pictures | None = None,
    source_name: str = "",
) -> ImageCaption | PairFailure:
    """Check a row and make it a pair. What already failed is passed on.

    masks: finds the masks of regions. None: as pictures.
    """
    if isinstance(row, PairFailure):
        return row
    values = row.values
    name, data = _image(values.get("image"))
    try:
        image = data or _address(name, pictures)
        areas = parse_regions(values.get("regions"), (masks or pictures).address)
        return ImageCaption(
            image=image,
            captions=_captions(values, required=not areas),
            id=_name(values.get("id"), "id") or None,
            source=_name(values.get("source"), "source") or source_name,
            tags=_tags(values.get("tags")),
            where=row.where,
            name=to_text(name or "", "image") if data else "",
            areas=areas,
        )
    except BadValueError as error:
        first = name[0] if isinstance(name, tuple) else name
        return PairFailure(row.where, first if isinstance(first, str) else "", str(error))


def merge_rows(
    items: Iterable[PairItem],
) -> Iterator[PairItem]:
    """Join consecutive pairs of the same picture, id and source; all else passes at once."""
    run: list[ImageCaption] = []
    for item in items:
        if not isinstance(item, ImageCaption):
            yield item
            continue
        if run and _key(run[0]) != _key(item):
            yield _merge(run)
            run = []
        run.append(item)
    if run:
        yield _merge(run)


def _key(pair: ImageCaption) -> tuple[str | bytes, str | None, str]:
    return pair.image, pair.id, pair.source


def _merge(run: list[ImageCaption]) -> ImageCaption:
    if len(run) == 1:
        return run[0]
    captions = tuple(caption for pair in run for caption in pair.captions)
    tags = tuple(dict.fromkeys(tag for pair in run for tag in pair.tags))
    areas = tuple(area for pair in run for area in pair.areas)
    rows = sum(pair.rows for pair in run)
    return replace(run[0], captions=captions, tags=tags, areas=areas, rows=rows)


def _image(value: object) -> tuple[object, bytes]:
    """The name of a picture, and its file where the row holds that."""
    if isinstance(value, bytes):
        return None, value
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes | None):
        return value.get("path"), value.get("bytes") or b""
    return value, b""


def _address(name: object, pictures: Pictures) -> str:
    """The address of a picture by its name, or by the first of several that is there."""
    if not isinstance(name, tuple):
        return pictures.address(_image_name(name))
    places = [pictures.address(_image_name(each)) for each in name]
    return next(filter(exists, places), places[0])


def _image_name(value: object) -> str:
    blank = isinstance(value, str) and value.isspace()
    if is_absent(value) and not blank:
        raise BadValueError("it names no picture; give its path in the column image")
    # Bytes that are not UTF-8 are names as well, where files have them.
    name = value if isinstance(value, str) and is_file_name(value) else to_text(value, "image")
    if blank or "\0" in name:
        raise BadValueError(f"{name!r} is not the name of a picture")
    return name


def _captions(values: Mapping[str, object], *, required: bool) -> tuple[str, ...]:
    value = values.get("captions")
    if is_absent(value):
        value = values.get("caption")
    if isinstance(value, str):
        value = _split_list(value)
    listed = value if isinstance(value, list | tuple) else [] if value is None else [value]
    texts = [to_text(_sentence(caption), "caption").strip() for caption in listed]
    captions = tuple(text for text in texts if not text or not is_absent(text))
    if any(captions):
        return captions
    if required:
        neither = " and no region" * isinstance(values.get("regions"), list)
        raise BadValueError(f"it has no caption, or only blank ones{neither}")
    return ()


def _sentence(value: object) -> object:
    """The text of a caption that stands in an object with its tokens or its number."""
    if isinstance(value, dict):
        return next((value[key] for key in ("raw", "caption", "text") if key in value), value)
    return value


def _split_list(text: str) -> object:
    """The list that a text is written as, in JSON or by Python; else the text."""
    stripped = text.strip()
    if not stripped.startswith(("[", "(", "array(")):
        return text
    with suppress(ValueError, RecursionError):
        listed = json.loads(stripped)
        if isinstance(listed, list) and all(isinstance(item, str) for item in listed):
            return listed
    if PYTHON_LIST.fullmatch(stripped) is None:
        return text
    with warnings.catch_warnings(), suppress(ValueError, SyntaxError):
        warnings.simplefilter("ignore")  # of backslashes that escape nothing
        return [ast.literal_eval(item) for item in re.findall(TEXT, stripped)]
    return text


def _tags(value: object) -> tuple[str, ...]:
    if is_absent(value):
        return ()
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        raise BadValueError(f"tags is {abbreviate(value)}, neither a list nor text")
    tags = (to_text(tag, "tags").strip() for tag in listed)
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def _name(value: object, column: str) -> str:
    if is_absent(value):
        return ""
    # pandas makes whole numbers floats where one is missing.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # Ids are often numbers in a table; True and False are numbers to Python only.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return to_text(value, column).strip()
