"""The state of a piece of indexing work."""

from dataclasses import dataclass
from typing import Literal

from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure


@dataclass(frozen=True, slots=True)
class Job:
    """The progress of an indexing run.

    pairs:    pairs read from the source, those that failed among them.
    added:    pairs that brought a new picture or new captions.
    known:    pairs that the dictionary already held.
    failures: pairs that could not be indexed.
    nouns:    nouns whose prototypes were recomputed.
    notes:    what was not taken as it stood, though nothing failed.
    rows:     rows of the source that these pairs were; several may make one.
    """

    state: Literal["queued", "running", "done", "failed"]
    pairs: int = 0
    added: int = 0
    known: int = 0
    failures: tuple[PairFailure, ...] = ()
    nouns: int = 0
    notes: tuple[Note, ...] = ()
    rows: int = 0
