"""Rows of JSON Lines, CSV, TSV and Parquet files, one at a time."""

import codecs
import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from itertools import islice

import pyarrow as pa
from pyarrow import parquet

from captionary.indexer.readers.addresses import is_compressed, is_local, name_of, open_file
from captionary.indexer.readers.rows import COLUMNS, Row, Rows, has_columns, require_columns
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure

HEAD = 100  # lines of JSON Lines among which one must be usable
BATCH = 1024  # rows of Parquet held at once
BLOCK = 1 << 20  # bytes read at once to count lines


def read_json_lines(source: str) -> Rows:
    """The objects of a JSON Lines file.

    Raises:
        WrongInput: none of the first lines is an object with the columns of a pair.
    """
    name = name_of(source)
    with open_file(source) as file:
        lines = ((f"{name}:{number}", line) for number, line in enumerate(file, 1))
        rows = (_json_row(where, line) for where, line in lines if line.strip())
        head = list(islice(rows, HEAD))
        if not any(isinstance(row, Row) and has_columns(row.values) for row in head):
            raise WrongInput(
                f"{source} holds no line with image and caption; "
                'JSON Lines are read as {"image": "a.jpg", "caption": "..."} on each line'
            )
        yield from head
        yield from rows


def _json_row(where: str, line: bytes) -> Row | PairFailure:
    try:
        values = json.loads(line.removeprefix(codecs.BOM_UTF8).decode())
    except (ValueError, RecursionError) as error:
        return PairFailure(where, "", f"it is not JSON: {one_line(error)}")
    if not isinstance(values, dict):
        return PairFailure(where, "", "it is JSON but not an object in braces")
    return Row(where, values)


def read_delimited(source: str, *, delimiter: str) -> Rows:
    """The rows of a CSV or TSV file under its header; quoted values may span lines.

    A `captions` value may be a JSON list. Bytes that are not UTF-8 are kept as lone surrogates,
    so that only the rows that hold them fail.

    Raises:
        WrongInput: the header lacks the columns of a pair.
    """
    with (
        open_file(source) as file,
        TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as text,
    ):
        reader = csv.reader(text, delimiter=delimiter)
        try:
            header = [column.strip() for column in next((row for row in reader if row), [])]
        except csv.Error as error:
            raise WrongInput(f"{source} is not readable as CSV: {one_line(error)}") from error
        require_columns(header, source=source)
        while True:
            where = f"{name_of(source)}:{reader.line_num + 1}"
            try:
                values = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield PairFailure(where, "", f"it is not readable as CSV: {one_line(error)}")
                continue
            if values:
                yield _delimited_row(where, header, values)


def _delimited_row(where: str, header: list[str], values: list[str]) -> Row | PairFailure:
    if len(values) > len(header):
        return PairFailure(
            where,
            "",
            f"it has {len(values)} values for {len(header)} columns; "
            "put captions that hold the delimiter in double quotes",
        )
    named: dict[str, object] = dict(zip(header, values, strict=False))
    captions = named.get("captions")
    if isinstance(captions, str) and captions.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):  # else a caption that starts with a bracket
            named["captions"] = json.loads(captions)
    return Row(where, named)


def read_parquet(source: str) -> Rows:
    """The rows of a Parquet file, read in batches, only the columns that pairs have.

    Raises:
        WrongInput: it is no Parquet file, lacks a column, or its pictures are not named by text.
    """
    name = name_of(source)
    with _open_parquet(source) as table:
        schema = table.schema_arrow
        require_columns(schema.names, source=source)
        _require_text(schema.field("image").type, source=source)
        columns = [column for column in COLUMNS if column in schema.names]
        number = 0
        for batch in table.iter_batches(BATCH, columns=columns):
            for values in _decode_batch(batch):
                number += 1
                where = f"{name}:{number}"
                if values is None:
                    yield PairFailure(where, "", "it is not valid UTF-8 text")
                else:
                    yield Row(where, values)


def _decode_batch(batch: pa.RecordBatch) -> list[dict[str, object] | None]:
    """The rows of a batch, None for one whose text cannot be decoded."""
    try:
        rows: list[dict[str, object] | None] = batch.to_pylist()
    except UnicodeDecodeError:
        # Arrow names no row: those of the batch are tried one by one.
        if len(batch) == 1:
            return [None]
        return [row for at in range(len(batch)) for row in _decode_batch(batch.slice(at, 1))]
    return rows


def _require_text(kind: pa.DataType, *, source: str) -> None:
    held = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(held) or pa.types.is_large_string(held)):
        raise WrongInput(
            f"the column image of {source} holds {kind}; "
            "it must hold the paths or addresses of pictures as text"
        )


@contextmanager
def _open_parquet(source: str) -> Iterator[parquet.ParquetFile]:
    with open_file(source) as file:
        try:
            # A path is read by Arrow itself, faster than through a Python file.
            native = is_local(source) and not is_compressed(source)
            with parquet.ParquetFile(source if native else file) as table:
                yield table
        except pa.ArrowException as error:
            raise WrongInput(f"{source} is not readable as Parquet: {one_line(error)}") from error


def count_parquet(source: str) -> int:
    """Rows of a Parquet file, from its metadata."""
    with _open_parquet(source) as table:
        return int(table.metadata.num_rows)


def count_lines(source: str) -> int | None:
    """Lines of a local text file; None where counting means fetching or unpacking all of it."""
    if not is_local(source) or is_compressed(source):
        return None
    with open_file(source) as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b""))
