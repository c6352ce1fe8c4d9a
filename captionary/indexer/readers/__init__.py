"""SOURCE -> pairs: captioned pictures from whatever file or folder they stand in.

What SOURCE is decides who reads it: `tables` (JSON Lines, CSV, TSV, Parquet), `coco`, `folders` or
`shards`. Each yields rows; `rows` makes pairs of them, and `addresses` opens files and finds the
pictures. All are streams, so memory stays flat for a SOURCE of any length (a COCO file is one JSON
document and is read whole).
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice

from captionary.indexer.readers.addresses import (
    Pictures,
    exists,
    is_folder,
    is_local,
    parent,
    suffix_of,
)
from captionary.indexer.readers.coco import coco_rows, count_coco
from captionary.indexer.readers.folders import count_folder, folder_rows
from captionary.indexer.readers.rows import Rows, grouped, pair_of
from captionary.indexer.readers.shards import (
    are_several,
    count_shards,
    holds_shards,
    shard_rows,
    shards_of,
)
from captionary.indexer.readers.tables import (
    count_lines,
    count_parquet,
    delimited_rows,
    json_line_rows,
    parquet_rows,
)
from captionary.schemas.errors import WrongInput
from captionary.schemas.pairs import ImageCaption, PairFailure

__all__ = ["ACCEPTED", "count_pairs", "local_shards", "read_pairs"]

ACCEPTED = (
    "a SOURCE is a .jsonl, .ndjson, .csv, .tsv or .parquet file with the columns image and "
    "caption (or captions), a COCO captions .json, a folder of NAME.jpg with NAME.txt, "
    "or WebDataset shards: a .tar file, several as {000..999}.tar, or a folder of them"
)
SAMPLE = 500  # rows that tell how many rows make a pair

Reader = Callable[[str], Rows]
FILES: dict[str, Reader] = {
    ".jsonl": json_line_rows,
    ".ndjson": json_line_rows,
    ".csv": partial(delimited_rows, delimiter=","),
    ".tsv": partial(delimited_rows, delimiter="\t"),
    ".parquet": parquet_rows,
    ".json": coco_rows,
    ".tar": shard_rows,
    ".tgz": shard_rows,
}


def read_pairs(
    source: str, *, images: str | None = None, source_name: str = ""
) -> Iterator[ImageCaption | PairFailure]:
    """Stream the captioned pictures of SOURCE; consecutive rows of one picture are one pair.

    Args:
        source: a file or folder, by path or by fsspec address; may be gzipped (`.jsonl.gz`).
            Braces name several shards (`{000..999}.tar`).
        images: the folder that relative picture names refer to. None: the folder of the file or,
            where the pictures are not there, `images/` beside the file.
        source_name: the `source` of rows that name none.

    Returns:
        Pairs in the order of SOURCE. A row that cannot be used is a `PairFailure` and does not
        stop the reading.

    Raises:
        WrongInput: SOURCE cannot be used at all (at the call), or breaks off (while reading).
    """
    reader = _reader(source)
    rows = reader(source)
    first = list(islice(rows, 1))  # an unusable SOURCE says so now, not at the first pair
    pictures = _pictures(source, reader, images)
    return grouped(
        pair_of(row, pictures=pictures, source_name=source_name) for row in chain(first, rows)
    )


def count_pairs(source: str) -> int | None:
    """Estimate, for a progress bar, how many items `read_pairs` yields.

    Rows are counted by line ends or metadata; how many rows make a pair is taken from the first
    500. None where only reading would tell (remote or gzipped text), or SOURCE cannot be used.
    """
    try:
        reader = _reader(source)
        if reader is folder_rows:
            return count_folder(source)
        if reader is shard_rows:
            return count_shards(source)
        if reader is coco_rows:
            return count_coco(source)
        rows = count_parquet(source) if reader is parquet_rows else count_lines(source)
        if rows is None:
            return None
        head = list(islice(reader(source), SAMPLE))
    except WrongInput:
        return None
    anywhere = Pictures((".",))
    items = sum(1 for _ in grouped(pair_of(row, pictures=anywhere) for row in head))
    return items if len(head) < SAMPLE else round(rows * items / len(head))


def local_shards(source: str) -> list[str]:
    """The shards of SOURCE, each once; none where it is no shards, or they are not on this machine.

    Raises:
        WrongInput: SOURCE cannot be used at all.
    """
    shards = shards_of(source) if _reader(source) is shard_rows else []
    return list(dict.fromkeys(shards)) if all(map(is_local, shards)) else []


def _reader(source: str) -> Reader:
    if is_folder(source):
        return shard_rows if holds_shards(source) else folder_rows
    if not exists(source) and not are_several(source):
        raise WrongInput(f"{source} does not exist; {ACCEPTED}")
    reader = FILES.get(suffix_of(source))
    if reader is None:
        raise WrongInput(f"{source} is of no known kind; {ACCEPTED}")
    return reader


def _pictures(source: str, reader: Reader, images: str | None) -> Pictures:
    if reader in (folder_rows, shard_rows):
        if images is not None:
            raise WrongInput(f"the pictures of {source} stand in it; leave out the folder {images}")
        return Pictures((source,))
    if images is not None:
        return Pictures((images,))
    folder = parent(source)
    return Pictures((folder, f"{folder}/images"))
