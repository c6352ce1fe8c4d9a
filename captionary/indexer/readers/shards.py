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
    list_names,
    name_of,
    open_file,
    suffix_of,
)
from captionary.indexer.readers.folders import split_captions
from captionary.indexer.readers.rows import BadValueError, Row, Rows
from captionary.indexer.readers.tar_headers import read_members
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
    """A file of a sample: `a/0001` and `.jpg`, where it lies, and its content if it is a text."""

    stem: str
    kind: str
    member: Member
    content: bytes


Sample = Mapping[str, Part]
"""The parts of a sample by their kinds; never empty."""

Columns = dict[str, object]


class ParsedSample(NamedTuple):
    """A sample as a row, with its picture and the file of its captions where it has both."""

    row: Row | PairFailure
    picture: Part | None = None
    text: Part | None = None


def read_shards(source: str) -> Rows:
    """The samples of a shard, of all shards that braces name, or of those in a folder.

    A shard that cannot be read, or breaks off, is one failure; the next one is read.

    Raises:
        WrongInput: the shards are compressed, or none of the first samples is a pair.
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


def parse_samples(shard: str) -> Iterator[ParsedSample]:
    """The samples of a shard as rows, and last why it could not be read to its end, if so."""
    name = name_of(shard)
    return (_parse_sample(item, name) for item in _read_samples(shard))


def count_shards(source: str) -> int | None:
    """Samples of local shards, from how many bytes the first 500 take; None where not local."""
    shards = list_shards(source)
    if not all(map(is_local, shards)):
        return None
    sizes = [Path(shard).stat().st_size if Path(shard).exists() else 0 for shard in shards]
    count = passed = 0
    for shard, size in zip(shards, sizes, strict=True):
        for item in _read_samples(shard):
            count += 1
            if count >= SAMPLE and not isinstance(item, PairFailure):
                read = passed + max(part.member.end for part in item.values())
                return round(count * sum(sizes) / read)
        passed += size
    return count


def has_shard_braces(source: str) -> bool:
    """Whether braces in SOURCE name shards."""
    return "{" in source and suffix_of(expand_braces(source)[0]) == SHARD


def holds_shards(folder: str) -> bool:
    """Whether a folder holds shards, and no pictures beside them."""
    kinds = {suffix_of(name) for name in list_names(folder)}
    return SHARD in kinds and not kinds & set(SUFFIXES)


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
    """The shards that a SOURCE of shards names.

    Raises:
        WrongInput: they are compressed.
    """
    if is_folder(source):
        names = [name for name in list_names(source) if suffix_of(name) == SHARD]
        shards = [f"{source.rstrip('/')}/{name}" for name in names]
    else:
        shards = [source] if exists(source) else expand_braces(source)
    packed = next((shard for shard in shards if shard.lower().endswith(PACKED)), None)
    if packed is not None:
        raise WrongInput(
            f"{packed} is compressed, so its pictures cannot be opened one by one; "
            "unpack it to a .tar (gunzip), pictures are compressed already"
        )
    return shards


def _read_samples(shard: str) -> Iterator[Sample | PairFailure]:
    """The samples of a shard, and last why it could not be read to its end, if so."""
    sample: dict[str, Part] = {}
    trouble = ""
    try:
        for part in _read_parts(shard):
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


def _read_parts(shard: str) -> Iterator[Part]:
    """The files of a shard that belong to samples, in order, each complete.

    Raises:
        tarfile.TarError: it is no tar file, or breaks off.
    """
    with open_file(shard) as file:
        for member in read_members(file, shard):
            if found := NAME.fullmatch(member.name.removeprefix("./")):
                kind = found[2].lower()
                yield Part(found[1], kind, member, _read_content(file, member, kind))


def _read_content(file: BinaryIO, member: Member, kind: str) -> bytes:
    if kind not in (TEXT, JSON):
        return b""
    file.seek(member.offset)
    return file.read(member.length)


def _parse_sample(item: Sample | PairFailure, shard: str) -> ParsedSample:
    """A sample as a row; `shard` names where it stands, for reports."""
    if isinstance(item, PairFailure):
        return ParsedSample(item)
    stem = _stem(item)
    where = f"{shard}:{stem}"
    picture = next((item[kind] for kind in SUFFIXES if kind in item), None)
    if picture is None:
        return ParsedSample(PairFailure(where, "", f"no {stem}.jpg beside {', '.join(item)}"))
    image = picture.member.address
    if TEXT not in item and JSON not in item:
        return ParsedSample(
            PairFailure(where, image, f"no {stem}.txt or .json with captions beside it")
        )
    try:
        text, columns = _captions(item)
        return ParsedSample(Row(where, {"image": image, **columns}), picture, text)
    except UnicodeDecodeError:
        problem = "its text is not valid UTF-8"
    except BadValueError as error:
        problem = str(error)
    except (ValueError, RecursionError) as error:
        problem = f"its .json is not JSON: {one_line(error)}"
    return ParsedSample(PairFailure(where, image, problem))


def _captions(sample: Sample) -> tuple[Part, Columns]:
    """The captions in the .txt or, where it has no line, in the .json, and that file."""
    if TEXT in sample:
        columns = parse_captions(sample[TEXT].content, TEXT)
        if columns["captions"] or JSON not in sample:
            return sample[TEXT], columns
    return sample[JSON], parse_captions(sample[JSON].content, JSON)


def parse_captions(content: bytes, kind: str) -> Columns:
    """Parse a file of captions, .txt or .json, into columns.

    Raises:
        ValueError: it cannot be read, as text (UnicodeDecodeError), as JSON or as an object.
        RecursionError: its JSON is too deep.
    """
    if kind == TEXT:
        return {"captions": split_captions(content)}
    parsed = json.loads(content.decode("utf-8-sig"))
    if not isinstance(parsed, dict):
        raise BadValueError("its .json is not an object in braces")
    return {column: parsed.get(column) for column in ("caption", "captions")}


def _stem(sample: Sample) -> str:
    return next(iter(sample.values())).stem
