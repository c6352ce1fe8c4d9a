"""Rows of JSON: lines, or one document.

A document is COCO, Label Studio's export, the Karpathy split, a list of objects, or a mapping.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from captionary.files.picture_formats import is_picture
from captionary.indexer.readers.addresses import name_of, open_file, suffix_of
from captionary.indexer.readers.annotations.label_studio import is_label_studio, label_studio_rows
from captionary.indexer.readers.columns import advise, find_columns, list_names, shorten
from captionary.indexer.readers.rows import Row, Rows
from captionary.indexer.readers.tables.coco import coco_rows, is_coco
from captionary.indexer.readers.tables.json_lines import object_rows, read_json_lines
from captionary.indexer.readers.tables.text_lines import count_lines, head_lines, read_head
from captionary.schemas.errors import WrongInput, one_line
from captionary.schemas.pairs import PairFailure

OBJECT = "it is JSON but not an object in braces"


def read_json(source: str) -> Rows:
    """The rows of JSON Lines or of a JSON document, whichever the file holds; a document whole.

    Raises:
        WrongInput: it is neither, or holds no captions or regions of pictures.
    """
    head = read_head(source)
    if not _holds_lines(head, source):
        try:
            content = _read_document(source)
        except WrongInput:
            if suffix_of(source) == ".json":
                raise
        else:
            yield from _document_rows(content, source)
            return
    yield from read_json_lines(source, head)


def count_json(source: str) -> int | None:
    """How many rows there are; None as for `count_lines`."""
    if _holds_lines(read_head(source), source):
        return count_lines(source)
    rows = _document_rows(_read_document(source), source)
    return sum(isinstance(row, Row | PairFailure) for row in rows)


def _holds_lines(head: bytes, source: str) -> bool:
    """Whether a file is JSON Lines, by its suffix and how it begins: either suffix is used so."""
    lines = head_lines(head, source=source, cp1252=False)
    filled = [text for line in lines if (text := line.text.strip())]
    if suffix_of(source) != ".json":
        return not filled or not (filled[0].startswith("[") or filled[0] == "{")
    return len(filled) > 1 and filled[0].startswith("{") and filled[0].endswith("}")


def _read_document(source: str) -> object:
    try:
        with open_file(source) as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise WrongInput(f"{source} is not JSON: {one_line(error)}") from error


def _document_rows(content: object, source: str) -> Rows:
    name = name_of(source)
    if is_coco(content):
        return coco_rows(content, source)
    if is_label_studio(content):
        return label_studio_rows(content, source)
    if isinstance(content, list) and _holds_pairs(content):
        return _list_rows(content, name)
    if isinstance(content, dict):
        lists = [key for key, value in content.items() if _holds_pairs(value)]
        if len(lists) == 1:
            return _list_rows(content[lists[0]], f"{name}:{shorten(lists[0])}")
        if _holds_pairs([content]):
            return object_rows(name, _require_row(content, source))
        if any(map(is_picture, content)):
            return _mapping_rows(content, name)
    raise _refusal(content, source)


def _holds_pairs(content: object) -> bool:
    """Whether a list has an object with the columns of a pair."""
    return isinstance(content, list) and any(
        isinstance(item, dict) and find_columns(tuple(item)).complete for item in content
    )


def _list_rows(items: Iterable[object], name: str) -> Rows:
    for number, item in enumerate(items):
        yield from object_rows(
            f"{name}[{number}]", _karpathy(item) if isinstance(item, dict) else OBJECT
        )


def _karpathy(item: dict[str, Any]) -> dict[str, Any]:
    """An object of a list; in the Karpathy split `filepath` is the folder of `filename`."""
    if "sentences" not in item:
        return item
    folder, file = item.get("filepath"), item.get("filename")
    named = {"image": f"{folder}/{file}"} if isinstance(folder, str) and folder else {}
    split = item.get("split")
    return {**item, **named, "tags": item.get("tags", [split] if isinstance(split, str) else None)}


def _mapping_rows(content: Mapping[str, object], name: str) -> Rows:
    for image, value in content.items():
        values = value if isinstance(value, dict) else {"captions": value}
        yield from object_rows(f"{name}:{shorten(image)}", {"image": image, **values})


def _require_row(content: dict[str, Any], source: str) -> dict[str, Any]:
    """The one object of a document, unless it holds whole columns."""
    columns = find_columns(tuple(content))
    image = columns.pick(list(content.values()))["image"]
    if isinstance(image, dict | list):
        raise WrongInput(
            f"{source} is written column by column; write an object a row, in pandas with "
            "to_json(..., orient='records', lines=True)"
        )
    return content


def _refusal(content: object, source: str) -> WrongInput:
    found = content
    if isinstance(content, list):
        found = next((item for item in content if isinstance(item, dict)), {})
    names = tuple(found) if isinstance(found, dict) else ()
    seen = f", only: {list_names(names)}; {advise(names)}" if names else ""
    return WrongInput(
        f"{source} is not a COCO captions file, nor a list of objects with image and caption "
        f"(or regions){seen}; one pair a line goes in a .jsonl file"
    )
