"""What the indexer's queue holds: captioned pictures that were accepted, and removals."""

from dataclasses import dataclass
from typing import Literal

RemovalKind = Literal["image", "source"]
"""What a removal removes."""


@dataclass(frozen=True, slots=True)
class AcceptedPair:
    """A captioned picture that is valid and spooled, ready to be queued.

    name:     what records and messages call the picture.
    captions: its sentences; id: the user's own name for it, if any.
    image_id: what it will be called in the dictionary; None: not known before it is fetched.
    upload:   its file in the spool; None where there is a url instead.
    bytes:    size of that file.
    """

    name: str
    captions: tuple[str, ...]
    id: str | None = None
    image_id: str | None = None
    source: str = ""
    tags: tuple[str, ...] = ()
    upload: str | None = None
    url: str | None = None
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """A job that is safe on disk, of so many pairs."""

    id: str
    pairs: int


@dataclass(frozen=True, slots=True)
class QueuedPair:
    """Pair `number` of the job that was accepted as number `job`.

    replaces: its captions take the place of those that the dictionary has.
    """

    job: int
    number: int
    attempts: int
    pair: AcceptedPair
    replaces: bool = False

    @property
    def key(self) -> str:
        """Unique over all jobs."""
        return f"{self.job}:{self.number}"


@dataclass(frozen=True, slots=True)
class Removal:
    """Take a picture, or a source, out of the dictionary."""

    job: int
    kind: RemovalKind
    target: str


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job that came to its end; seconds: since it was accepted."""

    id: str
    kind: Literal["pairs", "replacement", "image", "source"]
    pairs: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """Pairs that are accepted and not finished, and the bytes of their pictures."""

    pairs: int
    bytes: int
