"""SOURCE -> pairs: captioned pictures from whatever file or folder they stand in.

What SOURCE is decides who reads it: `tables` (JSON, CSV and TSV, Parquet), `folders`, `shards`, or
`annotations` (dataset folders, YOLO).
Each yields rows; `rows` makes pairs of them, and `addresses` opens files and finds the pictures.
All are streams, so memory stays flat for a SOURCE of any length (a JSON document is read whole).
"""

from collections.abc import Callable, Iterator
from itertools import chain, islice

from captionary.indexer.readers.addresses import (
    Pictures,
    exists,
    is_folder,
    is_local,
    parent,
    suffix_of,
)
from captionary.indexer.readers.annotations.dataset_folder import (
    count_dataset,
    holds_dataset,
    read_dataset,
)
from captionary.indexer.readers.annotations.yolo import count_yolo, holds_yolo, read_yolo
from captionary.indexer.readers.folders import count_folder, read_folder
from captionary.indexer.readers.rows import Rows, make_pair, merge_rows
from captionary.indexer.readers.shards import (
    count_shards,
    has_shard_braces,
    holds_shards,
    list_shards,
    read_shards,
)
from captionary.indexer.readers.tables.delimited import read_delimited
from captionary.indexer.readers.tables.json_documents import count_json, read_json
from captionary.indexer.readers.tables.parquet_files import count_parquet, read_parquet
from captionary.indexer.readers.tables.text_lines import count_lines
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import PairItem

__all__ = ["ACCEPTED", "count_pairs", "local_shards", "read_pairs"]

ACCEPTED = (
    "a SOURCE is a .jsonl, .ndjson, .csv, .tsv, .txt or .parquet file with the columns image and "
    "caption (or captions, or regions), a COCO or Label Studio .json, a data.yaml of YOLO, "
    "a folder of NAME.jpg with NAME.txt, a dataset folder (images/, masks/ and classes.txt), "
    "or WebDataset shards: a .tar file, several as {000..999}.tar, or a folder of them"
)
SAMPLE = 500
"""Rows that tell how many rows make a pair."""

Reader = Callable[[str], Rows]
FILES: dict[str, Reader] = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), read_json),
    **dict.fromkeys((".csv", ".tsv", ".tab", ".psv", ".txt", ".token"), read_delimited),
    ".parquet": read_parquet,
    ".tar": read_shards,
    ".tgz": read_shards,
    ".yaml": read_yolo,
    ".yml": read_yolo,
}
WHOLE = (read_folder, read_dataset, read_shards, read_yolo)
"""Readers of what has its pictures in it, or says where they are."""
COUNTED = {
    read_folder: count_folder,
    read_dataset: count_dataset,
    read_shards: count_shards,
    read_yolo: count_yolo,
}
"""How many items these have."""
COUNTERS: dict[Reader, Callable[[str], int | None]] = {
    read_json: count_json,
    read_delimited: count_lines,
    read_parquet: count_parquet,
}
"""How many rows a file has."""


def read_pairs(
    source: str, *, images: str | None = None, source_name: str = ""
) -> Iterator[PairItem]:
    """Stream the captioned pictures of SOURCE; consecutive rows of one picture are one pair.

    Args:
        source: a file or folder, by path or by fsspec address; may be gzipped (`.jsonl.gz`).
            Braces name several shards (`{000..999}.tar`).
        images: the folder that relative picture names refer to. None: the folder of the file or,
            where the pictures are not there, `images/` beside the file.
        source_name: the `source` of rows that name none.

    Returns:
        Pairs in the order of SOURCE. A row that cannot be used is a `PairFailure` and does not
        stop the reading; what is passed over is a `Note`.

    Raises:
        WrongInput: SOURCE cannot be used at all (at the call), or breaks off (while reading).
    """
    reader = _choose_reader(source)
    rows = reader(source)
    first = list(islice(rows, 1))  # an unusable SOURCE says so now, not at the first pair
    folders = _folders(source, reader, images)
    # Each remembers where it found the first.
    pictures, masks = Pictures(folders), Pictures(tuple(dict.fromkeys((*folders, parent(source)))))
    return merge_rows(_make_pairs(chain(first, rows), pictures, masks, source_name))


def _make_pairs(
    rows: Rows, pictures: Pictures, masks: Pictures, source_name: str = ""
) -> Iterator[PairItem]:
    for row in rows:
        if isinstance(row, Note):
            yield row
        else:
            yield make_pair(row, pictures=pictures, masks=masks, source_name=source_name)


def count_pairs(source: str) -> int | None:
    """Estimate, for a progress bar, how many items `read_pairs` yields.

    Rows are counted by line ends or metadata; how many rows make a pair is taken from the first
    500. None where only reading would tell (remote or gzipped text), or SOURCE cannot be used.
    """
    try:
        reader = _choose_reader(source)
        if reader in COUNTED:
            return COUNTED[reader](source)
        rows = COUNTERS[reader](source)
        if rows is None:
            return None
        taken = 0

        def head() -> Rows:
            nonlocal taken
            for row in islice(reader(source), SAMPLE):
                taken += not isinstance(row, Note)
                yield row

        here = Pictures((".",))
        merged = merge_rows(_make_pairs(head(), here, here))
        items = sum(not isinstance(item, Note) for item in merged)
    except WrongInput:
        return None
    return items if taken < SAMPLE else round(rows * items / taken)


def local_shards(source: str) -> list[str]:
    """The shards of SOURCE, each once; none where it is no shards, or they are not on this machine.

    Raises:
        WrongInput: SOURCE cannot be used at all.
    """
    shards = list_shards(source) if _choose_reader(source) is read_shards else []
    return list(dict.fromkeys(shards)) if all(map(is_local, shards)) else []


def _choose_reader(source: str) -> Reader:
    if is_folder(source):
        if holds_dataset(source):
            return read_dataset
        if holds_yolo(source):
            return read_yolo
        return read_shards if holds_shards(source) else read_folder
    if not exists(source) and not has_shard_braces(source):
        raise WrongInput(f"{source} does not exist; {ACCEPTED}")
    reader = FILES.get(suffix_of(source))
    if reader is None:
        raise WrongInput(f"{source} is of no known kind; {ACCEPTED}")
    return reader


def _folders(source: str, reader: Reader, images: str | None) -> tuple[str, ...]:
    """The folders that relative names of pictures may refer to."""
    if reader in WHOLE:
        if images is not None:
            raise WrongInput(f"the pictures of {source} stand in it; leave out the folder {images}")
        return (source if is_folder(source) or reader is not read_yolo else parent(source),)
    if images is not None:
        return (images,)
    folder = parent(source)
    return folder, f"{folder}/images"
