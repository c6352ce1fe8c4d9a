"""Dictionaries as others share them: a store, or one file, which is written and checked here.

Prototypes and tags are not shared: they depend on all pictures of a dictionary, and on the release
that made them. They are made anew where a share is taken in, so that the outcome is the same as
having indexed everything there.

The file is Parquet, a picture a row with its regions; docs/formats.md lists the columns. Its footer
has the manifest, and the manifest the digest of all that stands before the footer, so that a file
is known to be whole before any of it is used.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
from pyarrow import parquet

from captionary.files.atomic import write_atomically
from captionary.files.free_space import disk_full
from captionary.schemas.corrections import Correction
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.regions import PointedTable, RegionTable
from captionary.vocabulary.shared_rows import schema_of, shared_pictures, table_of_pictures
from captionary.vocabulary.stored_dictionary import StoredDictionary

FORMAT = 1
"""Version of the file; raise it when an older release would misread a newer file."""

MANIFEST = b"captionary"
DIGEST = b"captionary.sha256"
"""Keys in the footer: the manifest, as JSON, and its SHA-256."""

PAGE = 32
"""Pictures in a row group: what is in memory at a time."""

TAIL = 8
"""Bytes that end a Parquet file, behind its footer: the length of that, and `PAR1`."""


@dataclass(frozen=True, slots=True)
class SharedPicture:
    """A picture with all its regions.

    pointed: the regions of areas that someone pointed at; None: there are none.
    """

    picture: Picture
    table: RegionTable
    pointed: PointedTable | None = None


class Share(Protocol):
    """A dictionary that can be taken in by another one."""

    @property
    def address(self) -> str:
        """The file, folder or URL, for messages."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of the models that cut and embedded the regions."""
        ...

    @property
    def models(self) -> Mapping[str, str]:
        """How these models were called."""
        ...

    @property
    def dims(self) -> tuple[int, int]:
        """Sizes of vectors and of look vectors; 0: there are none of these."""
        ...

    @property
    def corrections(self) -> tuple[Correction, ...]:
        """Those in force, oldest first."""
        ...

    @property
    def total(self) -> int:
        """How many pictures there are."""
        ...

    def digests(self, image_ids: Collection[str]) -> dict[str, str]:
        """The SHA-256 of some pictures, by id; unknown ones are left out."""
        ...

    def items(self) -> Iterator[SharedPicture]:
        """Stream the pictures, sorted by id.

        Raises:
            MissingRegions: a store lacks regions of a picture.
        """
        ...


class SharedStore:
    """A dictionary in a store, as a share."""

    def __init__(self, dictionary: StoredDictionary) -> None:
        self._dictionary = dictionary
        self.address = dictionary.engine.address
        self.fingerprint = dictionary.fingerprint
        self.models = dictionary.models
        self.dims = (dictionary.dim, dictionary.look_dim)
        self.corrections = dictionary.corrections.all()
        self.total = dictionary.stats().images

    def digests(self, image_ids: Collection[str]) -> dict[str, str]:
        """As `Share`."""
        return {item.id: item.sha256 for item in self._dictionary.pictures_named([*image_ids])}

    def items(self) -> Iterator[SharedPicture]:
        """As `Share`."""
        pictures = self._dictionary.pictures()
        while page := list(islice(pictures, PAGE)):
            tables = self._dictionary.region_tables(page)
            for picture, table in zip(page, tables, strict=True):
                yield SharedPicture(picture, table, self._pointed(picture))

    def _pointed(self, picture: Picture) -> PointedTable | None:
        if not (indices := picture.pointed_indices):
            return None
        rows = self._dictionary.rows_of([(picture.id, index) for index in indices])
        return PointedTable(indices, rows)


class SharedFile:
    """A file that `write_share` wrote, as a share; checked whole when it is made.

    Raises:
        WrongInput: it cannot be read, is no such file, is of a later release, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.address = str(path)
        manifest = _read_manifest(path)
        self.fingerprint = str(manifest["fingerprint"])
        self.models: dict[str, str] = manifest["models"]
        self.dims = (int(manifest["dim"]), int(manifest["look_dim"]))
        self.corrections = tuple(Correction(**item) for item in manifest["corrections"])
        self.total = int(manifest["pictures"])

    def digests(self, image_ids: Collection[str]) -> dict[str, str]:
        """As `Share`."""
        found: dict[str, str] = {}
        if image_ids:
            with parquet.ParquetFile(self._path) as file:
                for batch in file.iter_batches(columns=["image_id", "sha256"]):
                    names, values = (column.to_pylist() for column in batch.columns)
                    both = zip(names, values, strict=True)
                    found.update((name, value) for name, value in both if name in image_ids)
        return found

    def items(self) -> Iterator[SharedPicture]:
        """As `Share`.

        Raises:
            WrongInput: the file has changed since, or its footer is damaged.
        """
        with parquet.ParquetFile(self._path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                try:
                    rows = list(shared_pictures(file.read_row_group(number)))
                except (OSError, pa.ArrowException, ValueError) as error:
                    raise _damaged(self._path) from error
                for row in rows:
                    yield SharedPicture(*row)


def _read_manifest(path: Path) -> Any:
    """The manifest of a file that is whole."""
    try:
        with parquet.ParquetFile(path) as file:
            kept = file.metadata.metadata or {}
            rows, footer = file.metadata.num_rows, file.metadata.serialized_size
            schema = file.schema_arrow
    except OSError as error:
        raise WrongInput(f"cannot read {path}: {one_line(error)}") from error
    except pa.ArrowException as error:
        raise WrongInput(
            f"{path} is no exported dictionary, or was cut short: {one_line(error)}"
        ) from error
    if MANIFEST not in kept:
        raise WrongInput(
            f"{path} is no exported dictionary; its captions are read by 'captionary index'"
        )
    text = kept[MANIFEST]
    if hashlib.sha256(text).hexdigest().encode() != kept.get(DIGEST):
        raise _damaged(path)
    manifest = json.loads(text)
    if manifest["format"] > FORMAT:
        raise WrongInput(
            f"{path} is of format {manifest['format']}, and this release reads up to {FORMAT}; "
            "install a later one"
        )
    whole = (
        path.stat().st_size == manifest["bytes"] + footer + TAIL
        and rows == manifest["pictures"]
        and schema.equals(schema_of(manifest["dim"], manifest["look_dim"]))
    )
    if not whole or _digest_of(path, manifest["bytes"]) != manifest["sha256"]:
        raise _damaged(path)
    return manifest


def _digest_of(path: Path, length: int) -> str:
    """SHA-256 of the first bytes of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while length > 0 and (part := file.read(min(length, 1 << 20))):
            digest.update(part)
            length -= len(part)
    return digest.hexdigest()


def _damaged(path: Path) -> WrongInput:
    return WrongInput(f"{path} is damaged or was cut short; fetch it, or export it, again")


# Writing


@dataclass(frozen=True, slots=True)
class Exported:
    """How much was written: pictures and regions."""

    pictures: int
    regions: int


def write_share(
    share: Share,
    path: Path,
    *,
    thumbnails: bool = True,
    license: str = "",
    notes: Mapping[str, str] = {},
    report: Callable[[int, int], None] = lambda _done, _total: None,
) -> Exported:
    """Write a dictionary into one file, atomically; memory does not grow with it.

    Args:
        thumbnails: with the small pictures that evidence is shown by.
        license:    under what it may be used; a free text.
        notes:      by names of sources, where their pictures are from and how they may be used.
        report:     called with how many pictures are done, of how many.

    Raises:
        WrongInput: the file cannot be written.
        DiskFull: too little space is left.
        MissingRegions: as `Share.items`.
    """
    counts: Counter[str] = Counter()
    sources: Counter[str] = Counter()

    def write(file: IO[bytes]) -> None:
        hashed = _Hashed(file)
        sink = pa.PythonFile(hashed, mode="w")
        # Vectors hardly repeat, and a dictionary of values would be tried on each of them.
        options = {"use_dictionary": False, "write_statistics": False, "write_page_checksum": True}
        schema = schema_of(*share.dims)
        with parquet.ParquetWriter(sink, schema, compression="zstd", **options) as writer:
            items = share.items()
            while page := list(islice(items, PAGE)):
                shown = page if thumbnails else [_without_thumbnail(item) for item in page]
                rows = [(item.picture, item.table, item.pointed) for item in shown]
                writer.write_table(table_of_pictures(rows, *share.dims), row_group_size=PAGE)
                counts["pictures"] += len(page)
                counts["regions"] += sum(_regions_of(item) for item in page)
                sources.update(item.picture.source for item in page)
                report(counts["pictures"], share.total)
            made = {
                "format": FORMAT,
                "fingerprint": share.fingerprint,
                "models": dict(share.models),
                "dim": share.dims[0],
                "look_dim": share.dims[1],
                "pictures": counts["pictures"],
                "regions": counts["regions"],
                "corrections": [asdict(item) for item in share.corrections],
                "license": license,
                "sources": _sources(sources, notes),
                "bytes": hashed.count,
                "sha256": hashed.digest.hexdigest(),
            }
            text = json.dumps(made, ensure_ascii=False).encode()
            digest = hashlib.sha256(text).hexdigest()
            writer.add_key_value_metadata({MANIFEST: text, DIGEST: digest})

    try:
        write_atomically(path, write)
    except OSError as error:
        wrong = WrongInput(f"cannot write {path}: {one_line(error)}")
        raise disk_full(error, path) or wrong from error
    return Exported(counts["pictures"], counts["regions"])


def _sources(counts: Mapping[str, int], notes: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    if unknown := sorted(notes.keys() - counts.keys()):
        raise WrongInput(
            f"the dictionary has no source {unknown[0]!r}; its sources are "
            f"{', '.join(map(repr, sorted(counts))) or 'none'}"
        )
    return [
        {"name": name, "pictures": counts[name], "note": notes.get(name, "")}
        for name in sorted(counts)
    ]


def _without_thumbnail(item: SharedPicture) -> SharedPicture:
    return replace(item, picture=replace(item.picture, thumbnail=b""))


def _regions_of(item: SharedPicture) -> int:
    return len(item.table) + (0 if item.pointed is None else len(item.pointed.indices))


class _Hashed:
    """A file that is only written to, with the digest and the count of what was."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.count = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.count += len(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self.count

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """The file is closed by who opened it."""
