"""Class lists: the classes that a user asks the segmenter for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from captionary.schemas.errors import WrongInput


@dataclass(frozen=True, slots=True)
class ClassName:
    """One class.

    name:    what it is called in results.
    prompts: all names that it is searched by; the first is `name`.
    """

    name: str
    prompts: tuple[str, ...]


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text that are not blank, each blank run in them one space."""
    return [" ".join(part.split()) for part in text.split(separator) if part.strip()]


def _check_unique(classes: Sequence[ClassName]) -> tuple[ClassName, ...]:
    """The classes, unless there are none or two share a prompt (WrongInput)."""
    if not classes:
        raise WrongInput("the class list is empty; give at least one name, as in 'road, sky'")
    owner: dict[str, str] = {}
    for item in classes:
        for prompt in item.prompts:
            if (key := prompt.casefold()) in owner:
                raise WrongInput(f"{prompt!r} stands twice in the class list; remove one of them")
            owner[key] = item.name
    return tuple(classes)


def parse_classes(text: str) -> tuple[ClassName, ...]:
    """Parse `a, b: synonym | synonym`, or the name of a classes file, `@FILE`.

    Raises:
        WrongInput: the list is empty, or a name stands in it twice.
    """
    if text.startswith("@"):
        return read_classes(Path(text[1:]))
    return _check_unique([_parse_class(part) for part in _split(text, ",")])


def to_classes(classes: str | Iterable[str | ClassName]) -> tuple[ClassName, ...]:
    """The classes of a text, as `parse_classes`, or of a list with one class an item.

    Raises:
        WrongInput: the list is empty, or a name stands in it twice.
    """
    if isinstance(classes, str):
        return parse_classes(classes)
    return _check_unique(
        [item if isinstance(item, ClassName) else _parse_class(item) for item in classes]
    )


def _parse_class(text: str) -> ClassName:
    """One class, `name` or `name: synonym | synonym`."""
    name, _, synonyms = (" ".join(piece.split()) for piece in text.partition(":"))
    if not name and not synonyms:
        raise WrongInput("a class has no name; leave it out or name it")
    if not name:
        raise WrongInput(f"{text!r} has synonyms but no class name; write 'name: a | b'")
    extra = tuple(word for word in dict.fromkeys(_split(synonyms, "|")) if word != name)
    return ClassName(name, (name, *extra))


def read_classes(path: Path) -> tuple[ClassName, ...]:
    """Read a classes file: one class a line, synonyms separated by `|`; line number = index.

    Raises:
        WrongInput: the file cannot be read, is empty, or names something twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongInput(f"cannot read the class list {path}: {error}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    classes = []
    for number, line in enumerate(lines, start=1):
        names = tuple(dict.fromkeys(_split(line, "|")))
        if not names:
            raise WrongInput(f"{path}:{number} is blank; every line must name a class")
        classes.append(ClassName(names[0], names))
    return _check_unique(classes)


def format_classes(classes: Sequence[ClassName]) -> str:
    """The text of a classes file, as `read_classes` reads it."""
    return "".join(f"{'|'.join(item.prompts)}\n" for item in classes)
