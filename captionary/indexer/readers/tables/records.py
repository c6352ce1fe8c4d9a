"""Lines of a delimited table -> records. A quote that never closes costs its own row, no other.

The lines are split by the standard library's csv, one at a time: it would read on to the end of the
file for a quote that is missing. A value may span lines (RFC 4180) as long as these do not look
like rows.
"""

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from captionary.files.picture_formats import is_picture
from captionary.indexer.readers.tables.text_lines import Line
from captionary.schemas.errors import one_line

SPAN = 200
"""Lines that a quoted value may take; so many are held at most."""

LINE_END = re.compile(r"[\r\n]")
ADDRESS = re.compile(r"\w+://\S+")
CLOSING = '"\n'
OPEN = (
    "a value begins with a double quote that does not close before the next row or the end of the "
    'file; close it, or write "" for a quote within quotes'
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table is written.

    quoted: whether values that begin with a double quote are quoted.
    width:  how many columns it has.
    image:  position of the column of pictures.
    """

    delimiter: str
    quoted: bool
    width: int
    image: int

    @property
    def lenient(self) -> bool:
        """Whether a misplaced quote belongs to the value, as where nothing is quoted as a rule."""
        return self.delimiter in "\t|"


class Record(NamedTuple):
    """A row's values, or why it has none; `line` is where it begins."""

    line: int
    values: list[str]
    problem: str = ""


def split(text: str, delimiter: str, **how: Any) -> tuple[list[str], bool]:
    """Split a line; the second value tells whether it ends within a quoted value.

    Raises:
        csv.Error: it is not well-formed (with `strict`), or a value is too long.
    """
    # A reader that takes the second line, which closes any quote, has not ended with the first.
    reader = csv.reader((text, CLOSING), delimiter=delimiter, skipinitialspace=True, **how)
    return next(reader), reader.line_num > 1


class Records:
    """The records of a table below its header; blank lines are none.

    quoted, misquoted: how many rows show that values are quoted, or that quotes are part of them.
    """

    def __init__(self, lines: Iterator[Line], dialect: Dialect) -> None:
        self._lines = lines
        self._ahead: deque[Line] = deque()
        self._dialect = dialect
        self._shape = ""
        # Lines that may be looked at in vain: time is linear in the lines of any table.
        self._budget = 10 * SPAN
        self.quoted = 0
        self.misquoted = 0

    def __iter__(self) -> Iterator[Record]:
        while line := self._next_line():
            if line.problem:
                yield Record(line.number, [], line.problem)
            elif line.text.strip(" \r\n"):
                yield self._record(line)

    def _next_line(self) -> Line | None:
        self._budget += 4
        return self._ahead.popleft() if self._ahead else next(self._lines, None)

    def _record(self, line: Line) -> Record:
        try:
            values = self._values(line.text)
            if values is None:
                return Record(line.number, self._split_plainly(line.text), OPEN)
        except csv.Error as error:
            return Record(line.number, [], f"it is not readable as CSV: {one_line(error)}")
        if self._dialect.image < len(values):
            self._shape = _shape(values[self._dialect.image])
        return Record(line.number, values)

    def _values(self, text: str) -> list[str] | None:
        """The values of the record that begins with a line; None if a quote is left open."""
        if not self._dialect.quoted:
            return self._split_plainly(text)
        strict = self._split_strictly(text) if '"' in text else (self._split_plainly(text), False)
        if strict and not strict[1] and self._fits(strict[0]):
            self.quoted += text.count('"') >= 4
            return strict[0]
        if strict and strict[1] and (joined := self._try_to_join(strict[0], text)):
            self.quoted += 1
            return joined
        escaped = "\\" in text and self._split_strictly(text, escapechar="\\", doublequote=False)
        if escaped and not escaped[1] and self._fits(escaped[0]):
            return escaped[0]
        if strict and not strict[1]:
            return strict[0]
        self.misquoted += 1
        if self._dialect.lenient:
            return self._split_plainly(text)
        values, is_open = split(text, self._dialect.delimiter)
        return None if is_open else values

    def _split_plainly(self, text: str) -> list[str]:
        # csv takes no line end within a line, and `\r` is none in a file of other line ends.
        return split(text.replace("\r", " "), self._dialect.delimiter, quoting=csv.QUOTE_NONE)[0]

    def _split_strictly(self, text: str, **how: Any) -> tuple[list[str], bool] | None:
        try:
            return split(text, self._dialect.delimiter, strict=True, **how)
        except csv.Error:
            return None

    def _fits(self, values: Sequence[str]) -> bool:
        """Whether there is a value a column; blank ones at the end may be missing or too many."""
        return len(values) == self._dialect.width or (
            len(values) > self._dialect.width and not any(values[self._dialect.width :])
        )

    def _try_to_join(self, begun: Sequence[str], text: str) -> list[str] | None:
        try:
            return self._join(begun, text)
        except csv.Error:  # a value is too long
            return None

    def _join(self, begun: Sequence[str], text: str) -> list[str] | None:
        """Read a record to its end in a later line, and take its lines; None if it is none.

        A line that names a picture is another row, unless it is where this record names its own.
        """
        image = self._dialect.image
        values = list(begun)
        pieces = [values.pop()]
        unnamed = [] if len(values) > image else [text]
        shape = self._shape if unnamed else _shape(values[image])
        if unnamed and self._names_picture(text, shape):
            return None
        for count in range(1, min(SPAN, self._budget)):
            self._budget -= 1
            line = self._peek(count)
            parts = line and not line.problem and self._split_strictly(f'"{line.text}')
            if not line or not parts:
                return None
            (first, *more), is_open = parts
            pieces.append(first)
            named = len(values) > image
            if more or not is_open:
                values.append("".join(pieces))
                pieces = [more.pop()] if is_open else []
                values += more
            if not named and len(values) <= image:
                unnamed.append(line.text)
            if named == (len(values) > image) and self._names_picture(line.text, shape):
                return None
            if len(values) > self._dialect.width and not self._fits(values):
                return None
            if not is_open:
                return self._take(count, values, unnamed)
        return None

    def _take(self, count: int, values: list[str], unnamed: list[str]) -> list[str] | None:
        """Take the lines of a record that fits; `unnamed` are those before its picture's name."""
        if not self._fits(values) or LINE_END.search(values[self._dialect.image].strip()):
            return None
        shape = _shape(values[self._dialect.image])
        if any(self._names_picture(text, shape) for text in unnamed):
            return None
        self._budget += count
        for _ in range(count):
            self._ahead.popleft()
        return values

    def _peek(self, count: int) -> Line | None:
        """The line so many lines ahead, from 1."""
        self._ahead.extend(islice(self._lines, max(0, count - len(self._ahead))))
        return self._ahead[count - 1] if count <= len(self._ahead) else None

    def _names_picture(self, text: str, shape: str) -> bool:
        """Whether a line, its quotes taken literally, could be a row."""
        plain = self._split_plainly(text)
        if len(plain) < 2:
            return False
        dialect = self._dialect
        # Captions may hold delimiters, before the name or after it.
        places = (dialect.image, len(plain) - dialect.width + dialect.image)
        names = [plain[at].strip(' "') for at in places if 0 <= at < len(plain)]
        if any(is_picture(name) or ADDRESS.fullmatch(name) for name in names):
            return True
        if shape:
            exact = len(plain) == dialect.width or "0" in shape
            return exact and any(_shape(name) == shape for name in names)
        return False


def _shape(name: str) -> str:
    """What names without a suffix have in common: `img_12` and `img_7` are `a_0`."""
    if is_picture(name):
        return ""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", name.strip(' "')))
