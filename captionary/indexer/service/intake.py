"""The pairs of a request, validated and spooled one by one, so that memory holds one at a time."""

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import IO, Any, TypeVar

import ijson  # type: ignore[import-untyped]
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from captionary.indexer.pipeline import ID_DIGITS
from captionary.indexer.service.job_queue import JobQueue
from captionary.indexer.service.jobs import AcceptedJob, AcceptedPair, PairsKind
from captionary.indexer.service.picture_header import check_header
from captionary.indexer.service.request_bodies import FormFields, read_fields
from captionary.indexer.service.spool import Spool
from captionary.indexer.service.url_fetching import Fetcher
from captionary.schemas.bodies import PairBody
from captionary.schemas.correction_bodies import PointedBody
from captionary.schemas.errors import CaptionaryError, WrongInput
from captionary.serving.limits import Limits
from captionary.serving.problems import Problem
from captionary.serving.work_queue import WorkQueue
from captionary.vision.pictures.areas import check_area

BodyT = TypeVar("BodyT", bound=BaseModel)

REQUESTS, WAITING_REQUESTS = 2, 16
"""Requests whose pairs are validated and written at a time, and that may wait for it."""

FIELDS = ("caption", "regions", "id", "source", "tag")
"""Of a form, beside its picture."""

TEACHING_FIELDS = ("noun", "region", "not", "source")
"""Of a form that points at one area, likewise."""

MOST_VALUES = 20_000
"""Values in a pair of a JSON body: deep brackets would fill the memory otherwise."""

PIECE = 1 << 20
"""Bytes, or characters of base64, written at a time."""


class Intake:
    """Takes the pairs out of requests, spools their pictures, and queues them as one job.

    All pairs of a request are queued or, where one of them is wrong, none, and then nothing of
    them is left in the spool. Between `open` and `close` a few requests are worked at together.

    Its methods raise Problem: 422 at the first thing that is wrong, in one line; 429 or 503 when
    too much waits.
    """

    def __init__(self, spool: Spool, queue: JobQueue, fetcher: Fetcher, limits: Limits) -> None:
        self._spool = spool
        self._queue = queue
        self._fetcher = fetcher
        self._limits = limits
        self._requests: WorkQueue | None = None

    def open(self) -> None:
        """Start the threads that work at requests."""
        self._requests = WorkQueue(workers=REQUESTS, waiting=WAITING_REQUESTS)

    def close(self) -> None:
        """Wait for the requests at work; those that wait are cancelled."""
        if self._requests is not None:
            self._requests.close()
            self._requests = None

    def check_room(self) -> None:
        """Check that another request may come, before it is read.

        Raises:
            Problem: too much is waiting (429).
            DiskFull: there is too little space for the longest request and its pictures.
        """
        self._queue.check_room(pairs=1, size=0)
        self._spool.check_room(2 * self._limits.body)

    async def accept_form(self, form: FormData, *, kind: PairsKind) -> AcceptedJob:
        """Queue the one pair of a form; `kind` as `JobQueue.add_pairs`."""
        return await self._accept(self._read_form(form), kind)

    async def accept_teaching(self, form: FormData) -> AcceptedJob:
        """Queue the picture of a form in which one area is pointed at."""
        return await self._accept(self._read_teaching(form), "teaching")

    async def accept_json(self, stream: AsyncIterator[bytes], *, kind: PairsKind) -> AcceptedJob:
        """Queue the pairs of a JSON body, which comes in pieces; `kind` likewise."""
        with self._spool.open_temporary() as body:
            async for piece in stream:
                await run_in_threadpool(body.write, piece)
            await run_in_threadpool(body.seek, 0)
            return await self._accept(self._read_json(body), kind)

    async def _accept(self, pairs: Iterator[AcceptedPair], kind: PairsKind) -> AcceptedJob:
        if self._requests is None:
            raise CaptionaryError("the indexer is ending; send it again")
        return await self._requests.run(self._queue_all, pairs, kind)

    def _queue_all(self, pairs: Iterator[AcceptedPair], kind: PairsKind) -> AcceptedJob:
        accepted: list[AcceptedPair] = []
        try:
            accepted.extend(pairs)
            # Before the job is accepted, so that no power cut leaves it without its pictures.
            self._spool.sync()
            return AcceptedJob(self._queue.add_pairs(accepted, kind), len(accepted))
        except BaseException:
            self._spool.remove(pair.upload for pair in accepted if pair.upload)
            raise

    def _read_form(self, form: FormData) -> Iterator[AcceptedPair]:
        try:
            fields = read_fields(form, FIELDS)
            upload = fields.upload
            body = _validate_pair(
                {
                    "captions": fields.texts["caption"],
                    "regions": from_json("regions", fields.one("regions") or "[]"),
                    "id": fields.one("id") or None,
                    "source": fields.one("source"),
                    "tags": [tag for tag in fields.texts["tag"] if tag],
                    "name": clean_name(upload.filename or "") or "picture",
                }
            )
            pieces = iter(lambda: upload.file.read(PIECE), b"")
            yield self._spool_picture(body, pieces, body.name)
        except WrongInput as error:
            raise unprocessable(str(error)) from error

    def _read_teaching(self, form: FormData) -> Iterator[AcceptedPair]:
        try:
            fields = read_fields(form, TEACHING_FIELDS)
            upload = fields.upload
            body = _validate_pair(
                {
                    "regions": [_read_pointed(fields)],
                    "source": fields.one("source"),
                    "name": clean_name(upload.filename or "") or "picture",
                }
            )
            pieces = iter(lambda: upload.file.read(PIECE), b"")
            yield self._spool_picture(body, pieces, body.name)
        except WrongInput as error:
            raise unprocessable(str(error)) from error

    def _read_json(self, file: IO[bytes]) -> Iterator[AcceptedPair]:
        number = -1
        try:
            for number, value in enumerate(_stream_pairs(file)):
                if number >= self._limits.pairs:
                    raise unprocessable(
                        f"the body has more than {self._limits.pairs} pairs; send fewer at a time"
                    )
                yield self._accept_pair(value, number)
        except WrongInput as error:
            raise unprocessable(f"pair {number}: {error}") from error
        if number < 0:
            raise unprocessable("the body has no pairs; give some")

    def _accept_pair(self, value: object, number: int) -> AcceptedPair:
        body = _validate_pair(value)
        name = clean_name(body.name)
        if body.image is not None and body.url is None:
            name = name or f"pair {number}"
            return self._spool_picture(body, _decode_base64(body.image), name)
        if body.url is None or body.image is not None:
            raise WrongInput("it needs either an image (base64) or a url")
        self._fetcher.check(body.url)
        return AcceptedPair(
            name=name or body.url,
            captions=tuple(body.captions),
            id=body.id,
            image_id=body.id,
            source=body.source,
            tags=tuple(body.tags),
            url=body.url,
            regions=tuple(body.regions),
        )

    def _spool_picture(self, body: PairBody, pieces: Iterator[bytes], name: str) -> AcceptedPair:
        spooled = self._spool.write(pieces)
        try:
            check_header(self._spool.path(spooled.name), name, most_pixels=self._limits.pixels)
        except BaseException:
            self._spool.remove([spooled.name])
            raise
        return AcceptedPair(
            name=name,
            captions=tuple(body.captions),
            id=body.id,
            image_id=body.id or spooled.sha256[:ID_DIGITS],
            source=body.source,
            tags=tuple(body.tags),
            upload=spooled.name,
            bytes=spooled.bytes,
            regions=tuple(body.regions),
        )


def clean_name(name: str) -> str:
    """The file name that a client sent, without folders and what cannot be shown."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(letter for letter in last if letter.isprintable()).strip()[:255]


def unprocessable(detail: str) -> Problem:
    """What is wrong in a request (422)."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def validated(model: type[BodyT], value: object) -> BodyT:
    """A value as a body. Raises WrongInput: it is none; names what is wrong first."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise WrongInput(f"{where}: {first['msg']}" if where else first["msg"]) from error


def _read_pointed(fields: FormFields) -> PointedBody:
    """The one area of a form, its noun, and whether it is not that."""
    area, refused = from_json("region", fields.one("region") or "null"), fields.one("not")
    if not isinstance(area, dict) or {"noun", "not", "refused"} & area.keys():
        raise WrongInput('region: give one area, such as {"box": [x, y, width, height]}')
    if refused not in ("", "true", "false"):
        raise WrongInput(f"not is {refused!r}; give true or false")
    return validated(PointedBody, {**area, "noun": fields.one("noun"), "not": refused == "true"})


def _validate_pair(value: object) -> PairBody:
    body = validated(PairBody, value)
    if not body.regions and not any(text.strip() for text in body.captions):
        raise WrongInput("it has no caption; give at least one sentence, or regions")
    for number, region in enumerate(body.regions):
        try:
            check_area(region.area)
        except WrongInput as error:
            raise WrongInput(f"regions.{number}: {error}") from error
    return body


def from_json(name: str, text: str | bytes) -> Any:
    """A value of JSON. Raises WrongInput: it is none; calls it by `name`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise WrongInput(f"{name} is not JSON: {_first_line(error)}") from error


def _stream_pairs(file: IO[bytes]) -> Iterator[object]:
    """Parse {"pairs": [...]} as a stream, and yield one pair at a time."""
    events = ijson.basic_parse(file, use_float=True)
    shape = 'the body must be {"pairs": [...]} and nothing else'
    try:
        start = [("start_map", None), ("map_key", "pairs"), ("start_array", None)]
        if any(next(events, None) != expected for expected in start):
            raise unprocessable(shape)
        while (event := next(events)) != ("end_array", None):
            yield _build_value(event, events)
        if next(events) != ("end_map", None) or next(events, None) is not None:
            raise unprocessable(shape)
    except (ijson.JSONError, ValueError) as error:
        raise unprocessable(f"the body is not JSON: {_first_line(error)}") from error


def _build_value(event: tuple[str, Any], events: Iterator[tuple[str, Any]]) -> object:
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
            raise unprocessable(f"a pair has more than {MOST_VALUES} values; send fewer")
        event = next(events)


def _first_line(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    return text.strip().split("\n")[0].rstrip(".")


def _decode_base64(text: str) -> Iterator[bytes]:
    if text.startswith("data:"):
        raise WrongInput("its image is a data URI; send only what follows 'base64,' in it")
    # PIECE is a multiple of four, so that every piece is base64 by itself.
    for start in range(0, len(text), PIECE):
        try:
            yield base64.b64decode(text[start : start + PIECE], validate=True)
        except ValueError as error:
            raise WrongInput(
                "its image is not base64; give the file's bytes, without line breaks"
            ) from error
