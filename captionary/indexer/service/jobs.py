"""What the indexer's queue holds: captioned pictures that were accepted, and removals."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Literal

Kind = Literal["image", "source"]
"""What a removal removes."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A captioned picture that was found fit to be queued.

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
class QueuedPair:
    """Pair `number` of the job that was accepted as number `job`."""

    job: int
    number: int
    attempts: int
    pair: Accepted

    @property
    def key(self) -> str:
        """Tells it from every other."""
        return f"{self.job}:{self.number}"


@dataclass(frozen=True, slots=True)
class Removal:
    """Take a picture, or a source, out of the dictionary."""

    job: int
    kind: Kind
    target: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A job that came to its end; seconds: since it was accepted."""

    id: str
    kind: Literal["pairs", "image", "source"]
    pairs: int
    failed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is accepted and not dealt with."""

    pairs: int
    bytes: int


COLUMNS = "name, captions, given_id, image_id, source, tags, upload, url, bytes"


def columns_of(pair: Accepted) -> tuple[str | int | None, ...]:
    """A pair as the queue's file keeps it, in the order of COLUMNS."""
    return (
        pair.name,
        json.dumps(pair.captions),
        pair.id,
        pair.image_id,
        pair.source,
        json.dumps(pair.tags),
        pair.upload,
        pair.url,
        pair.bytes,
    )


def queued_from(row: sqlite3.Row) -> QueuedPair:
    """What a row of the queue's file says."""
    pair = Accepted(
        name=row["name"],
        captions=tuple(json.loads(row["captions"])),
        id=row["given_id"],
        image_id=row["image_id"],
        source=row["source"],
        tags=tuple(json.loads(row["tags"])),
        upload=row["upload"],
        url=row["url"],
        bytes=row["bytes"],
    )
    return QueuedPair(row["job"], row["number"], row["attempts"], pair)
