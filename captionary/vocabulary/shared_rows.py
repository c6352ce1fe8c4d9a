"""Between pictures with their regions and the rows of a shared file (sharing.py)."""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from captionary.schemas.dictionary import Picture
from captionary.schemas.pointing import FIRST_POINTED, Pointing
from captionary.schemas.regions import PointedTable, RegionTable

Row: TypeAlias = tuple[Picture, RegionTable, PointedTable | None]

POINTING = pa.struct([("index", pa.int64()), ("noun", pa.string()), ("refused", pa.bool_())])

PICTURE_FIELDS: tuple[tuple[str, pa.DataType], ...] = (
    ("image_id", pa.string()),
    ("image", pa.string()),
    ("sha256", pa.string()),
    ("height", pa.int32()),
    ("width", pa.int32()),
    ("captions", pa.list_(pa.string())),
    ("nouns", pa.list_(pa.list_(pa.string()))),
    ("source", pa.string()),
    ("tags", pa.list_(pa.string())),
    ("thumbnail", pa.binary()),
    ("pointings", pa.list_(POINTING)),
)


def schema_of(dim: int, look_dim: int) -> pa.Schema:
    """The columns of a file.

    Args:
        dim, look_dim: sizes of vectors; `look_dim` 0: there are no look vectors.
    """
    return pa.schema([*PICTURE_FIELDS, *_region_fields(dim, look_dim)])


def _region_fields(dim: int, look_dim: int) -> list[tuple[str, pa.DataType]]:
    """Columns that have a value for each region: first those of the cut, then those pointed at."""
    fields = [
        ("indices", pa.list_(pa.int64())),
        ("boxes_xyxy", pa.list_(pa.list_(pa.int32(), 4))),
        ("areas", pa.list_(pa.float32())),
        ("vectors", pa.list_(pa.list_(pa.float32(), dim))),
    ]
    # The store keeps them in half precision, so nothing is lost.
    looks = [("look_vectors", pa.list_(pa.list_(pa.float16(), look_dim)))] if look_dim else []
    return fields + looks


def table_of_pictures(rows: Sequence[Row], dim: int, look_dim: int) -> pa.Table:
    """Rows of a file, a picture each."""
    schema = schema_of(dim, look_dim)
    columns = [
        pa.array([_picture_value(picture, name) for picture, _, _ in rows], kind)
        for name, kind in PICTURE_FIELDS
    ]
    tables = [
        table if pointed is None else table.followed_by(pointed.table) for _, table, pointed in rows
    ]
    indices = [
        [*range(len(table)), *(() if pointed is None else pointed.indices)]
        for _, table, pointed in rows
    ]
    ends = np.cumsum([0, *(len(table) for table in tables)], dtype=np.int32)
    values = {
        "indices": np.concatenate([np.array(own, np.int64) for own in indices]),
        "boxes_xyxy": np.concatenate([table.boxes_xyxy for table in tables]),
        "areas": np.concatenate([table.areas for table in tables]),
        "vectors": np.concatenate([table.vectors for table in tables]),
    }
    if look_dim:
        values["look_vectors"] = np.concatenate([table.looks for table in tables]).astype("float16")
    for name, _ in _region_fields(dim, look_dim):
        columns.append(_lists(values[name], ends))
    return pa.Table.from_arrays(columns, schema=schema)


def _picture_value(picture: Picture, name: str) -> Any:
    if name == "pointings":
        return [
            {"index": item.index, "noun": item.noun, "refused": item.refused}
            for item in picture.pointings
        ]
    if name in ("height", "width"):
        return picture.size_hw[name == "width"]
    return getattr(picture, "id" if name == "image_id" else name)


def _lists(values: NDArray[Any], ends: NDArray[np.int32]) -> pa.Array:
    """Rows of an array, (n, k) or (n,), as lists that end where they are told to."""
    flat = pa.array(values.reshape(-1))
    if values.ndim == 2:
        flat = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.ListArray.from_arrays(pa.array(ends), flat)


def shared_pictures(table: pa.Table) -> Iterator[Row]:
    """The pictures of some rows of a file."""
    names = [name for name, _ in PICTURE_FIELDS]
    records = table.select(names).to_pylist()
    columns = {
        name: table.column(name).combine_chunks()
        for name in table.column_names
        if name not in names
    }
    lengths = columns["areas"].value_lengths().to_numpy()
    ends = np.cumsum([0, *lengths])
    values = {name: _values(column) for name, column in columns.items()}
    for number, record in enumerate(records):
        own = slice(int(ends[number]), int(ends[number + 1]))
        looks = values.get("look_vectors")
        whole = RegionTable(
            vectors=values["vectors"][own],
            boxes_xyxy=values["boxes_xyxy"][own],
            areas=values["areas"][own],
            look_vectors=None if looks is None else looks[own].astype(np.float32),
        )
        yield _row(record, whole, values["indices"][own].tolist())


def _values(column: pa.Array) -> NDArray[Any]:
    """The members of a column of lists, one after the other, (n, k) or (n,)."""
    flat = column.flatten()
    if not pa.types.is_fixed_size_list(flat.type):
        members: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
        return members
    size = flat.type.list_size
    members = flat.flatten().to_numpy(zero_copy_only=False)
    return members.reshape(-1, size)


def _row(record: dict[str, Any], whole: RegionTable, indices: list[int]) -> Row:
    pointed = tuple(index for index in indices if index >= FIRST_POINTED)
    cut = len(indices) - len(pointed)
    picture = Picture(
        id=record["image_id"],
        image=record["image"],
        sha256=record["sha256"],
        size_hw=(record["height"], record["width"]),
        captions=tuple(record["captions"]),
        nouns=tuple(tuple(nouns) for nouns in record["nouns"]),
        regions=cut,
        source=record["source"],
        tags=tuple(record["tags"]),
        thumbnail=record["thumbnail"],
        pointings=tuple(Pointing(**item) for item in record["pointings"]),
    )
    table = whole.rows(range(cut))
    if not pointed:
        return picture, table, None
    return picture, table, PointedTable(pointed, whole.rows(range(cut, len(indices))))
