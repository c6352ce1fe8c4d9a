"""What a run has to say once, at its end: input that was not taken as it stood, counted by kind."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from captionary.schemas.errors import readable


@dataclass(frozen=True, slots=True)
class Note:
    """Input of one kind that was passed over, changed or doubted, though nothing failed.

    what:   the kind, in the plural: "captions that look German".
    first:  where it was met first.
    advice: what the user can do about it; "": nothing.
    count:  how often it was met.
    """

    what: str
    first: str
    advice: str = ""
    count: int = 1

    def __str__(self) -> str:
        """One line for the user."""
        advice = f"; {self.advice}" if self.advice else ""
        return readable(f"{self.what}: {self.count} (first: {self.first}){advice}")


def merge_notes(notes: Iterable[Note]) -> tuple[Note, ...]:
    """Join notes of the same kind, in the order in which the kinds were met."""
    merged: dict[tuple[str, str], Note] = {}
    for note in notes:
        kind = (note.what, note.advice)
        before = merged.get(kind)
        merged[kind] = replace(before, count=before.count + note.count) if before else note
    return tuple(merged.values())
