"""A user's own table of kinds: `class: kind, kind, ...`, a line for each class."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from captionary.schemas.classes import ClassName, parse_classes, to_classes
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.nouns import normal_form

KindTable: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Classes, each with its kinds; no class stands in it twice."""

KindTableLike: TypeAlias = str | Path | Mapping[str, Iterable[str]]
"""The text of a table, the path of its file, or a mapping from classes to kinds."""

ROW = "write a line for each class, as in 'furniture: bench, sofa'"


@dataclass(frozen=True, slots=True)
class KindRules:
    """Which nouns become kinds of a class.

    exact: none: a class takes the nouns that it names.
    table: what a user has laid down; a class that it names takes that row and nothing else.
    """

    exact: bool = False
    table: KindTable = ()


BY_LEXICON = KindRules()
"""Nothing is laid down."""


def to_kinds(kinds: KindTableLike) -> KindTable:
    """The table of a text, of a file, or of a mapping.

    Raises:
        WrongInput: as `parse_kinds`, or the file cannot be read.
    """
    if isinstance(kinds, str):
        return parse_kinds(kinds)
    if isinstance(kinds, Path):
        return read_kinds(kinds)
    return _of_mapping(kinds)


def read_kinds(path: Path) -> KindTable:
    """Read a file with a table.

    Raises:
        WrongInput: it cannot be read, or as `parse_kinds`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongInput(
            f"cannot read the table of kinds {path}: it is not UTF-8 text; save it as that"
        ) from error
    except (OSError, ValueError) as error:
        raise WrongInput(f"cannot read the table of kinds {path}: {one_line(error)}") from error
    return parse_kinds(text, where=str(path))


def parse_kinds(text: str, *, where: str = "kinds") -> KindTable:
    """Parse a table; blank lines do not count, and a class without kinds takes none.

    Args:
        text:  a line for each class, its kinds written as a class list is, without synonyms; or a
            JSON object, {"furniture": ["bench", "sofa"]}.
        where: what messages call the text, before the number of the line.

    Raises:
        WrongInput: a line is none of these, or a class stands in the table twice.
    """
    text = text.removeprefix("\ufeff").strip()
    if text.startswith("{"):
        try:
            return _of_mapping(_parse_json(text))
        except WrongInput as error:
            raise WrongInput(f"{where}: {error}") from error
    rows = _Rows()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.add(*_parse_row(line.strip()))
            except WrongInput as error:
                raise WrongInput(f"{where}:{number}: {error}") from error
    return rows.table


class _Rows:
    """Collects the rows of a table; a class may stand in it once, in any spelling."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, tuple[str, ...]]] = {}

    def add(self, name: str, kinds: tuple[str, ...]) -> None:
        first = self._rows.setdefault(normal_form(name), row := (name, kinds))
        if first is not row:
            raise WrongInput(f"the class {name!r} stands in the table twice; join its kinds")

    @property
    def table(self) -> KindTable:
        return tuple(self._rows.values())


def _of_mapping(kinds: Mapping[str, Iterable[str]]) -> KindTable:
    rows = _Rows()
    for name, row in kinds.items():
        found = row if isinstance(row, str) else tuple(row)
        if isinstance(found, str) or not all(isinstance(item, str) for item in found):
            raise WrongInput(f"the kinds of {name[:60]!r} are no list of names; give one")
        names = tuple(_plain(item) for item in to_classes(found)) if found else ()
        rows.add(_plain(*to_classes([name])), names)
    return rows.table


def _parse_json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise WrongInput(f'{text[:60]!r} is no JSON object; {ROW}, or {{"furniture": ["bench"]}}')
    return data


def _parse_row(line: str) -> tuple[str, tuple[str, ...]]:
    name, colon, kinds = line.partition(":")
    if not colon:
        raise WrongInput(f"{line[:60]!r} has no ':'; {ROW}")
    (item, *more), row = _names(name), _names(kinds) if kinds.strip() else ()
    if more:
        raise WrongInput(f"{name[:60]!r} is more than one class; {ROW}")
    return item, row


def _names(text: str) -> tuple[str, ...]:
    """The names of a list, none with synonyms; unlike a class list it names no file."""
    text = text.strip()
    if text.startswith("@"):
        raise WrongInput(f"{text[:60]!r} would be a file; {ROW}")
    return tuple(_plain(item) for item in parse_classes(text))


def _plain(item: ClassName) -> str:
    if len(item.prompts) > 1:
        raise WrongInput(f"{item.name!r} has synonyms; write commas between kinds")
    return item.name
