"""Rows of WebDataset shards: tar files in which consecutive files of one stem are a sample.

Only headers and texts are read; the pictures are passed over, and named by where their bytes lie.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import BinaryIO, NamedTuple

from captionary.files.picture_formats import SUFFIXES
from captionary.files.tar_members import Member
from captionary.indexer.readers.addresses import (
    exists,
    is_folder,
    is_local,
    name_of,
    names_in,
    opened,
    suffix_of,
)
from captionary.indexer.readers.folders import captions_in
from captionary.indexer.readers.rows import BadValueError, Row, Rows
from captionary.indexer.readers.tar_headers import files_in
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure

SHARD = ".tar"
PACKED = (".gz", ".tgz")
TEXT, JSON = ".txt", ".json"
HEAD = 100  # samples among which one must be usable
SAMPLE = 500  # samples that tell how many bytes make one

BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"([0-9]+)\.\.([0-9]+)")
NAME = re.compile(r"((?:.*/)?[^./]+)(\.[^/]+)", re.DOTALL)
"""Up to the first dot of the last part, and from it on: WebDataset's stem and kind."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a sample: `a/0001` and `.jpg`, where it lies, and what it says if it is a text."""

    stem: str
    kind: str
    member: Member
    content: bytes


Sample = Mapping[str, Part]
"""The parts of a sample by their kinds; never empty."""

Columns = dict[str, object]


class Told(NamedTuple):
    """What a sample says, and the files that say it, if it does."""

    row: Row | PairFailure
    picture: Part | None = None
    text: Part | None = None


def shard_rows(source: str) -> Rows:
    """The samples of a shard, of all shards that braces name, or of those in a folder.

    A shard that cannot be read, or breaks off, is one failure; the next one is read.

    Raises:
        WrongInput: the shards are compressed, or none of the first samples is a pair.
    """
    rows = (told.row for shard in shards_of(source) for told in told_in(shard))
    head = list(islice(rows, HEAD))
    if not any(isinstance(row, Row) for row in head):
        first = next((row for row in head if isinstance(row, PairFailure)), None)
        said = f"; the first: {first.where}: {first.reason}" if first else ""
        raise WrongInput(
            f"{source} holds no sample NAME.jpg + NAME.txt (or NAME.json with caption) "
            f"as WebDataset shards do{said}"
        )
    yield from head
    yield from rows


def told_in(shard: str) -> Iterator[Told]:
    """What each sample of a shard says, and last why it breaks off, if it does."""
    name = name_of(shard)
    return (_told(item, name) for item in _samples(shard))


def count_shards(source: str) -> int | None:
    """Samples of local shards, from how many bytes the first 500 take; None where not local."""
    shards = shards_of(source)
    if not all(map(is_local, shards)):
        return None
    sizes = [Path(shard).stat().st_size if Path(shard).exists() else 0 for shard in shards]
    count = passed = 0
    for shard, size in zip(shards, sizes, strict=True):
        for item in _samples(shard):
            count += 1
            if count >= SAMPLE and not isinstance(item, PairFailure):
                read = passed + max(part.member.end for part in item.values())
                return round(count * sum(sizes) / read)
        passed += size
    return count


def are_several(source: str) -> bool:
    """Whether braces in SOURCE name shards."""
    return "{" in source and suffix_of(expanded(source)[0]) == SHARD


def holds_shards(folder: str) -> bool:
    """Whether a folder holds shards, and no pictures beside them."""
    kinds = {suffix_of(name) for name in names_in(folder)}
    return SHARD in kinds and not kinds & set(SUFFIXES)


def expanded(pattern: str) -> list[str]:
    """Every name that braces stand for, `{000..999}` or `{a,b}`; several multiply."""
    pieces = BRACES.split(pattern)
    choices = [_choices(piece) if n % 2 else [piece] for n, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in product(*choices)]


def _choices(inside: str) -> list[str]:
    found = RANGE.fullmatch(inside)
    if found is None:
        return inside.split(",") if "," in inside else [f"{{{inside}}}"]
    first, last = found.groups()
    padded = any(bound.startswith("0") and len(bound) > 1 for bound in (first, last))
    width = max(len(first), len(last)) if padded else 0
    step = 1 if int(first) <= int(last) else -1
    return [str(n).zfill(width) for n in range(int(first), int(last) + step, step)]


def shards_of(source: str) -> list[str]:
    """The shards that a SOURCE of shards names.

    Raises:
        WrongInput: they are compressed.
    """
    if is_folder(source):
        names = [name for name in names_in(source) if suffix_of(name) == SHARD]
        shards = [f"{source.rstrip('/')}/{name}" for name in names]
    else:
        shards = [source] if exists(source) else expanded(source)
    packed = next((shard for shard in shards if shard.lower().endswith(PACKED)), None)
    if packed is not None:
        raise WrongInput(
            f"{packed} is compressed, so its pictures cannot be opened one by one; "
            "unpack it to a .tar (gunzip), pictures are compressed already"
        )
    return shards


def _samples(shard: str) -> Iterator[Sample | PairFailure]:
    """The samples of a shard, and last why it could not be read to its end, if so."""
    sample: dict[str, Part] = {}
    trouble = ""
    try:
        for part in _parts(shard):
            if sample and (part.kind in sample or part.stem != _stem(sample)):
                yield sample
                sample = {}
            sample[part.kind] = part
    except WrongInput as error:
        trouble = str(error)
    except Exception as error:  # each fsspec back end has errors of its own
        trouble = f"it cannot be read to its end: {one_line(error)}; what follows is left out"
    if sample:
        yield sample
    if trouble:
        yield PairFailure(name_of(shard), "", trouble)


def _parts(shard: str) -> Iterator[Part]:
    """The files of a shard that belong to samples, in order, each complete.

    Raises:
        tarfile.TarError: it is no tar file, or breaks off.
    """
    with opened(shard) as file:
        for member in files_in(file, shard):
            if found := NAME.fullmatch(member.name.removeprefix("./")):
                kind = found[2].lower()
                yield Part(found[1], kind, member, _content(file, member, kind))


def _content(file: BinaryIO, member: Member, kind: str) -> bytes:
    if kind not in (TEXT, JSON):
        return b""
    file.seek(member.offset)
    return file.read(member.length)


def _told(item: Sample | PairFailure, shard: str) -> Told:
    """What a sample says; `shard` names where it stands, for reports."""
    if isinstance(item, PairFailure):
        return Told(item)
    stem = _stem(item)
    where = f"{shard}:{stem}"
    picture = next((item[kind] for kind in SUFFIXES if kind in item), None)
    if picture is None:
        return Told(PairFailure(where, "", f"no {stem}.jpg beside {', '.join(item)}"))
    image = picture.member.address
    if TEXT not in item and JSON not in item:
        return Told(PairFailure(where, image, f"no {stem}.txt or .json with captions beside it"))
    try:
        text, columns = _captions(item)
        return Told(Row(where, {"image": image, **columns}), picture, text)
    except UnicodeDecodeError:
        said = "its text is not valid UTF-8"
    except BadValueError as error:
        said = str(error)
    except (ValueError, RecursionError) as error:
        said = f"its .json is not JSON: {one_line(error)}"
    return Told(PairFailure(where, image, said))


def _captions(sample: Sample) -> tuple[Part, Columns]:
    """What the .txt says or, where it has no line, the .json."""
    if TEXT in sample:
        columns = columns_in(sample[TEXT].content, TEXT)
        if columns["captions"] or JSON not in sample:
            return sample[TEXT], columns
    return sample[JSON], columns_in(sample[JSON].content, JSON)


def columns_in(content: bytes, kind: str) -> Columns:
    """What a file with captions says, by columns.

    Raises:
        ValueError: it cannot be read, as text (UnicodeDecodeError), as JSON or as an object.
        RecursionError: its JSON is too deep.
    """
    if kind == TEXT:
        return {"captions": captions_in(content)}
    said = json.loads(content.decode("utf-8-sig"))
    if not isinstance(said, dict):
        raise BadValueError("its .json is not an object in braces")
    return {column: said.get(column) for column in ("caption", "captions")}


def _stem(sample: Sample) -> str:
    return next(iter(sample.values())).stem
