"""What is sent: pictures, and captioned pictures in batches."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import IO, TypeAlias

from pydantic import ValidationError

from captionary.schemas.bodies import PairBody
from captionary.schemas.errors import WrongInput

Image: TypeAlias = str | PathLike[str] | bytes | IO[bytes]
"""A picture: the path of its file, its bytes, or a file open for reading."""

MOST_PAIRS = 100
MOST_BYTES = 8 << 20
"""Of a request by `add_many`: pairs, and bytes of their pictures as base64."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A captioned picture to add.

    image:  a picture, or its address (http://, https://) where the indexer may fetch from there.
    id:     your own name for the picture; None: derived from its content.
    source: the collection it belongs to, for filtering and removal.
    tags:   free labels, for filtering.
    """

    image: Image
    captions: str | Sequence[str]
    id: str | None = None
    source: str = ""
    tags: Sequence[str] = ()


def upload(image: Image) -> dict[str, tuple[str, bytes]]:
    """A picture as the file of a form."""
    name, content = _read_picture(image)
    # A part without a file name would be a field, not a file.
    return {"image": (name or "picture", content)}


def pair_body(pair: Pair) -> PairBody:
    """A pair as it travels.

    Raises:
        WrongInput: the indexer would refuse it.
    """
    captions = [pair.captions] if isinstance(pair.captions, str) else list(pair.captions)
    picture: dict[str, str]
    if isinstance(pair.image, str) and pair.image.startswith(("http://", "https://")):
        picture = {"url": pair.image}
    else:
        name, content = _read_picture(pair.image)
        picture = {"image": base64.b64encode(content).decode(), "name": name}
    words = {"captions": captions, "id": pair.id, "source": pair.source, "tags": [*pair.tags]}
    try:
        return PairBody.model_validate(words | picture)
    except ValidationError as error:
        first = error.errors()[0]
        raise WrongInput(
            f"a pair cannot be sent: {first['loc'][0]}: {first['msg']} ({captions[:1]})"
        ) from error


def batches(pairs: Iterable[Pair]) -> Iterator[list[str]]:
    """Pairs as JSON, as many at a time as a request may have."""
    batch: list[str] = []
    size = 0
    for pair in pairs:
        body = pair_body(pair).model_dump_json()
        if batch and (len(batch) == MOST_PAIRS or size + len(body) > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(body)
        size += len(body)
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
            return path.name, path.read_bytes()
        except OSError as error:
            raise WrongInput(f"cannot read the picture {path}: {error.strerror}") from error
    return "", image.read()
