"""What a shard on this machine holds, kept in a file: where its pairs lie, and no word of them.

A pair takes tens of bytes, so many millions fit into memory, and a shard that was listed once is
not read through again before it changes.
"""

import zipfile
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from captionary.files.atomic import write_atomically
from captionary.files.digests import digest_texts
from captionary.files.tar_members import Member
from captionary.indexer.readers.addresses import Pictures, name_of
from captionary.indexer.readers.caption_files import JSON, TEXT, parse_captions
from captionary.indexer.readers.rows import Row, make_pair
from captionary.indexer.readers.shard_samples import Part
from captionary.indexer.readers.shards import parse_samples
from captionary.indexer.readers.tar_headers import BLOCK
from captionary.schemas.errors import UnreadablePicture, WrongInput, one_line
from captionary.schemas.pairs import ImageCaption, PairFailure

Places = NDArray[np.uint32]
"""(N, 5), of each pair: block where the picture begins, bytes of it, block where its captions
begin, bytes of them, and whether they are in a .json (1) or a .txt (0). A block is 512 bytes."""

VERSION = 3
"""Another where what makes a pair changes: lists of other rules are of no use then."""
LONGEST = (1 << 32) - 1
HERE = Pictures((".",))


@dataclass(frozen=True, slots=True)
class ShardListing:
    """The pairs of a shard.

    places:   where each lies.
    digests:  (N,) uint64, the beginning of each one's `digest_texts`.
    left_out: how many samples are no pairs.
    first:    the first of these, and why.
    """

    places: Places
    digests: NDArray[np.uint64]
    left_out: int
    first: str

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        save = partial(
            np.savez,
            places=self.places,
            digests=self.digests,
            left_out=np.array(self.left_out),
            first=np.array(self.first),
        )
        write_atomically(path, save, durable=False)

    @classmethod
    def load(cls, path: Path) -> "ShardListing | None":
        """What was saved; None: nothing that can be read."""
        try:
            with path.open("rb") as file, np.load(file) as saved:
                left_out, first = int(saved["left_out"]), str(saved["first"])
                return cls(saved["places"], saved["digests"], left_out, first)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None


def list_shard(shard: str, folder: Path) -> ShardListing:
    """List a shard, or take the list of it as it is now from a folder, where it is kept.

    The list of a shard that breaks off is not kept: the next time it may be read to its end.

    Raises:
        WrongInput: the folder cannot be written to.
    """
    # Its name has the shard's size and time in it, so that of another state is not found.
    path = _listing_path(shard, folder)
    known = None if path is None else ShardListing.load(path)
    if known is not None:
        return known
    made, whole = _read_listing(shard)
    if path is not None and whole:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.save(path)
        except OSError as error:
            raise WrongInput(
                f"cannot write into {folder} ({one_line(error)}); make room, or choose another "
                "folder"
            ) from error
    return made


def read_pair_at(shard: Path, place: Sequence[int]) -> ImageCaption:
    """Read a pair's captions; a row of `Places` says where.

    Raises:
        UnreadablePicture: nothing that can be used stands there.
    """
    picture, length, text, text_length, is_json = place
    try:
        with shard.open("rb", buffering=0) as file:
            # Before a content stands its header, which begins with its name.
            name = _read(file, (picture - 1) * BLOCK, 100).partition(b"\0")[0]
            content = _read(file, text * BLOCK, text_length)
        columns = parse_captions(content, JSON if is_json else TEXT)
    except (OSError, EOFError, ValueError, RecursionError) as error:
        raise _unreadable(shard, text, f"read: {one_line(error)}") from error
    text_name = name.decode("utf-8", "replace")
    address = Member(text_name, picture * BLOCK, length, str(shard)).address
    pair = make_pair(Row("", {"image": address, **columns}), pictures=HERE)
    if isinstance(pair, PairFailure):
        raise _unreadable(shard, text, f"used: {pair.reason}")
    return pair


def _read(file: IO[bytes], offset: int, length: int) -> bytes:
    file.seek(offset)
    content = file.read(length)
    if len(content) < length:
        raise EOFError("the file ends before")
    return content


def _unreadable(shard: Path, block: int, problem: str) -> UnreadablePicture:
    return UnreadablePicture(
        f"a caption at {block * BLOCK:,} of {shard} cannot be {problem}; "
        "has the shard changed since it was listed?"
    )


def _listing_path(shard: str, folder: Path) -> Path | None:
    """Where the list of a shard is kept; None: there is no such shard."""
    try:
        state = Path(shard).stat()
    except OSError:
        return None
    identity = f"{VERSION} {state.st_size} {state.st_mtime_ns} {Path(shard).absolute()}"
    return folder / f"{digest_texts(identity)[:32]}.npz"


def _read_listing(shard: str) -> tuple[ShardListing, bool]:
    """The list of a shard, and whether it was read to its end."""
    places, digests = array("I"), array("Q")
    failures: list[PairFailure] = []
    for parsed in parse_samples(shard):
        pair = make_pair(parsed.row, pictures=HERE)
        if isinstance(pair, PairFailure):
            failures.append(pair)
        elif parsed.picture and parsed.text:
            is_json = parsed.text.kind.endswith(JSON)
            places.extend((*_place(parsed.picture), *_place(parsed.text), is_json))
            name = parsed.picture.member.name.rpartition("/")[2]
            digests.append(int(digest_texts(name, *pair.captions)[:16], 16))
    listing = ShardListing(
        np.array(places, np.uint32).reshape(-1, 5),
        np.array(digests, np.uint64),
        len(failures),
        f"{failures[0].where}: {failures[0].reason}" if failures else "",
    )
    return listing, all(failure.where != name_of(shard) for failure in failures)


def _place(part: Part) -> tuple[int, int]:
    """The block where it begins, and its bytes; what has more than fit is no picture anyway."""
    return part.member.offset // BLOCK, min(part.member.length, LONGEST)
