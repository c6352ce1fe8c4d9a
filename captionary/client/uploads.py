"""Encodes what is sent: pictures as form files, and captioned pictures as JSON in batches."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, Any, TypeAlias

from pydantic import ValidationError

from captionary.schemas.bodies import PairBody
from captionary.schemas.errors import WrongInput, one_line, readable

Image: TypeAlias = str | PathLike[str] | bytes | IO[bytes]
"""A picture: the path of its file, its bytes, or a file open for reading."""

MAX_BATCH_PAIRS = 100
MAX_BATCH_BYTES = 8 << 20
"""Limits of one request of `add_many`: pairs, and bytes of their JSON."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A captioned picture to add.

    image:    a picture, or its URL (http://, https://) where the indexer may fetch from there.
    captions: one or more sentences; with regions there need not be any.
    id:       your own name for the picture; None: derived from its content.
    source:   the collection it belongs to, for filtering and removal.
    tags:     free labels, for filtering.
    regions:  areas whose noun is certain, as `{"noun": "dog", "box": [x, y, width, height]}`.
    """

    image: Image
    captions: str | Sequence[str] = ()
    id: str | None = None
    source: str = ""
    tags: Sequence[str] = ()
    regions: Sequence[Mapping[str, Any]] = ()


def form_file(image: Image) -> dict[str, tuple[str, bytes]]:
    """A picture as the file `image` of a multipart form."""
    name, content = _read_picture(image)
    # A part without a file name would be a text field, not a file.
    return {"image": (name or "picture", content)}


def encode_pair(pair: Pair) -> str:
    """A pair as JSON, its picture in base64.

    Raises:
        WrongInput: the picture cannot be read, or the indexer would refuse the pair.
    """
    captions = [pair.captions] if isinstance(pair.captions, str) else list(pair.captions)
    if not captions and not pair.regions:
        raise WrongInput("a pair cannot be sent: it has neither captions nor regions")
    picture: dict[str, str]
    if isinstance(pair.image, str) and pair.image.startswith(("http://", "https://")):
        picture = {"url": pair.image}
    else:
        name, content = _read_picture(pair.image)
        picture = {"image": base64.b64encode(content).decode(), "name": name}
    fields: dict[str, Any] = {
        "captions": captions,
        "id": pair.id,
        "source": pair.source,
        "tags": [*pair.tags],
        "regions": [*pair.regions],
    }
    try:
        return PairBody.model_validate(fields | picture).model_dump_json(by_alias=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongInput(
            f"a pair cannot be sent: {first['loc'][0]}: {first['msg']} ({captions[:1]})"
        ) from error


def encode_batches(pairs: Iterable[Pair]) -> Iterator[list[str]]:
    """Pairs as JSON, grouped into batches within the limits of a request."""
    batch: list[str] = []
    size = 0
    for pair in pairs:
        encoded = encode_pair(pair)
        if batch and (len(batch) == MAX_BATCH_PAIRS or size + len(encoded) > MAX_BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(encoded)
        size += len(encoded)
    if batch:
        yield batch


def _read_picture(image: Image) -> tuple[str, bytes]:
    """The name of a picture's file, "" where it has none, and its bytes.

    Raises:
        WrongInput: its file cannot be read.
    """
    if isinstance(image, bytes):
        return "", image
    if isinstance(image, str | PathLike):
        path = Path(image)
        try:
            return readable(path.name), path.read_bytes()
        except OSError as error:
            raise WrongInput(f"cannot read the picture {path}: {one_line(error)}") from error
    return "", image.read()
