"""What the indexer's queue holds: captioned pictures that were accepted, and orders."""

from dataclasses import dataclass
from typing import Literal

from captionary.schemas.correction_bodies import PointedBody

PairsKind = Literal["pairs", "replacement", "teaching"]
"""What becomes of pictures: they are added; their captions take the place of those stored; what
is pointed at in them is a correction."""

RemovalKind = Literal["image", "source"]
"""What a removal removes."""

OrderKind = Literal["image", "source", "correction", "undo"]
"""What is done to the dictionary apart from adding pictures."""


@dataclass(frozen=True, slots=True)
class AcceptedPair:
    """A captioned picture that is valid and spooled, ready to be queued.

    name:     what records and messages call the picture.
    captions: its sentences; id: the user's own name for it, if any.
    regions:  what was pointed at in it.
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
    regions: tuple[PointedBody, ...] = ()


@dataclass(frozen=True, slots=True)
class AcceptedJob:
    """A job that is safe on disk, of so many pairs."""

    id: str
    pairs: int


@dataclass(frozen=True, slots=True)
class QueuedPair:
    """Pair `number` of the job that was accepted as number `job`."""

    job: int
    number: int
    attempts: int
    pair: AcceptedPair
    kind: PairsKind = "pairs"

    @property
    def key(self) -> str:
        """Unique over all jobs."""
        return f"{self.job}:{self.number}"


@dataclass(frozen=True, slots=True)
class Order:
    """Take a picture, or a source, out of the dictionary; correct it; undo a correction.

    target: the id or the name; the correction as JSON; its number.
    """

    job: int
    kind: OrderKind
    target: str


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job that came to its end; seconds: since it was accepted."""

    id: str
    kind: PairsKind | OrderKind
    pairs: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Backlog:
    """Pairs that are accepted and not finished, and the bytes of their pictures."""

    pairs: int
    bytes: int
