"""Rows of a folder, and of those in it, that hold NAME.jpg with NAME.txt, a caption on each line.

What else is in them is counted, and said once at the end.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from captionary.files.picture_formats import SUFFIXES
from captionary.indexer.readers.addresses import Listing, name_of, read_bytes, walk_folders
from captionary.indexer.readers.caption_files import (
    JSON,
    TEXTS,
    Columns,
    caption_kinds,
    parse_captions,
    split_name,
)
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.values import BadValueError
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure

TABLES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
SHOWN = 8
"""Kinds of other files that are named."""


class File(NamedTuple):
    """A file of a stem: `a.jpg.txt` and `.jpg.txt`."""

    name: str
    kind: str


class Stem(NamedTuple):
    """The files of one stem in a folder; of those with captions the one that counts is first."""

    pictures: list[File]
    captions: list[File]


NO_CAPTIONS = "with captions beside it"
"""How the reason ends why a picture alone is no pair."""


@dataclass(slots=True)
class Others:
    """What the files in folders are that belong to no pair.

    kinds: how many there are of each suffix.
    first: the first of them.
    table: the first that may be a table of captions.
    lost:  texts without a picture, of which the first is `lost_first`.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    first: str = ""
    table: str = ""
    lost: int = 0
    lost_first: str = ""

    def add(self, path: str) -> None:
        """Count a file that is neither a picture nor a text."""
        suffix = PurePosixPath(path).suffix.lower()
        self.kinds[suffix or "without a suffix"] += 1
        self.first = self.first or path
        if suffix in TABLES:
            self.table = self.table or path

    def add_text(self, path: str) -> None:
        """Count a text without a picture."""
        self.lost += 1
        self.lost_first = self.lost_first or path

    def notes(self, folder: str) -> Iterator[Note]:
        """What there was to say."""
        if self.lost:
            first, advice = f"{folder}/{self.lost_first}", "a text is called like its picture"
            yield Note("texts without a picture beside them", first, advice, self.lost)
        if self.kinds:
            what = f"files that are neither pictures nor captions ({self})"
            yield Note(what, f"{folder}/{self.first}", "", self.kinds.total())

    def __str__(self) -> str:
        shown = [f"{kind} {count}" for kind, count in self.kinds.most_common(SHOWN)]
        return ", ".join([*shown, "..."] if len(self.kinds) > SHOWN else shown)


def read_folder(source: str) -> Rows:
    """The pictures of a folder and of those in it, by name, each with the captions of its name.

    Raises:
        WrongInput: no picture has captions beside it, or the folder cannot be listed.
    """
    folder = source.rstrip("/") or "/"
    _require_pair(source, folder)
    others, shown = Others(), name_of(folder) or folder
    for listing in walk_folders(folder):
        if listing.problem:
            yield PairFailure(f"{shown}/{listing.below}", "", listing.problem)
        for stem in _sort_files(listing, others):
            yield from _rows(folder, listing.below, stem)
    yield from others.notes(shown)


def count_folder(source: str) -> int:
    """Pictures in a folder and in those in it."""
    listings = walk_folders(source.rstrip("/") or "/")
    stems = (stem for listing in listings for stem in _sort_files(listing, Others()))
    return sum(len(stem.pictures) for stem in stems)


def _require_pair(source: str, folder: str) -> None:
    others, pictures = Others(), 0
    for listing in walk_folders(folder):
        for stem in _sort_files(listing, others):
            pictures += len(stem.pictures)
            if stem.captions and stem.pictures:
                return
    what = f"{pictures} pictures, {others.lost} texts" + f"; others: {others}" * bool(others.kinds)
    table = f"{folder}/{others.table}" if others.table else "a file"
    raise WrongInput(
        f"{source} holds no pairs NAME.jpg + NAME.txt ({what}); "
        f"put the captions of a.jpg into a.txt beside it, or name {table} as SOURCE"
    )


def _sort_files(listing: Listing, others: Others) -> Iterator[Stem]:
    """The pictures of a folder with what may hold their captions; counts the other files."""
    stems: dict[str, list[File]] = {}
    for name in listing.names:
        stem, kind = split_name(name) or (name, "")
        stems.setdefault(stem, []).append(File(name, kind))
    for files in stems.values():
        pictures = [file for file in files if file.kind in SUFFIXES]
        kinds = caption_kinds(file.kind for file in files) if pictures else []
        captions = sorted(
            (file for file in files if file.kind in kinds), key=lambda file: kinds.index(file.kind)
        )
        for file in files:
            if file not in pictures and file not in captions:
                is_text = file.kind.endswith(TEXTS)
                (others.add_text if is_text else others.add)(f"{listing.below}{file.name}")
        if pictures:
            yield Stem(pictures, captions)


def _rows(folder: str, below: str, stem: Stem) -> Rows:
    shown = f"{name_of(folder) or folder}/{below}"
    texts = [file for file in stem.captions if not file.kind.endswith(JSON)]
    if len(texts) > 1:
        advice = ".txt counts before .caption"
        yield Note("pictures with several files of captions", f"{shown}{texts[0].name}", advice)
    missing = f"no {stem.pictures[0].name.rpartition('.')[0]}.txt {NO_CAPTIONS}"
    captions = next(iter(stem.captions), None)
    read = _read_captions(f"{folder}/{below}", captions) if captions else missing
    for picture in stem.pictures:
        where = f"{shown}{(captions or picture).name}"
        image = f"{below}{picture.name}"
        if isinstance(read, str):
            yield PairFailure(where, image, read or missing)
        else:
            yield Row(where, {"image": image, **read})


def _read_captions(at: str, file: File) -> Columns | str:
    """The captions of a file, or why there are none; "": its JSON is about something else."""
    try:
        columns = parse_captions(read_bytes(f"{at}{file.name}"), file.kind)
    except WrongInput as error:
        return str(error)
    except UnicodeDecodeError:
        return "it is not valid UTF-8 text; save it as UTF-8"
    except BadValueError as error:
        return str(error)
    except (ValueError, RecursionError) as error:
        return f"it is not JSON: {one_line(error)}"
    return columns if file.kind.endswith(TEXTS) or any(columns.values()) else ""
