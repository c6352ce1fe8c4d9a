"""Lines of a text file in the encoding that it is in: UTF-8, UTF-16 or Windows' cp1252."""

import json
import re
import zlib
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from typing import BinaryIO, NamedTuple

from captionary.indexer.readers.addresses import is_compressed, is_local, name_of, open_file
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.notes import Note

HEAD = 1 << 18
"""Bytes of a file that are looked at before it is read."""
PIECE = 1 << 13
BLOCK = 1 << 20
"""Bytes read at once to count lines."""
LONGEST_LINE = 1 << 24
"""Characters; a file without line ends must not fill the memory."""

FOREIGN = {
    b"PK\x03\x04": "an Excel workbook or a ZIP file; save it as CSV (UTF-8), or unpack it",
    b"\x1f\x8b": "gzipped; its name must end in .gz",
    b"PAR1": "Parquet; its name must end in .parquet",
}
"""What other files begin with, and what to do."""

OTHER_ALPHABET = re.compile(rb"[\x80-\xff]{4}")
"""Western texts have no four letters with accents in a row; Cyrillic, Greek and Chinese do."""

LINE_END = re.compile(r"\r\n|\r|\n")


class Line(NamedTuple):
    """A line of a file with its line end, or why it cannot be read; numbers start at 1."""

    number: int
    text: str
    problem: str = ""


def read_head(source: str) -> bytes:
    """The first bytes of a text file.

    Raises:
        WrongInput: it is a file of another kind, or cannot be read.
    """
    head = b""
    with open_file(source) as file:
        try:
            while piece := file.read(min(PIECE, HEAD - len(head))):
                head += piece
        except (OSError, EOFError, zlib.error):
            # It breaks off; whoever reads on will meet that again.
            if not head:
                raise
    for magic, kind in FOREIGN.items():
        if head.startswith(magic):
            raise WrongInput(f"{source} is {kind}")
    return head


class TextLines:
    """The lines of a file, with their ends: `\\n`, `\\r\\n`, or `\\r` where the file has these.

    Bytes that are not UTF-8 are read as cp1252 if `cp1252` allows it and the head of the file has
    no text in UTF-8 beyond ASCII; else their lines are problems.
    """

    def __init__(self, file: BinaryIO, *, source: str, head: bytes, cp1252: bool) -> None:
        encoding = json.detect_encoding(head)  # by byte order marks and NUL bytes
        utf8 = encoding.startswith("utf-8")
        self._text = TextIOWrapper(
            file,
            "utf-8-sig" if utf8 else encoding,
            "surrogateescape" if utf8 else "replace",
            newline=_newline(head.decode(encoding, "replace")),
        )
        self._source = source
        self._cp1252 = cp1252 and not any(map(_is_utf8, head.splitlines()))
        self._converted = 0
        self._first_converted = 0

    @property
    def notes(self) -> list[Note]:
        """What was not taken as it stood, so far."""
        if not self._converted:
            return []
        return [
            Note(
                "lines read as cp1252, as they are not UTF-8",
                f"{name_of(self._source)}:{self._first_converted}",
                "if names look wrong, save the file as UTF-8",
                self._converted,
            )
        ]

    def __iter__(self) -> Iterator[Line]:
        number = 0
        while text := self._text.readline(LONGEST_LINE):
            number += 1
            if len(text) == LONGEST_LINE and text[-1] not in "\r\n":
                while (rest := self._text.readline(LONGEST_LINE)) and rest[-1] not in "\r\n":
                    pass
                yield Line(number, "", f"it is a line of more than {LONGEST_LINE:,} characters")
            elif text.isascii():
                yield Line(number, text)
            else:
                yield self._decoded(number, text)

    def _decoded(self, number: int, text: str) -> Line:
        try:
            text.encode()
        except UnicodeEncodeError:
            data = text.encode("utf-8", "surrogateescape")
        else:
            return Line(number, text)
        if not self._cp1252:
            return Line(number, "", f"it is not valid UTF-8: {_decoding_error(data)}")
        western = _from_cp1252(data)
        if western is None:
            problem = "it is neither UTF-8 nor Western text (cp1252); save the file as UTF-8"
            return Line(number, "", problem)
        self._converted += 1
        self._first_converted = self._first_converted or number
        return Line(number, western)


def _newline(head: str) -> str:
    """What ends lines, for `open`: a lone `\\r` among others is part of a text."""
    lone, feeds = len(re.findall("\r(?!\n)", head)), head.count("\n")
    first = LINE_END.search(head)
    return "" if lone > feeds or (first and first[0] == "\r") else "\n"


def _decoding_error(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return one_line(error)
    return ""


def _from_cp1252(data: bytes) -> str | None:
    try:
        return None if OTHER_ALPHABET.search(data) else data.decode("cp1252")
    except UnicodeDecodeError:
        return None


def head_lines(head: bytes, *, source: str, cp1252: bool = True) -> list[Line]:
    """The lines of the head of a file; the last one may be cut and is left out of a long one."""
    lines = list(TextLines(BytesIO(head), source=source, head=head, cp1252=cp1252))
    return lines[:-1] if len(head) >= HEAD and len(lines) > 1 else lines


def _is_utf8(line: bytes) -> bool:
    """Whether a line shows that the file is in UTF-8."""
    return not line.isascii() and not _decoding_error(line)


def count_lines(source: str) -> int | None:
    """Lines of a local text file; None where counting means fetching or unpacking all of it."""
    if not is_local(source) or is_compressed(source):
        return None
    with open_file(source) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
