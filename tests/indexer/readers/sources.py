"""SOURCEs of every format, written for tests, and how they are read."""

import csv
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from captionary.indexer.readers import read_pairs
from captionary.schemas.notes import Note
from captionary.schemas.pairs import ImageCaption, PairFailure

Pairs = Sequence[tuple[str, Sequence[str]]]

PAIRS: Pairs = (
    ("a.jpg", ("A dog on a beach.", 'A "good" dog, running.')),
    ("b.png", ("Zwei Äpfel 🍎 neben einer Gabel",)),
    ("c.jpg", ("[a cat]", "a cat", "[1, 2]?")),
)


def write_json_lines(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.jsonl"
    lines = [json.dumps({"image": image, "captions": texts}) for image, texts in pairs]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_gzipped(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.jsonl.gz"
    path.write_bytes(gzip.compress(write_json_lines(folder, pairs).read_bytes()))
    return path


def write_delimited(path: Path, pairs: Pairs, *, delimiter: str) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["image", "caption"])
        writer.writerows([image, text] for image, texts in pairs for text in texts)
    return path


def write_csv(folder: Path, pairs: Pairs) -> Path:
    return write_delimited(folder / "captions.csv", pairs, delimiter=",")


def write_tsv(folder: Path, pairs: Pairs) -> Path:
    return write_delimited(folder / "captions.tsv", pairs, delimiter="\t")


def write_parquet(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.parquet"
    columns = {"image": [image for image, _ in pairs], "captions": [list(t) for _, t in pairs]}
    parquet.write_table(pa.table({**columns, "unknown": [0] * len(pairs)}), path)
    return path


def write_coco(folder: Path, pairs: Pairs) -> Path:
    path = folder / "captions.json"
    images = [{"id": 7 * n, "file_name": image} for n, (image, _) in enumerate(pairs)]
    texts = [(7 * n, text) for n, (_, texts) in enumerate(pairs) for text in texts]
    shuffled = sorted(texts, key=lambda numbered: -numbered[0])
    annotations = [{"id": n, "image_id": i, "caption": t} for n, (i, t) in enumerate(shuffled)]
    path.write_text(json.dumps({"images": images, "annotations": annotations}), encoding="utf-8")
    return path


def write_folder(folder: Path, pairs: Pairs) -> Path:
    for image, texts in pairs:
        (folder / image).touch()
        text = "\n".join(texts) + "\n"
        (folder / image).with_suffix(".txt").write_bytes(text.encode())
    return folder


Writer = Callable[[Path, Pairs], Path]
WRITERS: tuple[Writer, ...] = (
    write_json_lines,
    write_gzipped,
    write_csv,
    write_tsv,
    write_parquet,
    write_coco,
    write_folder,
)


def expected(folder: Path, pairs: Pairs) -> list[ImageCaption]:
    return [ImageCaption(f"{folder}/{image}", tuple(texts)) for image, texts in pairs]


def read(
    source: Path | str, *, images: str | None = None, source_name: str = ""
) -> list[ImageCaption | PairFailure]:
    items = read_pairs(str(source), images=images, source_name=source_name)
    return [item for item in items if not isinstance(item, Note)]


def nowhere(items: Sequence[ImageCaption | PairFailure]) -> list[ImageCaption | PairFailure]:
    return [replace(item, where="") for item in items]
