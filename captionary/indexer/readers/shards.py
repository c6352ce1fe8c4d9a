"""Rows of WebDataset shards, and which shards a SOURCE names."""

import re
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

from captionary.files.picture_formats import SUFFIXES
from captionary.indexer.readers.addresses import (
    exists,
    is_folder,
    is_local,
    name_of,
    suffix_of,
    walk_folders,
)
from captionary.indexer.readers.caption_files import (
    JSON,
    Columns,
    caption_kinds,
    parse_captions,
)
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.shard_samples import Part, Sample, read_groups, read_samples
from captionary.indexer.readers.values import BadValueError
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairFailure

SHARDS = (".tar", ".tgz")
HEAD = 100  # samples among which one must be usable
SAMPLE = 500  # samples that tell how many bytes make one

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")


class ParsedSample(NamedTuple):
    """A sample as a row, with its picture and the file of its captions where it has both."""

    row: Row | PairFailure
    picture: Part | None = None
    text: Part | None = None


def read_shards(source: str) -> Rows:
    """The samples of a shard, of all shards that braces name, or of those in a folder.

    A shard that cannot be read, or breaks off, is one failure; the next one is read.

    Raises:
        WrongInput: none of the first samples is a pair, as in shards that are compressed.
    """
    rows = (parsed.row for shard in list_shards(source) for parsed in parse_samples(shard))
    head = list(islice(rows, HEAD))
    if not any(isinstance(row, Row) for row in head):
        first = next((row for row in head if isinstance(row, PairFailure)), None)
        example = f"; the first: {first.where}: {first.reason}" if first else ""
        raise WrongInput(
            f"{source} holds no sample NAME.jpg + NAME.txt (or NAME.json with caption) "
            f"as WebDataset shards do{example}"
        )
    yield from head
    yield from rows
    yield from _pictures_beside(source)


def _pictures_beside(source: str) -> Iterator[Note]:
    """What a folder of shards holds besides."""
    if is_folder(source):
        for listing in walk_folders(source):
            pictures = [name for name in listing.names if suffix_of(name) in SUFFIXES]
            if pictures:
                first = f"{listing.below}{pictures[0]}"
                advice = "give their folder as SOURCE"
                yield Note("pictures beside shards, not read", first, advice, len(pictures))


def parse_samples(shard: str) -> Iterator[ParsedSample]:
    """The samples of a shard as rows, and last why it could not be read to its end, if so."""
    name = name_of(shard)
    return (_parse_sample(item, name) for item in read_samples(shard))


def count_shards(source: str) -> int | None:
    """Samples of local shards, from how many bytes the first 500 take; None where not local."""
    shards = list_shards(source)
    if not all(map(is_local, shards)):
        return None
    sizes = [Path(shard).stat().st_size if Path(shard).exists() else 0 for shard in shards]
    count = passed = 0
    for shard, size in zip(shards, sizes, strict=True):
        for group in read_groups(shard):
            if isinstance(group, str):
                continue
            count += any(part.kind in SUFFIXES for part in group.values())
            if count >= SAMPLE:
                read = passed + max(part.member.end for part in group.values())
                return round(count * sum(sizes) / read)
        passed += size
    return sum(1 for shard in shards for _ in read_samples(shard))


def has_shard_braces(source: str) -> bool:
    """Whether braces in SOURCE name shards."""
    return "{" in source and suffix_of(expand_braces(source)[0]) in SHARDS


def holds_shards(folder: str) -> bool:
    """Whether a folder, or the first in it that has either, holds shards and no pictures."""
    for listing in walk_folders(folder):
        kinds = {suffix_of(name) for name in listing.names}
        if not kinds.isdisjoint((*SHARDS, *SUFFIXES)):
            return kinds.isdisjoint(SUFFIXES)
    return False


def expand_braces(pattern: str) -> list[str]:
    """Every name that braces stand for, `{000..999}` or `{a,b}`; several multiply."""
    pieces = BRACES.split(pattern)
    choices = [_expand_choices(piece) if n % 2 else [piece] for n, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in product(*choices)]


def _expand_choices(inside: str) -> list[str]:
    found = RANGE.fullmatch(inside)
    if found is None:
        return inside.split(",") if "," in inside else [f"{{{inside}}}"]
    first, last = found.groups()
    padded = any(bound.startswith("0") and len(bound) > 1 for bound in (first, last))
    width = max(len(first), len(last)) if padded else 0
    step = 1 if int(first) <= int(last) else -1
    return [str(n).zfill(width) for n in range(int(first), int(last) + step, step)]


def list_shards(source: str) -> list[str]:
    """The shards that a SOURCE of shards names."""
    if not is_folder(source):
        return [source] if exists(source) else expand_braces(source)
    folder = source.rstrip("/")
    names = (f"{found.below}{name}" for found in walk_folders(source) for name in found.names)
    return [f"{folder}/{name}" for name in names if suffix_of(name) in SHARDS]


def _parse_sample(item: Sample | PairFailure, shard: str) -> ParsedSample:
    """A sample as a row; `shard` names where it stands, for reports."""
    if isinstance(item, PairFailure):
        return ParsedSample(item)
    stem = next(iter(item.values())).stem
    where = f"{shard}:{stem}"
    picture = next((item[kind] for kind in SUFFIXES if kind in item), None)
    if picture is None:
        return ParsedSample(PairFailure(where, "", f"no {stem}.jpg beside {', '.join(item)}"))
    image = picture.member.address
    kinds = caption_kinds([kind for kind, part in item.items() if part.stem == stem])
    if not kinds:
        others = ", ".join(kind for kind in item if kind not in SUFFIXES)
        reason = f"no {stem}.txt or .json with captions beside it"
        return ParsedSample(PairFailure(where, image, reason + f", only {others}" * bool(others)))
    try:
        text, columns = _captions([item[kind] for kind in kinds])
        return ParsedSample(Row(where, {"image": image, **columns}), picture, text)
    except UnicodeDecodeError:
        problem = "its text is not valid UTF-8"
    except BadValueError as error:
        problem = str(error)
    except (ValueError, RecursionError) as error:
        problem = f"its .json is not JSON: {one_line(error)}"
    return ParsedSample(PairFailure(where, image, problem))


def _captions(texts: list[Part]) -> tuple[Part, Columns]:
    """The captions of the first file or, where it has no line, of the last, a .json; and it."""
    columns = parse_captions(texts[0].content or b"", texts[0].kind)
    if texts[-1].kind.endswith(JSON) and not any(columns.values()):
        return texts[-1], parse_captions(texts[-1].content or b"", JSON)
    return texts[0], columns
