"""Rows of JSON Lines."""

import json
from itertools import islice
from typing import Any

from captionary.indexer.readers.addresses import name_of, open_file
from captionary.indexer.readers.columns import advise, find_columns, list_names
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.tables.text_lines import Line, TextLines
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure

HEAD = 100
"""Lines among which one must be usable."""


def read_json_lines(source: str, head: bytes) -> Rows:
    """The objects of a JSON Lines file.

    Args:
        head: the first bytes of the file.

    Raises:
        WrongInput: none of the first lines is an object with the columns of a pair.
    """
    name = name_of(source)
    with open_file(source) as file:
        lines = TextLines(file, source=source, head=head, cp1252=False)
        objects = ((f"{name}:{line.number}", _parse(line)) for line in lines if _is_filled(line))
        first = list(islice(objects, HEAD))
        if not any(_is_complete(values) for _, values in first):
            seen = next((values for _, values in first if isinstance(values, dict)), None)
            only = f", only: {list_names(tuple(seen))}; {advise(seen)}" if seen else ""
            raise WrongInput(
                f"{source} holds no line with image and caption{only}; "
                'JSON Lines are read as {"image": "a.jpg", "caption": "..."} on each line'
            )
        for where, values in first:
            yield from object_rows(where, values)
        for where, values in objects:
            yield from object_rows(where, values)


def object_rows(where: str, values: dict[str, Any] | str) -> Rows:
    """The row of a JSON object, or the failure for this reason."""
    if isinstance(values, str):
        yield PairFailure(where, "", values)
        return
    columns = find_columns(tuple(values))
    yield from columns.notes(where)
    yield Row(where, columns.pick(list(values.values())))


def _is_filled(line: Line) -> bool:
    return bool(line.problem or line.text.strip())


def _is_complete(values: dict[str, Any] | str) -> bool:
    return isinstance(values, dict) and find_columns(tuple(values)).complete


def _parse(line: Line) -> dict[str, Any] | str:
    """The object of a line, or why it is none."""
    if line.problem:
        return line.problem
    try:
        values = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {one_line(error)}"
    return values if isinstance(values, dict) else "it is JSON but not an object in braces"
