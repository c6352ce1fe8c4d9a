"""Pairs as Python programs have them: pictures of any kind with a caption or several."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from captionary.schemas.errors import UnreadablePicture
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure, PairItem
from captionary.vision.pictures.in_memory import PictureLike, picture_file

Pair: TypeAlias = PairItem | tuple[PictureLike, str | Iterable[str]]
"""A picture with its caption or captions, or what a reader of a file yields."""


def to_pairs(
    pairs: Iterable[Pair], source: str = "", *, bands: Sequence[int] = ()
) -> Iterator[PairItem]:
    """Convert pairs, one at a time, to what the indexer takes.

    A picture that cannot be converted is a PairFailure and does not stop the reading.

    Args:
        pairs:  those of readers pass as they are.
        source: name of the collection, of pairs that name none.
        bands:  of arrays, as `to_picture`.
    """
    for number, pair in enumerate(pairs, start=1):
        if isinstance(pair, PairFailure | Note):
            yield pair
            continue
        if isinstance(pair, ImageCaption):
            yield pair if pair.source else replace(pair, source=source)
            continue
        picture, captions = pair
        where = f"pair {number}"
        try:
            file, notes = picture_file(picture, bands=bands, where=where)
        except UnreadablePicture as error:
            yield PairFailure(where, "", str(error))
            continue
        yield from notes
        yield ImageCaption(
            image=file,
            captions=(captions,) if isinstance(captions, str) else tuple(captions),
            source=source,
            where=where,
            name=file if isinstance(file, str) else str(getattr(picture, "filename", "")),
        )
