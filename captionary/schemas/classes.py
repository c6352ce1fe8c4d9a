"""Class lists: what a user asks the segmenter for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from captionary.schemas.errors import WrongInput


@dataclass(frozen=True, slots=True)
class ClassName:
    """One class: the name shown, and all the names it is searched by (the first is `name`)."""

    name: str
    prompts: tuple[str, ...]


def _split(text: str, separator: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split(separator) if part.strip()]


def _unique(classes: Sequence[ClassName]) -> tuple[ClassName, ...]:
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
    """Read `a, b: synonym | synonym`, or a file of classes as `@FILE`.

    Raises:
        WrongInput: the list is empty, or a name stands in it twice.
    """
    if text.startswith("@"):
        return read_classes(Path(text[1:]))
    classes = []
    for part in _split(text, ","):
        name, _, synonyms = (piece.strip() for piece in part.partition(":"))
        if not name:
            raise WrongInput(f"{part!r} has synonyms but no class name; write 'name: a | b'")
        extra = tuple(word for word in dict.fromkeys(_split(synonyms, "|")) if word != name)
        classes.append(ClassName(name, (name, *extra)))
    return _unique(classes)


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
    return _unique(classes)
