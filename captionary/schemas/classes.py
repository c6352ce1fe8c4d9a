"""Class lists: the classes that a user asks the segmenter for.

What is plainly a list is split: commas, lines, JSON. What may be a list is refused: taken for one
name, it would be the class of the whole picture.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.nouns import normal_form, without_article

MOST_WORDS = 8
"""Of a list's only name, unless it is in quotes: more are a list whose commas are missing."""


@dataclass(frozen=True, slots=True)
class ClassName:
    """One class.

    name:    what it is called in results.
    prompts: all names that it is searched by; the first is `name`.
    written_out: the user has listed what belongs to it, as in `person: man | woman`: no further
        kinds are looked for.
    """

    name: str
    prompts: tuple[str, ...]
    written_out: bool = False


def parse_classes(text: str) -> tuple[ClassName, ...]:
    """Parse a class list: `a, b: synonym | synonym`, lines, a JSON list, or `@FILE` with one.

    A name with commas stands in double quotes or brackets, or in a JSON list.

    Raises:
        WrongInput: it is empty, names something twice, or may mean several things.
    """
    text = text.strip().removeprefix("\ufeff").strip()
    if not text.startswith("@"):
        return _parse_text(text, in_file=False)
    name = text[1:].strip()
    if len(name.splitlines()) != 1:
        raise WrongInput(f"{_shown(text)} names no file; write @classes.txt and nothing else")
    content = _read(Path(name)).strip()
    try:
        return _parse_text(content, in_file=True)
    except WrongInput as error:
        raise WrongInput(f"{name}: {error}") from error


def to_classes(classes: str | Iterable[str | ClassName]) -> tuple[ClassName, ...]:
    """The classes of a text, as `parse_classes`, or of a list with one class an item.

    Raises:
        WrongInput: as `parse_classes`.
    """
    if isinstance(classes, str):
        return parse_classes(classes)
    return _check_unique(
        [item if isinstance(item, ClassName) else _parse_item(item) for item in classes]
    )


def read_classes(path: Path) -> tuple[ClassName, ...]:
    """Read the classes file of a dataset: one class a line; line number = index.

    Synonyms stand as `name | synonym` or `name: synonym | synonym`; a comma is part of a name.

    Raises:
        WrongInput: the file cannot be read, is empty, names something twice, or a line may be no
            name.
    """
    lines = _read(path).splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    try:
        _refuse_numbers(lines)
    except WrongInput as error:
        raise WrongInput(f"{path}: {error}") from error
    classes = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise WrongInput(f"{path}:{number} is blank; every line must name a class")
        quoted = re.fullmatch(r'\s*"([^"]*)"\s*', line)
        try:
            classes.append(_parse_item(quoted[1] if quoted else line))
        except WrongInput as error:
            raise WrongInput(f"{path}:{number}: {error}") from error
    return _check_unique(classes)


def format_classes(classes: Sequence[ClassName]) -> str:
    """The text of a classes file, as `read_classes` reads it."""
    return "".join(
        f"{item.name}: {'|'.join(item.prompts[1:])}\n"
        if item.written_out
        else f"{'|'.join(item.prompts)}\n"
        for item in classes
    )


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WrongInput(
            f"cannot read the class list {path}: it is not UTF-8 text; save it as that"
        ) from error
    except (OSError, ValueError) as error:
        raise WrongInput(f"cannot read the class list {path}: {one_line(error)}") from error


def _check_unique(classes: Sequence[ClassName]) -> tuple[ClassName, ...]:
    """The classes, unless there are none or two share a prompt in any spelling (WrongInput)."""
    if not classes:
        raise WrongInput("the class list is empty; give at least one name, as in 'road, sky'")
    owner: dict[str, tuple[int, str]] = {}
    for number, item in enumerate(classes):
        for prompt in item.prompts:
            key = normal_form(without_article(prompt))
            first, spelled = owner.setdefault(key, (number, prompt))
            if first != number:
                other = "" if spelled == prompt else f", also as {_shown(spelled)}"
                raise WrongInput(
                    f"{_shown(prompt)} stands twice in the class list{other}; remove one of them"
                )
    return tuple(classes)


def _parse_text(text: str, *, in_file: bool) -> tuple[ClassName, ...]:
    """Parse a text that is a list.

    in_file: one line may be one class with synonyms, as every line of a file may.
    """
    named = _json_names(text)
    if named is not None:
        return _check_unique([_parse_item(item) for item in named])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if all(line.endswith(",") for line in lines[:-1]):
        lines = [" ".join(lines)]
    items = _split_commas(lines[0]) if len(lines) == 1 else list(_one_a_line(lines))
    _refuse_numbers(items)
    for item in items:
        _refuse(item, (*_IN_NO_NAME, *_BETWEEN_NAMES))
    if len(items) == 1 and text[0] not in "\"'":
        _refuse(items[0], _STOPS_BETWEEN)
        _refuse_hidden_list(items[0], in_file=in_file)
    return _check_unique([_parse_item(item) for item in items])


_QUOTED = r"(?:'[^'\\\n]*'|\"[^\"\\\n]*\")"
# Blanks can match in one place only: a list that does not end takes no quadratic time.
_PYTHON_LIST = re.compile(rf"[\[(]\s*(?:{_QUOTED}\s*(?:,\s*{_QUOTED}\s*)*(?:,\s*)?)?[\])]")


def _json_names(text: str) -> list[str] | None:
    """The names of a JSON list, of an object numbered from 0, of a Python list; None: it is none.

    Raises:
        WrongInput: it looks like one of these, but holds no plain names.
    """
    if not text or text[0] not in "[{(":
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        if _PYTHON_LIST.fullmatch(text):
            return [quoted[1:-1] for quoted in re.findall(_QUOTED, text)]
        if text[-1] not in "]})":
            return None
        raise WrongInput(
            f'{_shown(text)} is neither JSON nor plain names; write dog, cat or ["dog", "cat"]'
        ) from None
    if isinstance(data, dict) and list(data) == [str(number) for number in range(len(data))]:
        data = list(data.values())
    if not isinstance(data, list) or not all(isinstance(item, str) for item in data):
        raise WrongInput(f'{_shown(text)} is JSON, but no list of names; write ["dog", "cat"]')
    return data


def _one_a_line(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        names = _split_commas(line)
        if len(names) > 1:
            raise WrongInput(
                f"the line {_shown(line)} has commas between other lines; write one class a line, "
                f"its synonyms as {_shown(': '.join(names[:2]))}, a name with commas in quotes"
            )
        yield from names


def _split_commas(line: str) -> list[str]:
    """The parts of a line between commas, those in quotes or brackets apart; none is blank."""
    parts = line.split(",")
    if '"' in line:
        try:
            (parts,) = csv.reader(
                [re.sub(r'"\s+,', '",', line)], skipinitialspace=True, strict=True
            )
        except csv.Error:
            raise WrongInput(
                f"the quotes in {_shown(line)} do not match; write names without quotes, or as "
                'in "traffic light, red", dog'
            ) from None
    whole: list[list[str]] = []
    depth = 0
    for part in parts:
        if depth > 0:
            whole[-1].append(part)
        else:
            whole.append([part])
        depth += sum(map(part.count, "([{")) - sum(map(part.count, ")]}"))
        if depth < 0:
            break
    if depth:
        raise WrongInput(f"the brackets in {_shown(line)} do not match; close or drop them")
    return [name for name in (",".join(parts).strip() for parts in whole) if name]


_COMMAS = "write commas between classes"
_SYNONYMS = "write synonyms as 'name: a | b'"

_IN_NO_NAME = (
    (r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]",
     "has a line end, or what is no text; give each class as an item of its own"),
    (r"[\t\\]", f"has a tab or a backslash; {_COMMAS}"),
    (r"[;\uff1b\u061b]", f"has a semicolon; {_COMMAS}, synonyms as 'name: a | b'"),
    (r"[\uff5c\uff1a]", f"has a wide sign; {_SYNONYMS}"),
    (r"^@", "would be a file; give @FILE alone, or the names"),
    (r"\S\.(?i:csv|data|json|jsonl|lst|list|names|tsv|txt|ya?ml)$|^(?:\.{0,2}|~)/",
     "is the name of a file; write @{} to have the names in it read"),
    (r"^(?:[-*+#\u2022\u2013\u2014\u00b7]|\d+[.)]|[a-zA-Z]\))\s+\S",
     "has a mark before the name; write the name alone"),
    (r"^[^:|]*\|.*:|:.*:", f"has more than one ':', or '|' before it; {_SYNONYMS}"),
    (r"^\d+\s*[:=]|[:=]\s*\d+$", "has a number; write the names alone, in their order"),
    (r"^\[\s*[\"'].*\]$", "is a list; give each name as an item of its own"),
    (r"\s\.(?:\s|$)", f"has full stops between words; {_COMMAS}"),
)  # fmt: skip
"""What no name of a class has, and what to do."""

_STOPS_BETWEEN = (
    (r"\b(?!(?i:dr|ft|jr|mr|mrs|ms|mt|no|sr|st)\.)[^\W\d]{2,}\.\s*[^\W\d]",
     f'has full stops between words; {_COMMAS}, or ["..."] around a name'),
)  # fmt: skip
"""As `_BETWEEN_NAMES`, where nothing else separates names."""

_BETWEEN_NAMES = (
    (r"[\uff0c\u3001\u060c\ufe50\ufe51\u3002]", "has a comma of another script; write ','"),
    (r"\s/\s|/.+/", f"has '/' between words; {_COMMAS}, synonyms as 'name: a | b'"),
    (r"^(?i:and|or|&)\s+\S", f"begins with a word that joins a list; {_COMMAS} only"),
    (r"^['`\u2018-\u201f\u00ab\u300c]|[\u201c-\u201f\u00bb\u300d]$",
     'has odd quotes; leave them out, or write "" around a name with commas'),
)  # fmt: skip
"""What more likely separates names than it stands in one; an item of its own may have it."""


# At once: most names are in no doubt.
_ANYTHING = re.compile(
    "|".join(f"(?:{p})" for p, _ in (*_IN_NO_NAME, *_BETWEEN_NAMES, *_STOPS_BETWEEN))
)


def _refuse(item: str, doubts: Iterable[tuple[str, str]]) -> None:
    if not _ANYTHING.search(item):
        return
    for pattern, trouble in doubts:
        if re.search(pattern, item):
            raise WrongInput(f"{_shown(item)} {trouble.format(item[:60])}")


def _refuse_numbers(items: Sequence[str]) -> None:
    """Refuse a list whose names are numbered, 0 or 1 first, or have a number behind a comma."""
    found = [int(match[1]) for item in items if (match := re.match(r"(\d{1,9})[\s.):=]", item))]
    expected = [*range(len(items) + 1)]
    if len(items) > 1 and found in (expected[:-1], expected[1:]):
        raise WrongInput(
            f"the classes are numbered ({_shown(items[0])}); write the names alone, in order"
        )
    if len(items) > 1 and all(re.search(r",\s*\d+\s*$", item) for item in items[1:]):
        raise WrongInput(
            f"the classes have numbers ({_shown(items[1])}); write the names alone, in order"
        )


def _refuse_hidden_list(item: str, *, in_file: bool) -> None:
    """Refuse the only class of a text if it looks like several."""
    if ":" in item:
        return
    if "|" in item and not in_file:
        raise WrongInput(f"{_shown(item)} has '|' alone; {_COMMAS}, synonyms as 'name: a | b'")
    if "|" not in item and (words := len(item.split())) > MOST_WORDS:
        raise WrongInput(
            f'{_shown(item)} is one class of {words} words; {_COMMAS}, or write "" around it if '
            "it is one name"
        )


def _parse_item(text: str) -> ClassName:
    """One class: `name`, `name | synonym`, or written out, `name: synonym | synonym`.

    Raises:
        WrongInput: it has no name, or what no name has.
    """
    if not isinstance(text, str):
        raise WrongInput(f"the class {text!r} is no text; give names")
    text = text.strip()
    _refuse(text, _IN_NO_NAME)
    # A name without ':' has its synonyms behind the first '|'.
    name, _, synonyms = text.partition(":" if ":" in text else "|")
    names = [" ".join(part.split()) for part in (name, *synonyms.split("|"))]
    if not any(names):
        raise WrongInput("a class has no name; leave it out or name it")
    if not names[0]:
        raise WrongInput(f"{_shown(text)} has synonyms but no class name; write 'name: a | b'")
    prompts = tuple(dict.fromkeys(part for part in names if part))
    return ClassName(names[0], prompts, written_out=":" in text)
