"""Rows of Parquet files; pictures may stand in them, as in Hugging Face's data sets."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
from pyarrow import parquet

from captionary.indexer.readers.addresses import is_compressed, is_local, name_of, open_file
from captionary.indexer.readers.columns import require_columns
from captionary.indexer.readers.rows import Row, Rows
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure

BATCH = 1024
"""Rows held at once."""
PICTURE_BATCH = 8
"""Rows held at once that have their pictures in them."""


def read_parquet(source: str) -> Rows:
    """The rows of a Parquet file, read in batches, only the columns that pairs have.

    Raises:
        WrongInput: it is no Parquet file, lacks a column, or has no pictures in its column.
    """
    name = name_of(source)
    with _open_parquet(source) as table:
        schema = table.schema_arrow
        columns = require_columns(schema.names, source=source)
        yield from columns.notes(name)
        used = sorted(columns.used)
        within = _holds_pictures(schema.field(columns.image), source=source)
        batches = table.iter_batches(
            PICTURE_BATCH if within else BATCH, columns=[schema.names[at] for at in used]
        )
        number = 0
        for batch in batches:
            for row in _decode_batch(batch):
                number += 1
                where = f"{name}:{number}"
                if row is None:
                    yield PairFailure(where, "", "it is not valid UTF-8 text")
                else:
                    values = [row.get(column) for column in schema.names]
                    yield Row(where, columns.pick(values))


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


def _holds_pictures(field: pa.Field, *, source: str) -> bool:
    """Whether a column has pictures and not their names: bytes, or `bytes` and `path` together."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    types = pa.types
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return False
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return True
    if types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return True
    raise WrongInput(
        f"the column {field.name} of {source} holds {one_line(str(field.type))}; it must hold the "
        "paths or addresses of pictures as text, or their files as bytes"
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
