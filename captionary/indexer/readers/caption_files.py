"""Which file holds the captions of which picture, by their names, and what it says.

`0001.jpg` goes with `0001.txt`, `0001.caption`, `0001.jpg.txt`, or `0001.json` as img2dataset
writes it; in folders and in shards alike.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from captionary.files.file_names import normal_form
from captionary.files.picture_formats import SUFFIXES
from captionary.indexer.readers.values import BadValueError

TEXT, JSON = ".txt", ".json"
TEXTS = (TEXT, ".caption", ".captions")
"""Suffixes of texts with a caption on each line; of several the first counts."""
ENDS = (*TEXTS, JSON)
WITHIN = frozenset((".caption", ".captions", *SUFFIXES))
"""What may stand before the suffix of a file of captions."""

Columns = dict[str, object]


class SplitName(NamedTuple):
    """A name as `a/0001` and `.jpg`.

    stem: in its normal form; equal for the picture and its captions.
    kind: the rest, in lower case: `.jpg`, `.txt`, `.caption.txt`, `.jpg.json`.
    """

    stem: str
    kind: str


def split_name(name: str) -> SplitName | None:
    """Split the name of a file; None where it has no suffix."""
    stem, _, suffix = name.rpartition(".")
    if not stem or "/" in suffix or stem[-1] == "/":
        return None
    kind = f".{suffix.lower()}"
    if kind in ENDS:
        while "." in stem:
            shorter, _, within = stem.rpartition(".")
            if f".{within.lower()}" not in WITHIN or not shorter or shorter[-1] == "/":
                break
            stem, kind = shorter, f".{within.lower()}{kind}"
    return SplitName(normal_form(stem), kind)


def caption_kinds(kinds: Iterable[str]) -> list[str]:
    """The kinds of one stem that may hold captions, the one that counts first."""
    return sorted(filter(may_be_captions, kinds), key=_rank)


def may_be_captions(kind: str) -> bool:
    """Whether a file of this kind may hold captions."""
    return kind.endswith(ENDS)


@lru_cache(1024)
def _rank(kind: str) -> tuple[bool, bool, int]:
    return kind.endswith(JSON), not kind.endswith(TEXT), len(kind)


def parse_captions(content: bytes, kind: str) -> Columns:
    """Parse a file of captions into columns.

    Raises:
        ValueError: it cannot be read, as text (UnicodeDecodeError), as JSON or as an object.
        RecursionError: its JSON is too deep.
    """
    if not kind.endswith(JSON):
        return {"captions": split_captions(content)}
    parsed = json.loads(content.decode("utf-8-sig"))
    if not isinstance(parsed, dict):
        raise BadValueError("its .json is not an object in braces")
    return {column: parsed.get(column) for column in ("caption", "captions")}


def split_captions(text: bytes) -> list[str]:
    """The lines of a text file that say something. Raises UnicodeDecodeError."""
    # Not splitlines: it breaks lines at characters that captions may hold.
    lines = text.decode("utf-8-sig").replace("\r", "\n").split("\n")
    return [line for line in lines if line.strip()]
