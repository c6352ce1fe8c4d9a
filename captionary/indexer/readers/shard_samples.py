"""The samples of a WebDataset shard: its files of one stem, wherever in it they stand.

Only headers and texts are read; the pictures are passed over, and named by where their bytes lie.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from captionary.files.picture_formats import SUFFIXES
from captionary.files.tar_members import Member
from captionary.indexer.readers.addresses import is_hidden, name_of, open_file
from captionary.indexer.readers.caption_files import may_be_captions, split_name
from captionary.indexer.readers.tar_headers import read_members
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure

PACKED = (".gz", ".tgz")
PICTURES = frozenset(SUFFIXES)
WAITING = 500_000
"""Samples of a shard that are kept until their other files come."""


class Part(NamedTuple):
    """A file of a shard: its `SplitName`, where it lies, and its content if it may be captions."""

    stem: str
    kind: str
    member: Member
    content: bytes | None


Sample = dict[str, Part]
"""The parts of a sample by their kinds; never empty, and the shortest stem comes first."""

Group = dict[str, Part]
"""Files that stand together, by stem and kind."""


def read_samples(shard: str) -> Iterator[Sample | PairFailure]:
    """The samples of a shard, and last why it could not be read to its end, if so.

    Samples whose files stand apart, as in a shard that is not sorted, come after the others.
    """
    waiting: dict[str, Group] = {}
    trouble = ""
    for group in read_groups(shard):
        if isinstance(group, str):
            trouble = group
            continue
        pairs, rest = _split_group(group)
        yield from pairs
        if rest:
            yield from _keep(rest, waiting)
    for stem in list(waiting):
        shorter = stem.rpartition(".")[0]
        if shorter in waiting and _goes_on(stem, shorter):
            waiting[shorter] |= waiting.pop(stem)
    for rest in waiting.values():
        yield from _settle(rest)
    if trouble:
        yield PairFailure(name_of(shard), "", trouble)


def read_groups(shard: str) -> Iterator[Group | str]:
    """Groups of files of a shard, and last why it could not be read to its end, if so.

    A group is consecutive files of one stem, with those whose stem goes on after a dot, as that of
    `0001.seg.png`.
    """
    group: Group = {}
    stem = trouble = ""
    try:
        for part in _read_parts(shard):
            name, together = part.stem + part.kind, part.stem == stem
            if not together and (_goes_on(part.stem, stem) or _goes_on(stem, part.stem)):
                together, stem = True, min(part.stem, stem, key=len)
            if not together or name in group:
                if group:
                    yield group
                group, stem = {}, part.stem
            group[name] = part
    except WrongInput as error:
        trouble = str(error)
    except Exception as error:  # each fsspec back end has errors of its own
        trouble = f"it cannot be read to its end: {one_line(error)}; what follows is left out"
    if group:
        yield group
    if trouble:
        yield trouble


def _split_group(group: Group) -> tuple[list[Sample], Group]:
    """The samples of a group that have a picture and captions, and what belongs to none of them."""
    samples: defaultdict[str, Sample] = defaultdict(dict)
    for part in group.values():
        samples[part.stem][part.kind] = part
    whole = {stem: sample for stem, sample in samples.items() if _is_whole(sample)}
    if len(whole) == len(samples):
        return list(whole.values()), {}
    # Label maps and the like belong to the picture whose stem they go on.
    rest = {
        name: part
        for name, part in group.items()
        if part.stem not in whole and not any(_goes_on(part.stem, stem) for stem in whole)
    }
    return list(whole.values()), rest


def _is_whole(sample: Sample) -> bool:
    return any(map(may_be_captions, sample)) and any(map(PICTURES.__contains__, sample))


def _keep(group: Group, waiting: dict[str, Group]) -> Iterator[Sample]:
    """Keep files until their others come; yields what is not kept any longer."""
    stem = min((part.stem for part in group.values()), key=len)
    before = waiting.pop(stem, {})
    if before.keys().isdisjoint(group):
        group = before | group
    else:  # another sample of the same name
        yield from _settle(before)
    waiting[stem] = group
    if len(waiting) > WAITING:
        yield from _settle(waiting.pop(next(iter(waiting))))


def _settle(group: Group) -> Iterator[Sample]:
    """The samples of files that stood apart, and last, as one, those that make no pair."""
    pairs, rest = _split_group(group)
    yield from pairs
    if rest:
        parts = sorted(rest.items(), key=lambda item: len(item[1].stem))
        start = len(parts[0][1].stem)
        yield {name[start:]: part for name, part in parts}


def _goes_on(longer: str, shorter: str) -> bool:
    """Whether a stem goes on another one after a dot: `a/0001.seg`, but not `a.b/0001`."""
    if not longer.startswith(shorter):
        return False
    rest = longer[len(shorter) :]
    return rest.startswith(".") and "/" not in rest


def _read_parts(shard: str) -> Iterator[Part]:
    """The files of a shard that belong to samples, in order, each complete.

    Raises:
        WrongInput: it cannot be opened, or is compressed.
        tarfile.TarError: it is no tar file, or breaks off.
    """
    if shard.lower().endswith(PACKED):
        raise WrongInput(
            f"{shard} is compressed, so its pictures cannot be opened one by one; "
            "unpack it to a .tar (gunzip), pictures are compressed already"
        )
    with open_file(shard) as file:
        for member in read_members(file, shard):
            name = member.name.removeprefix("./")
            if not is_hidden(name) and (split := split_name(name)):
                yield Part(*split, member, _read_content(file, member, split.kind))


def _read_content(file: BinaryIO, member: Member, kind: str) -> bytes | None:
    if not may_be_captions(kind):
        return None
    file.seek(member.offset)
    return file.read(member.length)
