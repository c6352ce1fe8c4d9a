"""Rows -> pairs: what the columns of any format mean, checked value by value."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from captionary.indexer.readers.addresses import Pictures
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure, PairItem

COLUMNS = ("image", "caption", "captions", "id", "source", "tags")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a SOURCE, as it stands there.

    where:  file and line, for reports.
    values: by column; columns that pairs do not know are ignored.
    """

    where: str
    values: Mapping[str, object]


Rows = Iterator[Row | PairFailure | Note]


class BadValueError(ValueError):
    """A value that cannot be used; the message completes a report."""


def has_columns(names: Iterable[str]) -> bool:
    """Whether a table can hold pairs at all."""
    present = set(names)
    return "image" in present and bool(present & {"caption", "captions"})


def require_columns(names: Iterable[str], *, source: str) -> None:
    """Raise WrongInput unless there is a column for pictures and one for captions."""
    present = list(names)
    if not has_columns(present):
        listed = ", ".join(present[:8]) or "none"
        raise WrongInput(
            f"{source} has no columns image and caption (or captions), only: {listed}; "
            "rename its columns"
        )


def make_pair(
    row: Row | PairFailure, *, pictures: Pictures, source_name: str = ""
) -> ImageCaption | PairFailure:
    """Check a row and make it a pair. What already failed is passed on."""
    if isinstance(row, PairFailure):
        return row
    values = row.values
    try:
        return ImageCaption(
            image=pictures.address(_image(values.get("image"))),
            captions=_captions(values),
            id=_name(values.get("id"), "id") or None,
            source=_name(values.get("source"), "source") or source_name,
            tags=_tags(values.get("tags")),
            where=row.where,
        )
    except BadValueError as error:
        image = values.get("image")
        return PairFailure(row.where, image if isinstance(image, str) else "", str(error))


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
    return replace(run[0], captions=captions, tags=tags)


def _image(value: object) -> str:
    if value is None or value == "":
        raise BadValueError("it names no picture; give its path in the column image")
    name = _text(value, "image")
    if not name.strip() or "\0" in name:
        raise BadValueError(f"{name!r} is not the name of a picture")
    return name


def _captions(values: Mapping[str, object]) -> tuple[str, ...]:
    value = values.get("captions")
    if value is None or value == "":
        value = values.get("caption")
    listed = value if isinstance(value, list | tuple) else [] if value is None else [value]
    captions = tuple(_text(caption, "caption").strip() for caption in listed)
    if not any(captions):
        raise BadValueError("it has no caption, or only blank ones")
    return captions


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    listed = value.split(",") if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        raise BadValueError(f"tags is {_abbreviate(value)}, neither a list nor text")
    tags = (_text(tag, "tags").strip() for tag in listed)
    return tuple(dict.fromkeys(tag for tag in tags if tag))


def _name(value: object, column: str) -> str:
    if value is None:
        return ""
    # Ids are often numbers in a table; True and False are numbers to Python only.
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(value, column).strip()


def _text(value: object, column: str) -> str:
    if not isinstance(value, str):
        raise BadValueError(f"{column} is {_abbreviate(value)}, not text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadValueError(f"{column} is not valid UTF-8 text") from error
    return value


def _abbreviate(value: object) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= 40 else f"{text[:40]}..."
