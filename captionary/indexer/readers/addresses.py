"""Files and pictures by address: local paths directly, everything else through fsspec."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import fsspec

from captionary.schemas.errors import WrongInput, one_line

COMPRESSED = ".gz"


class Pictures:
    """Finds the pictures that rows name.

    With several possible folders, names are looked up until a picture is found; the folder where
    it was found then serves all others, so that a long SOURCE costs no look-up per picture.
    """

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = [folder.rstrip("/") for folder in folders]

    def address(self, name: str) -> str:
        """The address of the picture `name`: itself when absolute, else inside the folder."""
        if "://" in name or Path(name).is_absolute():
            return name
        if len(self._folders) > 1:
            found = next((at for at in self._folders if exists(f"{at}/{name}")), None)
            self._folders = self._folders if found is None else [found]
        return f"{self._folders[0]}/{name}"


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


def list_names(folder: str) -> list[str]:
    """The names of what stands in a folder, sorted, hidden ones left out.

    Raises:
        WrongInput: the folder cannot be listed.
    """
    try:
        if is_local(folder):
            names = [entry.name for entry in Path(folder).iterdir()]
        else:
            files, path = fsspec.core.url_to_fs(folder)
            names = [name_of(str(entry)) for entry in files.ls(path, detail=False)]
    except (OSError, ValueError, ImportError) as error:
        raise WrongInput(f"cannot read {folder}: {one_line(error)}") from error
    return sorted(name for name in names if not name.startswith("."))
