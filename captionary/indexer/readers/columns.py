"""Columns by their usual names: which one holds pictures, which one captions or regions."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isnan

from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note

IMAGE = (
    *("image", "file_name", "filename", "file", "file_path", "filepath", "path", "image_name"),
    *("image_filename", "image_file", "image_path", "imagepath", "img", "img_name", "img_path"),
    *("picture", "photo", "image_url", "img_url", "url"),
)
"""Names of a column of pictures; of several the first in this list counts."""
CAPTION = (
    *("captions", "caption", "text", "texts", "sentence", "sentences", "description"),
    *("descriptions", "comment", "comments", "alt_text", "alt", "raw", "title"),
)
"""Names of a column of captions, likewise; a number may follow (`caption_1`, `caption_2`)."""
REGIONS = "regions"
"""Name of a column of what people point at."""
OTHERS = ("id", "source", "tags")
PLAIN = ("image", "captions", "caption")
"""Beside these no other name is in doubt."""

ABSENT = frozenset(("", "nan", "NaN", "None", "<NA>", "null", "NULL", "\\N"))

LONGEST = 40


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table pairs are made of, by their positions.

    image:    None: there is none.
    captions: of several the first that holds something counts; numbered ones stand together.
    regions:  None: there is none.
    others:   name and position of `id`, `source` and `tags`.
    doubt:    what else could have been meant; "": nothing.
    """

    image: int | None
    captions: tuple[tuple[int, ...], ...]
    regions: int | None
    others: tuple[tuple[str, int], ...]
    doubt: str

    @property
    def complete(self) -> bool:
        """Whether a table can hold pairs at all."""
        return self.image is not None and (bool(self.captions) or self.regions is not None)

    @property
    def used(self) -> set[int]:
        """Positions of all that are read."""
        captions = {at for group in self.captions for at in group}
        single = {at for at in (self.image, self.regions) if at is not None}
        return {*single, *captions, *(at for _, at in self.others)}

    def notes(self, where: str) -> list[Note]:
        """What there is to say about a table with these columns."""
        if not self.doubt:
            return []
        advice = "name others image and caption to have them taken"
        return [Note(f"columns taken by their names: {self.doubt}", where, advice)]

    def pick(self, values: Sequence[object]) -> dict[str, object]:
        """The values of a row by `image`, `captions`, `regions`, `id`, `source` and `tags`."""
        groups = ([_at(values, at) for at in group] for group in self.captions)
        said = next((group for group in groups if not all(map(is_absent, group))), [None])
        others = {name: _at(values, at) for name, at in self.others}
        captions = said[0] if len(said) == 1 else [v for v in said if not is_absent(v)]
        image = None if self.image is None else _at(values, self.image)
        if self.regions is not None:
            others["regions"] = _at(values, self.regions)
        return {"image": image, "captions": captions, **others}


def _at(values: Sequence[object], position: int) -> object:
    return values[position] if position < len(values) else None


def is_absent(value: object) -> bool:
    """Whether a value stands for none: nothing, blank, or what pandas and databases write then."""
    if isinstance(value, str):
        return value.strip() in ABSENT
    return value is None or (isinstance(value, float) and isnan(value))


@lru_cache(maxsize=64)
def find_columns(names: tuple[str, ...]) -> Columns:
    """Find the columns of pairs among these, in any case."""
    known = [_normal(name) for name in names]
    bases = [re.sub(r"_?\d+$", "", name) for name in known]
    images = [name for name in IMAGE if name in known]
    captions = [name for name in CAPTION if name in bases]
    # A row may have either of these two.
    both = captions[:2] if captions[:2] == ["captions", "caption"] else captions[:1]
    groups = tuple(tuple(at for at, base in enumerate(bases) if base == name) for name in both)
    others = tuple((name, known.index(name)) for name in OTHERS if name in known)
    doubts = [found for found in (images, captions) if found and found[0] not in PLAIN]
    return Columns(
        image=known.index(images[0]) if images else None,
        captions=groups,
        regions=known.index(REGIONS) if REGIONS in known else None,
        others=others,
        doubt=" and ".join(f"{c[0]}, not {', '.join(c[1:])}" for c in doubts if len(c) > 1),
    )


def _normal(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip("\ufeff").strip().casefold())


def require_columns(names: Iterable[str], *, source: str) -> Columns:
    """Find the columns of pairs.

    Raises:
        WrongInput: there is none for pictures, or none for captions and regions.
    """
    columns = find_columns(tuple(names))
    if not columns.complete:
        raise missing_columns(tuple(names), source=source)
    return columns


def missing_columns(names: Sequence[str], *, source: str) -> WrongInput:
    """Why a table cannot be used that has only these columns."""
    return WrongInput(
        f"{source} has no columns image and caption (or captions, or regions), only: "
        f"{list_names(names)}; {advise(names)}"
    )


def list_names(names: Sequence[str]) -> str:
    """Names of columns for a message, not all of very many, and none as long as a text."""
    listed = ", ".join(shorten(name.strip()) for name in names[:8]) or "none"
    return f"{listed}, and {len(names) - 8} more" if len(names) > 8 else listed


def advise(names: Iterable[str]) -> str:
    """What to do about a table without the columns of pairs."""
    known = {_normal(name) for name in names}
    if "image_id" in known and not known & {*IMAGE}:
        return "an image_id is no file: give file names in a column image"
    if "conversations" in known:
        return "write the sentence that describes the picture in a column caption"
    if len(known) == 1:
        return "separate its columns by commas, semicolons, tabs or bars"
    return "rename its columns"


def shorten(text: str) -> str:
    """Text of a file as a message can show it: printable, and not long."""
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return shown if shown.isprintable() else repr(shown)[1:-1]
