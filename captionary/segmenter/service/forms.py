"""What a request to the segmenter brings: form fields, class list, box, picture, Accept header."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from fastapi import Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from captionary.schemas.arrays import Box
from captionary.schemas.classes import ClassName, parse_classes
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import DEFAULT_THRESHOLD, BackgroundMode, Fusion
from captionary.segmenter.segmenter import Settings
from captionary.serving.problems import Problem
from captionary.vision.pictures.loading import LoadedPicture, decode_picture

ResponseFormat: TypeAlias = Literal["json", "png", "overlay"]

MEDIA_TYPES: dict[ResponseFormat, str] = {
    "json": "application/json",
    "png": "image/png",
    "overlay": "image/jpeg",
}

MAX_NAME_LENGTH = 200
"""Characters of a class name. Splitting a word into tokens takes time by the square of them."""

MAX_EVIDENCE = 20
MAX_LABEL_LENGTH = 512
MAX_LIST_LENGTH = 1_000_000
"""Texts of a form have a greatest length also because pydantic then sees that they are Unicode: a
request may name an encoding that makes of bytes what no response could repeat."""

MAX_FIELDS, MAX_FIELD_SIZE = 100, 1 << 20
"""Of a form: text fields, and bytes of each."""

MULTIPART = "multipart/form-data"

UploadedPicture: TypeAlias = Annotated[
    UploadFile, Field(description="The picture: JPEG, PNG, WebP, BMP, TIFF or GIF.")
]

Label: TypeAlias = Annotated[str, Field(max_length=MAX_LABEL_LENGTH)]


class PictureForm(BaseModel):
    """A form with a picture; read-only."""

    model_config = ConfigDict(frozen=True)

    image: UploadedPicture


F = TypeVar("F", bound=PictureForm)


class SegmentForm(PictureForm):
    """The fields of `POST /v1/segment`."""

    classes: Annotated[
        str,
        Field(
            max_length=MAX_LIST_LENGTH,
            description="Class names, as in `road, sky, person: man | woman`.",
            examples=["road, sky, person: man | woman"],
        ),
    ]
    fusion: Annotated[
        Fusion, Field(description="What scores regions; `text` needs no dictionary.")
    ] = "both"
    background: Annotated[
        BackgroundMode, Field(description="What becomes of pixels that belong to no class.")
    ] = "none"
    threshold: Annotated[
        float, Field(ge=0, le=1, description="Background below this probability.")
    ] = DEFAULT_THRESHOLD
    refine: Annotated[bool, Field(description="Sharper borders, by the picture's colours.")] = False
    evidence: Annotated[
        int, Field(ge=0, le=MAX_EVIDENCE, description="Prototypes named for each region, at most.")
    ] = 0
    format: Annotated[
        ResponseFormat | None, Field(description="The form of the answer; else as `Accept` says.")
    ] = None

    @property
    def settings(self) -> Settings:
        """How to segment."""
        return Settings(
            fusion=self.fusion,
            background=self.background,
            threshold=self.threshold,
            evidence=self.evidence,
            refine=self.refine,
        )


class RetrieveForm(PictureForm):
    """The fields of `POST /v1/retrieve`."""

    box: Annotated[
        str | None,
        Field(
            max_length=MAX_LABEL_LENGTH,
            description="`x0,y0,x1,y1`: a part of the picture, in its pixels, half-open.",
            examples=["0,0,40,30"],
        ),
    ] = None
    noun: Annotated[Label | None, Field(description="Only what carries this noun.")] = None
    source: Annotated[Label | None, Field(description="Only regions of this source.")] = None
    tag: Annotated[Label | None, Field(description="Only regions with this tag.")] = None
    limit: Annotated[int, Field(ge=1, le=100, description="Nouns, and regions, at most.")] = 10


async def require_multipart(request: Request) -> None:
    """Dependency: the body is a multipart form (else 415)."""
    content_type = request.headers.get("Content-Type", "")
    if content_type.partition(";")[0].strip().lower() != MULTIPART:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is {content_type[:80] or 'of no named type'}; send a form as {MULTIPART}",
        )


@asynccontextmanager
async def parse_form(request: Request, kind: type[F]) -> AsyncIterator[F]:
    """Parse the form of a request, its picture in a temporary file that is removed on leaving.

    Raises:
        RequestValidationError: a field is missing, or has a wrong value.
    """
    # Were it a parameter of the route, FastAPI would read the body before it checks the key.
    form = request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_SIZE)
    async with form as fields:
        # Browsers send a field that nobody has filled in as an empty one.
        filled = {name: value for name, value in fields.items() if value != ""}
        try:
            parsed = kind.model_validate(filled)
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_input=False)) from error
        yield parsed


def openapi_request_body(kind: type[PictureForm]) -> dict[str, Any]:
    """A form as OpenAPI describes the body of a request."""
    content = {MULTIPART: {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def negotiate_format(form: SegmentForm, request: Request) -> ResponseFormat:
    """The format of the response: the form's field, or else as the Accept header prefers.

    Raises:
        Problem: the header accepts none of the formats (406).
    """
    if form.format is not None:
        return form.format
    accept = ",".join(request.headers.getlist("Accept"))
    by_media_type = {media_type: name for name, media_type in MEDIA_TYPES.items()}
    preferred = preferred_media_type(accept, list(by_media_type))
    if preferred is None:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE,
            f"Accept: {accept[:80]} takes none of {', '.join(by_media_type)}; name one of these",
        )
    return by_media_type[preferred]


MEDIA_RANGE = re.compile(r"([^\s/;,]+)/([^\s/;,]+)((?:\s*;[^;,]*)*)")
QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)
ANY_QUALITY = re.compile(r";\s*q\s*=", re.IGNORECASE)


def preferred_media_type(accept: str, offered: Sequence[str]) -> str | None:
    """Negotiate content (RFC 9110, section 12.5.1): the first of the best rated; None: none fits.

    Args:
        accept:  the header's value; a blank one accepts everything. Parts that are no media range
            are ignored, and so are parameters other than q.
        offered: media types in lower case, at least one.
    """
    if not accept.strip():
        return offered[0]
    qualities: dict[tuple[str, str], float] = {}
    for part in accept.split(","):
        match = MEDIA_RANGE.fullmatch(part.strip())
        if match is None:
            continue
        kind, subtype, parameters = match.groups()
        quality = QUALITY.search(parameters)
        if quality is None and ANY_QUALITY.search(parameters):
            continue
        media_range = (kind.lower(), subtype.lower())
        value = float(quality[1]) if quality else 1.0
        qualities[media_range] = max(value, qualities.get(media_range, 0.0))
    rated = {media_type: _quality(media_type, qualities) for media_type in offered}
    best = max(offered, key=rated.__getitem__)
    return best if rated[best] > 0 else None


def _quality(media_type: str, qualities: dict[tuple[str, str], float]) -> float:
    """The quality of the most specific range that includes a media type; 0 where none does."""
    kind, _, subtype = media_type.partition("/")
    for media_range in ((kind, subtype), (kind, "*"), ("*", "*")):
        if media_range in qualities:
            return qualities[media_range]
    return 0.0


def parse_class_list(text: str, *, limit: int) -> tuple[ClassName, ...]:
    """Parse the classes of a request; unlike the command line's they are never read from a file.

    Raises:
        WrongInput: it names a file, is empty or too long, or a name stands in it twice.
    """
    if text.lstrip().startswith("@"):
        raise WrongInput(
            "a class list that begins with @ would be a file of the service; send the names"
        )
    if len(text) > limit * MAX_NAME_LENGTH:
        raise WrongInput(
            f"the class list has {len(text):,} characters; ask for at most {limit} names at a time"
        )
    classes = parse_classes(text)
    names = [name for item in classes for name in item.prompts]
    if len(names) > limit:
        raise WrongInput(
            f"{len(names)} class names, with their synonyms, are more than the limit of {limit}; "
            "ask for fewer at a time"
        )
    if len(longest := max(names, key=len)) > MAX_NAME_LENGTH:
        raise WrongInput(
            f"the class name {longest[:40]!r}... has {len(longest)} characters; "
            f"give at most {MAX_NAME_LENGTH}"
        )
    return classes


BOX = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", re.ASCII)


def parse_box(text: str) -> Box:
    """Parse `x0,y0,x1,y1`, in pixels, half-open.

    Raises:
        WrongInput: it is not of this form.
    """
    match = BOX.fullmatch(text)
    if match is None:
        raise WrongInput(
            f"the box {text[:60]!r} is not x0,y0,x1,y1 in whole pixels, as in 0,0,40,30"
        )
    left, top, right, bottom = (int(edge) for edge in match.groups())
    return left, top, right, bottom


def decode_upload(upload: UploadFile, *, max_pixels: int) -> LoadedPicture:
    """Decode an uploaded picture.

    Raises:
        UnreadablePicture: it is empty, too large, damaged, or not a picture.
    """
    # The client's own path, and what could garble a log, is not for messages.
    filename = PurePosixPath(upload.filename or "").name
    name = "".join(letter for letter in filename if letter.isprintable()) or "the picture"
    return decode_picture(upload.file.read(), name=name, max_pixels=max_pixels)
