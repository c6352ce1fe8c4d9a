"""Moving a whole dictionary from one engine to another: from a folder to a server, or back.

Both sides are read in order of id, a page at a time, and only what differs is written, so that a
copy that was cut short is run again and goes on where it was. Until the end the target says of
itself that it is an unfinished copy, and is no dictionary yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias

from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.vocabulary.engines.engine import (
    NAMES,
    Collection,
    CollectionName,
    Engine,
    Payload,
    Point,
    look_dim_of,
)
from captionary.vocabulary.records.points import single
from captionary.vocabulary.store_meta import COPYING, CORRECTED, MADE, new_made

Report: TypeAlias = Callable[[CollectionName, int, int], None]
"""Called with the collection, how many points of it are done, and of how many."""

PAGE = 500
COMPARED = 200
"""Points of each collection that are read again at the end, from both sides."""


@dataclass(frozen=True, slots=True)
class CopyResult:
    """What a copy did.

    points:  in the dictionary.
    written: of them, those that the target lacked or had otherwise.
    deleted: points that the target had and the source has not.
    """

    points: int
    written: int
    deleted: int


def copy_store(source: Engine, target: Engine, *, report: Report) -> CopyResult:
    """Make the target the same dictionary as the source, but for the name by chance in its meta.

    Raises:
        WrongInput: the source holds no dictionary, or the target holds one already.
        CaptionaryError: the source changed meanwhile, or the copy is not the same.
    """
    meta = _meta_of(source)
    _prepare(target, {**meta, COPYING: source.address})
    result = CopyResult(0, 0, 0)
    for name in NAMES:
        done = _copy(name, source.collection(name), target.collection(name), report)
        result = CopyResult(
            result.points + done.points,
            result.written + done.written,
            result.deleted + done.deleted,
        )
    if source.read_meta() != meta:
        raise CaptionaryError(
            f"the store {source.address} changed while it was copied; "
            "run this again when nothing is indexed"
        )
    for name in NAMES:
        _compare(name, source, target)
        target.collection(name).flush()
    # Last, and under a name of its own: readers must not take the copy for the original.
    target.write_meta({**meta, MADE: new_made()})
    return result


def _meta_of(source: Engine) -> Payload:
    meta = source.read_meta()
    if meta is None or COPYING in meta:
        raise WrongInput(f"there is no whole dictionary at {source.address} to be copied")
    return meta


def _prepare(target: Engine, meta: Payload) -> None:
    """Make the target, or accept one that is an unfinished copy of the same dictionary."""
    there = target.read_meta()
    if there is None:
        target.create(dim=meta["dim"], look_dim=look_dim_of(meta))
    elif COPYING not in there:
        raise WrongInput(
            f"there is a dictionary at {target.address} already; copy to another place"
        )
    elif _kind(there) != _kind(meta):
        raise WrongInput(
            f"{target.address} is an unfinished copy of {there[COPYING]}; copy to another place"
        )
    if meta.get(CORRECTED):
        target.index_corrected()
    target.write_meta(meta)


def _kind(meta: Payload) -> list[Any]:
    """What an unfinished copy must have in common with what is copied, to be gone on with."""
    return [*(meta[key] for key in (COPYING, "fingerprint", "dim")), look_dim_of(meta)]


def _copy(
    name: CollectionName, source: Collection, target: Collection, report: Report
) -> CopyResult:
    total = source.count()
    pairs = _pairs(source.scroll(with_vectors=True), target.scroll(with_vectors=True))
    points = written = deleted = 0
    report(name, 0, total)
    # What is written or deleted lies behind what was read, so the target can be read on.
    while page := list(islice(pairs, PAGE)):
        due = [_exact(ours) for ours, theirs in page if ours and not _same(ours, theirs)]
        extra = [theirs.id for ours, theirs in page if theirs and not ours]
        target.upsert(due)
        target.delete(extra)
        points += len(page) - len(extra)
        written += len(due)
        deleted += len(extra)
        report(name, points, total)
    return CopyResult(points, written, deleted)


def _pairs(
    source: Iterator[Point], target: Iterator[Point]
) -> Iterator[tuple[Point | None, Point | None]]:
    """What each side has of every id, in order of id; None where it has nothing."""
    ours, theirs = next(source, None), next(target, None)
    # A merge of two sorted streams, as both engines scroll in order of id.
    while ours or theirs:
        if not theirs or (ours and ours.id < theirs.id):
            yield ours, None
            ours = next(source, None)
        elif not ours or theirs.id < ours.id:
            yield None, theirs
            theirs = next(target, None)
        else:
            yield ours, theirs
            ours, theirs = next(source, None), next(target, None)


def _compare(name: CollectionName, source: Engine, target: Engine) -> None:
    """Compare counts, and some points; ids are hashes, so the first ones are as good as any."""
    ours, theirs = source.collection(name), target.collection(name)
    expected, found = ours.count(), theirs.count()
    some = list(islice(ours.scroll(with_vectors=True), COMPARED))
    copies = theirs.retrieve([point.id for point in some], with_vectors=True)
    wrong = len(some) - sum(_same(*pair) for pair in zip(some, copies, strict=False))
    if expected != found or wrong:
        raise CaptionaryError(
            f"of the {name} of {source.address} {expected} points became {found} in "
            f"{target.address}, and {wrong} of {len(some)} compared are not the same; "
            "run this again when nothing is indexed"
        )


def _same(ours: Point, theirs: Point | None) -> bool:
    if theirs is None or ours.id != theirs.id:
        return False
    left, right = _exact(ours), _exact(theirs)
    return left.payload == right.payload and _bytes(left) == _bytes(right)


def _bytes(point: Point) -> bytes:
    return b"".join(
        b"" if vector is None else vector.tobytes() for vector in (point.vector, point.look_vector)
    )


def _exact(point: Point) -> Point:
    """A point whose payload has numbers of float32 precision again (see points.py)."""
    return replace(point, payload={key: _single(value) for key, value in point.payload.items()})


def _single(value: Any) -> Any:
    if isinstance(value, float):
        return single(value)
    if isinstance(value, list):
        return [_single(item) for item in value]
    return {key: _single(item) for key, item in value.items()} if isinstance(value, dict) else value
