"""Files and pictures by address: local paths directly, everything else through fsspec."""

import gzip
import os
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import fsspec

from captionary.files.file_names import LookAlikes
from captionary.schemas.errors import WrongInput, one_line

COMPRESSED = ".gz"
HIDDEN = re.compile(r"(?<![^/])(?:\.(?!\.?(?:/|$))|(?:__MACOSX|@eaDir|\$RECYCLE\.BIN)(?:/|$))")
"""A name that begins with a dot, or a folder that a system makes for itself."""


class Pictures:
    """Finds the pictures that rows name.

    With several possible folders, names are looked up until a picture is found; the folder where
    it was found then serves all others, so that a long SOURCE costs no look-up per picture. A
    picture on this machine is found by any name that looks like its own.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = [folder.rstrip("/") for folder in folders]
        self._alike = LookAlikes()

    def address(self, name: str) -> str:
        """The address of the picture `name`: itself when absolute, else inside the folder."""
        if "://" in name:
            return name
        if Path(name).is_absolute():
            return self._find(name)
        if len(self._folders) > 1:
            places = [self._find(f"{at}/{name}") for at in self._folders]
            found = next((n for n, place in enumerate(places) if exists(place)), None)
            self._folders = self._folders if found is None else [self._folders[found]]
        return self._find(f"{self._folders[0]}/{name}")

    def _find(self, address: str) -> str:
        if address.isascii() or not is_local(address):
            return address
        found = self._alike.find(Path(address))
        return address if found == Path(address) else str(found)


@dataclass(frozen=True, slots=True)
class Listing:
    """What stands in a folder.

    below:   where it is below the one that was asked for: "", or "a/b/".
    names:   its files, sorted.
    problem: why it cannot be listed; "": it can.
    """

    below: str
    names: list[str]
    problem: str = ""


def is_local(address: str) -> bool:
    """Whether an address is a path of this machine."""
    return "://" not in address


def name_of(address: str) -> str:
    """The last part of an address."""
    return PurePosixPath(address).name if not is_local(address) else Path(address).name


def parent(address: str) -> str:
    """The folder that holds a file."""
    return str(Path(address).parent) if is_local(address) else address.rpartition("/")[0]


def suffix_of(address: str) -> str:
    """The lower-case suffix of a file, not counting `.gz`."""
    return PurePosixPath(name_of(address).lower().removesuffix(COMPRESSED)).suffix


def is_hidden(name: str) -> bool:
    """Whether a file or folder, or one that it stands in, is none that the user made."""
    return HIDDEN.search(name) is not None


def is_compressed(address: str) -> bool:
    """Whether a file has to be unpacked to be read."""
    return address.lower().endswith(COMPRESSED)


@contextmanager
def open_file(address: str) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if it is gzipped.

    Raises:
        WrongInput: it cannot be opened, or breaks off while it is read.
    """
    try:
        with _open_raw(address) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise WrongInput(f"cannot read {address}: {one_line(error)}") from error


def _open_raw(address: str) -> AbstractContextManager[BinaryIO]:
    if is_local(address):
        path = Path(address)
        return cast(BinaryIO, gzip.open(path)) if is_compressed(address) else path.open("rb")
    try:
        return cast(
            AbstractContextManager[BinaryIO], fsspec.open(address, "rb", compression="infer")
        )
    except (ValueError, ImportError) as error:  # unknown protocol, or its package is missing
        raise WrongInput(f"cannot read {address}: {one_line(error)}") from error


def read_bytes(address: str) -> bytes:
    """The content of a small file. Raises WrongInput as `open_file` does."""
    with open_file(address) as file:
        return file.read()


def is_folder(address: str) -> bool:
    """Whether an address is a folder. Raises WrongInput where that cannot be found out."""
    try:
        if is_local(address):
            return Path(address).is_dir()
        files, path = fsspec.core.url_to_fs(address)
        return bool(files.isdir(path))
    except (OSError, ValueError, ImportError) as error:
        raise WrongInput(f"cannot read {address}: {one_line(error)}") from error


def exists(address: str) -> bool:
    """Whether something stands at an address; an address that cannot be reached holds nothing."""
    try:
        if is_local(address):
            return Path(address).exists()
        files, path = fsspec.core.url_to_fs(address)
        return bool(files.exists(path))
    except (OSError, ValueError, ImportError):
        return False


def walk_folders(folder: str) -> Iterator[Listing]:
    """List a folder and those in it, in order of their names; hidden ones are left out.

    Links are followed, but no folder is visited twice.

    Raises:
        WrongInput: the folder itself cannot be listed.
    """
    visited: set[tuple[int, int]] = set()
    waiting = [""]
    while waiting:
        below = waiting.pop()
        at = f"{folder}/{below}".rstrip("/") or "/"
        try:
            if is_local(folder):
                files, folders = _list_local(at, visited)
            else:
                files, folders = _list_remote(at)
        except (OSError, ValueError, ImportError) as error:
            problem = f"cannot read {at}: {one_line(error)}"
            if not below:
                raise WrongInput(problem) from error
            yield Listing(below, [], problem)
            continue
        yield Listing(below, sorted(files))
        waiting.extend(f"{below}{name}/" for name in sorted(folders, reverse=True))


def _list_local(folder: str, visited: set[tuple[int, int]]) -> tuple[list[str], list[str]]:
    """The names of the files in a folder, and of the folders; none where it was visited before."""
    state = Path(folder).stat()
    if (state.st_dev, state.st_ino) in visited:
        return [], []
    visited.add((state.st_dev, state.st_ino))
    names: tuple[list[str], list[str]] = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not is_hidden(entry.name):
                names[entry.is_dir()].append(entry.name)
    return names


def _list_remote(folder: str) -> tuple[list[str], list[str]]:
    files, path = fsspec.core.url_to_fs(folder)
    names: tuple[list[str], list[str]] = [], []
    for entry in files.ls(path, detail=True):
        name = name_of(str(entry["name"]).rstrip("/"))
        # Some list the folder itself too.
        if not is_hidden(name) and str(entry["name"]).rstrip("/") != path.rstrip("/"):
            names[entry["type"] == "directory"].append(name)
    return names
