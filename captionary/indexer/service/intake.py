"""What a request brings, checked and put in the spool pair by pair; memory holds one at a time."""

import base64
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

import ijson  # type: ignore[import-untyped]
from PIL import Image
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from captionary.files.picture_formats import FORMATS
from captionary.indexer.pipeline import ID_DIGITS
from captionary.indexer.service.jobs import Accepted
from captionary.indexer.service.spool import Kept, Spool
from captionary.indexer.service.url_fetching import Fetcher
from captionary.schemas.bodies import PairBody
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.serving.limits import Limits
from captionary.serving.problems import Problem

FIELDS = ("image", "caption", "id", "source", "tag")
"""Of a form."""

MOST_VALUES = 1000
"""Values in a pair of a JSON body; nested brackets would fill the memory otherwise."""

PIECE = 1 << 20
"""Bytes, or characters of base64, written at a time."""


class Intake:
    """Takes pairs out of requests. Whoever asks for them discards the uploads if all fails.

    Its methods raise Problem (422) at the first thing that is wrong, in one line.
    """

    def __init__(self, spool: Spool, fetcher: Fetcher, limits: Limits) -> None:
        self._spool = spool
        self._fetcher = fetcher
        self._limits = limits

    def from_form(self, form: FormData) -> Iterator[Accepted]:
        """The one pair of a form."""
        try:
            upload = _only_file(form)
            texts = {name: _texts(form, name) for name in FIELDS if name != "image"}
            body = _checked(
                {
                    "captions": texts["caption"],
                    "id": _at_most_one(texts, "id") or None,
                    "source": _at_most_one(texts, "source"),
                    "tags": [tag for tag in texts["tag"] if tag],
                    "name": clean_name(upload.filename or "") or "picture",
                }
            )
            pieces = iter(lambda: upload.file.read(PIECE), b"")
            yield self._with_upload(body, pieces, body.name)
        except WrongInput as error:
            raise _refusal(str(error)) from error

    def from_json(self, file: IO[bytes]) -> Iterator[Accepted]:
        """The pairs of a JSON body."""
        number = -1
        try:
            for number, value in enumerate(_members(file)):
                if number >= self._limits.pairs:
                    raise _refusal(
                        f"the body has more than {self._limits.pairs} pairs; send fewer at a time"
                    )
                yield self._from_value(value, number)
        except WrongInput as error:
            raise _refusal(f"pair {number}: {error}") from error
        if number < 0:
            raise _refusal("the body has no pairs; give some")

    def _from_value(self, value: object, number: int) -> Accepted:
        body = _checked(value)
        name = clean_name(body.name)
        if body.image is not None and body.url is None:
            name = name or f"pair {number}"
            return self._with_upload(body, _from_base64(body.image), name)
        if body.url is None or body.image is not None:
            raise WrongInput("it needs either an image (base64) or a url")
        self._fetcher.check(body.url)
        return Accepted(
            name=name or body.url,
            captions=tuple(body.captions),
            id=body.id,
            image_id=body.id,
            source=body.source,
            tags=tuple(body.tags),
            url=body.url,
        )

    def _with_upload(self, body: PairBody, pieces: Iterator[bytes], name: str) -> Accepted:
        kept = self._spool.keep(pieces)
        try:
            _check_header(self._spool.path(kept.name), kept, name, self._limits.pixels)
        except BaseException:
            self._spool.discard([kept.name])
            raise
        return Accepted(
            name=name,
            captions=tuple(body.captions),
            id=body.id,
            image_id=body.id or kept.sha256[:ID_DIGITS],
            source=body.source,
            tags=tuple(body.tags),
            upload=kept.name,
            bytes=kept.bytes,
        )


def clean_name(name: str) -> str:
    """A file's name as told by a client, without folders and what cannot be shown."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable()).strip()[:255]


def _refusal(detail: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _only_file(form: FormData) -> UploadFile:
    if unknown := sorted(set(form) - {*FIELDS}):
        raise WrongInput(f"there is no field {unknown[0]!r}; there are {', '.join(FIELDS)}")
    files = form.getlist("image")
    if len(files) != 1 or not isinstance(files[0], UploadFile):
        raise WrongInput("it needs one field image, with a picture's file")
    return files[0]


def _texts(form: FormData, name: str) -> list[str]:
    texts = [value for value in form.getlist(name) if isinstance(value, str)]
    if len(texts) < len(form.getlist(name)):
        raise WrongInput(f"the field {name} must be text, not a file")
    return texts


def _at_most_one(texts: Mapping[str, Sequence[str]], name: str) -> str:
    if len(texts[name]) > 1:
        raise WrongInput(f"the field {name} is given {len(texts[name])} times; give it once")
    return texts[name][0] if texts[name] else ""


def _checked(value: object) -> PairBody:
    try:
        body = PairBody.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise WrongInput(f"{where}: {first['msg']}" if where else first["msg"]) from error
    if not any(text.strip() for text in body.captions):
        raise WrongInput("it has no caption; give at least one sentence")
    return body


def _members(file: IO[bytes]) -> Iterator[object]:
    """The members of {"pairs": [...]}, one at a time."""
    events = ijson.basic_parse(file, use_float=True)
    shape = 'the body must be {"pairs": [...]} and nothing else'
    try:
        opening = [("start_map", None), ("map_key", "pairs"), ("start_array", None)]
        if any(next(events, None) != expected for expected in opening):
            raise _refusal(shape)
        while (event := next(events)) != ("end_array", None):
            yield _built(event, events)
        if next(events) != ("end_map", None) or next(events, None) is not None:
            raise _refusal(shape)
    except (ijson.JSONError, ValueError) as error:
        raise _refusal(f"the body is not JSON: {_first_line(error)}") from error


def _built(event: tuple[str, Any], events: Iterator[tuple[str, Any]]) -> object:
    """The value that begins with an event."""
    builder, depth, count = ijson.ObjectBuilder(), 0, 0
    while True:
        builder.event(*event)
        depth += event[0].startswith("start_")
        depth -= event[0].startswith("end_")
        count += 1
        if not depth:
            value: object = builder.value
            return value
        if count > MOST_VALUES:
            raise _refusal(f"a pair has more than {MOST_VALUES} values; send fewer")
        event = next(events)


def _first_line(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return text.strip().split("\n")[0].rstrip(".")


def _from_base64(text: str) -> Iterator[bytes]:
    for start in range(0, len(text), PIECE):
        try:
            yield base64.b64decode(text[start : start + PIECE], validate=True)
        except ValueError as error:
            raise WrongInput(
                "its image is not base64; give the file's bytes, without line breaks"
            ) from error


def _check_header(path: Path, kept: Kept, name: str, most: int) -> None:
    """Refuse what is no picture, or too large a one, by the beginning of the file."""
    if not kept.bytes:
        raise UnreadablePicture(f"{name} is empty (0 bytes); send the picture again")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large sizes, on which we decide ourselves
        try:
            with Image.open(path, formats=FORMATS) as image:
                pixels = image.width * image.height
        except Image.DecompressionBombError:
            most = min(most, 2 * (Image.MAX_IMAGE_PIXELS or most))  # Pillow's own limit
            pixels = most + 1
        except Exception as error:  # decoders raise anything at all on foreign bytes
            raise UnreadablePicture(
                f"{name} is not a picture ({kept.bytes:,} bytes); give one of {', '.join(FORMATS)}"
            ) from error
    if pixels > most:
        raise UnreadablePicture(f"{name} has more than {most:,} pixels; make it smaller")
