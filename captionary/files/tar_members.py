"""Files inside tar shards, by address: `tar://NAME?OFFSET+LENGTH::SHARD`.

fsspec's own `tar://NAME::SHARD` reads through the shard anew whenever a file of it is opened. Here
the address says where the bytes lie, so that any file of any shard costs one seek.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import fsspec

FORM = re.compile(r"tar://(.*)\?([0-9]+)\+([0-9]+)::(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an uncompressed tar file.

    name:   its name there, with folders.
    offset: where its content begins, in bytes from the start of the shard.
    length: bytes of content.
    shard:  path or fsspec address of the tar file.
    """

    name: str
    offset: int
    length: int
    shard: str

    @classmethod
    def at(cls, address: str) -> "Member | None":
        """What an address names; None where it is not of this form."""
        found = FORM.fullmatch(address)
        if found is None:
            return None
        name, offset, length, shard = found.groups()
        return cls(name, int(offset), int(length), shard)

    @property
    def address(self) -> str:
        """What `at` understands."""
        return f"tar://{self.name}?{self.offset}+{self.length}::{self.shard}"

    @property
    def end(self) -> int:
        """Where its content ends, in bytes from the start of the shard."""
        return self.offset + self.length

    def read(self, *, at_most: int) -> bytes:
        """Its content, or the first so many bytes of it.

        Raises:
            EOFError: the shard is too short to hold it, or not given in parts.
            Exception: what else the file system raises where the shard cannot be read.
        """
        wanted = min(self.length, at_most)
        if "://" in self.shard:
            files, path = fsspec.core.url_to_fs(self.shard)
            data: bytes = files.cat_file(path, start=self.offset, end=self.offset + wanted)
        else:
            with Path(self.shard).open("rb") as file:
                file.seek(self.offset)
                data = file.read(wanted)
        if len(data) != wanted:  # fewer if it has changed; more if a server gives files whole only
            raise EOFError(
                f"{self.shard} gave {len(data):,} bytes instead of {wanted:,} at {self.offset:,}"
            )
        return data
