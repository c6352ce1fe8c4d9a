"""Rows of CSV, TSV and their relatives: the delimiter is found by the header's names."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice

from captionary.files.picture_formats import is_picture
from captionary.indexer.readers.addresses import name_of, open_file, suffix_of
from captionary.indexer.readers.columns import (
    Columns,
    find_columns,
    is_absent,
    missing_columns,
    shorten,
)
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.tables.records import Dialect, Record, Records, split
from captionary.indexer.readers.tables.text_lines import Line, TextLines, head_lines, read_head
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure

DELIMITERS = ",;\t|"
SAMPLE = 100
"""Rows by which ids are judged."""

SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
"""What Excel may write into the first line."""
NUMBERED = re.compile(r"([^\t]+?)#\d+\t(.*)")
"""A line of Flickr8k.token.txt and Flickr30k's results: NAME.jpg#0, a tab, a caption."""
WHOLE = re.compile(r"(\d+)\.0")
"""A whole number in a column that pandas has made floats, as it does where one is missing."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table begins.

    header:  the line of its header.
    wrapped: whether each line stands in quotes as a whole.
    """

    header: int
    columns: Columns
    dialect: Dialect
    wrapped: bool = False


def read_delimited(source: str) -> Rows:
    """The rows of a table in text; quoted values may span lines.

    The columns may be separated by a comma, semicolon, tab or bar. Where that is a tab or a bar,
    quotes belong to the captions unless whole values are in quotes consistently.

    Raises:
        WrongInput: it has no header with the columns of a pair.
    """
    head = read_head(source)
    first = head_lines(head, source=source)
    numbered = next((line for line in first if line.text.strip()), Line(1, ""))
    if (match := NUMBERED.match(numbered.text)) and is_picture(match[1]):
        yield from _read_numbered(source, head)
        return
    layout = _find_layout(first, source=source)
    name = name_of(source)
    yield from layout.columns.notes(f"{name}:{layout.header}")
    with open_file(source) as file:
        lines = TextLines(file, source=source, head=head, cp1252=True)
        below = (line for line in lines if line.number > layout.header)
        yield from _make_rows(Records(below, layout.dialect), layout, name)
        yield from lines.notes


def _read_numbered(source: str, head: bytes) -> Rows:
    """The rows of a file of lines NAME.jpg#0, a tab, a caption."""
    with open_file(source) as file:
        lines = TextLines(file, source=source, head=head, cp1252=True)
        for line in lines:
            where = f"{name_of(source)}:{line.number}"
            if line.problem:
                yield PairFailure(where, "", line.problem)
            elif match := NUMBERED.match(line.text):
                yield Row(where, {"image": match[1], "caption": match[2]})
            elif line.text.strip():
                yield PairFailure(where, "", "it is not NAME.jpg#0, a tab, and a caption")
        yield from lines.notes


def _make_rows(records: Records, layout: Layout, name: str) -> Rows:
    stream = iter(records)
    head = list(islice(stream, SAMPLE))
    floats = _are_floats(head, layout)
    for record in chain(head, stream):
        row = _make_row(record, layout, f"{name}:{record.line}")
        if floats and isinstance(row, Row):
            number = WHOLE.fullmatch(str(row.values["id"]).strip())
            row = replace(row, values={**row.values, "id": number[1]}) if number else row
        yield row


def _are_floats(records: list[Record], layout: Layout) -> bool:
    """Whether ids are whole numbers that pandas has made floats."""
    place = dict(layout.columns.others).get("id")
    if place is None:
        return False
    ids = [record.values[place] for record in records if place < len(record.values)]
    ids = [value for value in ids if not is_absent(value)]
    return bool(ids) and all(WHOLE.fullmatch(value.strip()) for value in ids)


def _make_row(record: Record, layout: Layout, where: str) -> Row | PairFailure:
    values, width = record.values, layout.dialect.width
    if layout.wrapped and len(values) == 1 and not record.problem:
        values, _ = split(values[0], layout.dialect.delimiter)
    problem = record.problem
    if any(values[width:]) and not problem:
        problem = (
            f"it has {len(values)} values for {width} columns; put captions that hold "
            f"{layout.dialect.delimiter!r} in double quotes, and write quotes within as two"
        )
    if problem:
        image = layout.dialect.image
        return PairFailure(where, values[image].strip(' "') if image < len(values) else "", problem)
    # Blanks around a name are the table's, not the file's.
    return Row(where, layout.columns.pick([value.strip() for value in values]))


def _find_layout(lines: list[Line], *, source: str) -> Layout:
    """Find header and delimiter; several are tried, and the one that gives most columns counts."""
    filled = [line for line in lines if line.problem or line.text.strip()]
    header, *rest = filled or [Line(1, "")]
    delimiters = DELIMITERS
    if rest and (separator := SEPARATOR.fullmatch(header.text.strip(" \r\n"))):
        delimiters, header = separator[1], rest.pop(0)
    if header.problem:
        raise WrongInput(f"the first line of {source} cannot be read: {header.problem}")
    try:
        found = [layout for d in delimiters for layout in _layouts(header, d)]
        best = max(found, key=lambda it: (it.columns.complete, len(it.columns.used)))
        if not best.columns.complete:
            raise _refusal(source, header)
    except csv.Error as error:
        raise WrongInput(f"{source} is not readable as CSV: {one_line(error)}") from error
    if best.dialect.lenient:
        survey = Records(iter(rest), best.dialect)
        for _ in survey:
            pass
        quoted = survey.misquoted <= survey.quoted
        best = replace(best, dialect=replace(best.dialect, quoted=quoted))
    return best


def _layouts(header: Line, delimiter: str) -> Iterator[Layout]:
    """The ways to read a header: as it is, or all of it in quotes."""
    names, _ = split(header.text, delimiter)
    yield _layout(header.number, names, delimiter, wrapped=False)
    if len(names) == 1 and delimiter in names[0]:
        inner, _ = split(names[0], delimiter)
        yield _layout(header.number, inner, delimiter, wrapped=True)


def _layout(header: int, names: list[str], delimiter: str, *, wrapped: bool) -> Layout:
    columns = find_columns(tuple(names))
    width = max((at for at, name in enumerate(names, start=1) if name.strip()), default=0)
    dialect = Dialect(delimiter, quoted=True, width=width, image=columns.image or 0)
    return Layout(header, columns, dialect, wrapped)


def _refusal(source: str, header: Line) -> WrongInput:
    """Why a table cannot be read, with what its first line looks like."""
    by_suffix = "\t" if suffix_of(source) == ".tsv" else ","
    delimiter = max([by_suffix, *DELIMITERS], key=header.text.count)
    names, _ = split(header.text, delimiter)
    seen = f"its first line is {shorten(header.text.strip())}"
    if any(is_picture(name.strip()) for name in names):
        columns = delimiter.join(("image", "caption"))
        return WrongInput(
            f"{source} has no header: {seen}; write {columns!r}, or what its columns are, above it"
        )
    if suffix_of(source) in (".txt", ".token"):
        return WrongInput(
            f"{source} is no table with the columns image and caption, nor one of Flickr8k's "
            f"token files: {seen}; where a.txt has the captions of a.jpg, SOURCE is their folder"
        )
    return missing_columns(names, source=source)
