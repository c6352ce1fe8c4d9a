"""Any table and any bytes: no row is lost, what is well-formed comes back, nothing else escapes."""

import csv
import gzip
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from captionary.indexer.readers import count_pairs, read_pairs
from captionary.indexer.readers.columns import is_absent
from captionary.indexer.readers.source import FILES
from captionary.schemas.errors import WrongInput
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure, PairItem

pytestmark = pytest.mark.usefixtures("_in_a_folder")
WORDS = (
    "dog",
    "a",
    "Été",
    "12",
    '"',
    '""',
    ",",
    ";",
    "|",
    "\t",
    "\\",
    "[",
    "'",
    " ",
    "\u2028",
    "€",
)
FASTER = settings(max_examples=200, suppress_health_check=[*HealthCheck])

captions = st.lists(st.sampled_from(WORDS), max_size=6).map("".join)
spanning = st.lists(st.sampled_from((*WORDS, "\n", "\r\n", "x\ny")), max_size=6).map("".join)
names = (("a.jpg", "b.PNG", "my café.jpg", "s3://x/y.webp"), ("img_1", "img_2", "img_30"))
ends = st.sampled_from(("\n", "\r\n", "\r"))
encodings = st.sampled_from(("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"))
suffixes = st.sampled_from((".csv", ".tsv", ".txt", ".csv.gz"))
headers = st.sampled_from(
    (("image", "caption"), ("Text", "n", "file_name"), ("title", "IMG", "id"))
)


@pytest.fixture(scope="module")
def _in_a_folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("any"))
    yield
    os.chdir(before)


def write(suffix: str, data: bytes) -> str:
    path = Path(f"s{suffix}")
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    return str(path)


def encode(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "replace")


def rows_in(items: Sequence[PairItem]) -> int:
    """How many rows items were, each of which is in a pair or a failure."""
    pairs = [item for item in items if isinstance(item, ImageCaption)]
    failures = [item for item in items if isinstance(item, PairFailure)]
    assert sum(len(pair.captions) for pair in pairs) >= sum(pair.rows for pair in pairs)
    return sum(pair.rows for pair in pairs) + len(failures)


def cells(header: Sequence[str], name: str, caption: str) -> list[str]:
    """A row under a header, in which the picture's column is one of two."""
    at = next(n for n, column in enumerate(header) if column in ("image", "file_name", "IMG"))
    row = ["7"] * len(header)
    row[at], row[1 if at == 0 else 0] = name, caption
    return row


@FASTER
@given(
    rows=st.sampled_from(names).flatmap(
        lambda names: st.lists(
            st.tuples(st.sampled_from(names), captions, st.sampled_from(("", '"', "both"))),
            max_size=8,
        )
    ),
    header=headers,
    delimiter=st.sampled_from(",;\t|"),
    encoding=encodings,
    end=ends,
    suffix=suffixes,
    ended=st.booleans(),
)
def test_rows_in_are_pairs_and_failures(
    rows: list[tuple[str, str, str]],
    header: tuple[str, ...],
    delimiter: str,
    encoding: str,
    end: str,
    suffix: str,
    ended: bool,
) -> None:
    """Values are joined as they are: some are quoted, some only begin so, most are not."""
    lines = [delimiter.join(header)]
    for name, caption, quote in rows:
        written = f'"{caption}"' if quote == "both" else quote + caption
        lines.append(delimiter.join(cells(header, name, written)))
    text = end.join(lines) + (end if ended else "")

    items = list(read_pairs(write(suffix, encode(text, encoding))))

    assert rows_in(items) == len(rows)
    named = {item.image for item in items if isinstance(item, PairFailure)}
    assert not any(end in name for name in named)


@FASTER
@given(
    rows=st.lists(st.tuples(st.sampled_from([*names[0], *names[1]]), spanning), max_size=8),
    header=headers,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC)),
    encoding=encodings,
    end=ends,
    suffix=suffixes,
)
def test_what_csv_writes_comes_back(
    rows: list[tuple[str, str]],
    header: tuple[str, ...],
    delimiter: str,
    quoting: int,
    encoding: str,
    end: str,
    suffix: str,
) -> None:
    # csv does not quote a line end that is not its own.
    assume(end != "\r" or quoting == csv.QUOTE_ALL or not any("\n" in text for _, text in rows))
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)  # type: ignore[arg-type]
    writer.writerow(header)
    writer.writerows(cells(header, name, caption) for name, caption in rows)

    items = list(read_pairs(write(suffix, encode(text.getvalue(), encoding)), images="."))

    assert rows_in(items) == len(rows)
    found = [
        (item.image.removeprefix("./"), caption)
        for item in items
        if isinstance(item, ImageCaption) and isinstance(item.image, str)
        for caption in item.captions
    ]
    sent = ((name, encode(caption, encoding).decode(encoding)) for name, caption in rows)
    assert found == [(name, caption.strip()) for name, caption in sent if not is_absent(caption)]


def parquet_bytes() -> bytes:
    file = io.BytesIO()
    image = {"bytes": b"x", "path": "a.jpg"}
    parquet.write_table(pa.table({"image": [image] * 3, "text": ["a", "b", "c"]}), file)
    return file.getvalue()


SEEDS = (
    b"",
    b'image,caption\na.jpg,"a dog"\nb.jpg,\xe9\xff\x81\n',
    "image\tcaption\r\na.jpg\té\r\n".encode("utf-16"),
    b'{"image": "a.jpg", "caption": "\\ud83d"}\n{"text": [[[1]]], "image": {"bytes": null}}\n',
    json.dumps([{"image": "a.jpg", "caption": ["a", {"raw": 3}], "id": 1e400}]).encode(),
    b'{"images": [{"id": 7, "file_name": "a.jpg"}], "annotations": [{"image_id": "7"}]}',
    b"a.jpg#0\ta dog\n",
    parquet_bytes(),
    gzip.compress(b"image,caption\na.jpg,a\n"),
)


@FASTER
@given(
    seed=st.sampled_from(SEEDS),
    at=st.integers(0, 2000),
    middle=st.binary(max_size=12),
    cut=st.integers(0, 40),
    suffix=st.sampled_from([*FILES, *(f"{suffix}.gz" for suffix in FILES), ".docx"]),
    packed=st.booleans(),
)
def test_any_bytes_are_read_or_refused_in_one_line(
    seed: bytes, at: int, middle: bytes, cut: int, suffix: str, packed: bool
) -> None:
    at = at % (len(seed) + 1)
    data = seed[:at] + middle + seed[at + cut :]
    source = f"s{suffix}"
    Path(source).write_bytes(gzip.compress(data)[: -cut or None] if packed else data)

    try:
        items = list(read_pairs(source))
        said = [str(item) for item in items if isinstance(item, Note)]
        said += [item.reason for item in items if isinstance(item, PairFailure)]
    except WrongInput as error:
        said = [str(error)]
    assert not [text for text in said if "\n" in text or "\x1b" in text]
    count_pairs(source)
