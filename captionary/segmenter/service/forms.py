"""What is asked of the segmenter over HTTP: the fields of its forms, and how they are read."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from fastapi import Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from captionary.schemas.classes import ClassName, parse_classes
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import DEFAULT_THRESHOLD, BackgroundMode, Fusion
from captionary.segmenter.segmenter import Settings
from captionary.segmenter.service.content_negotiation import preferred
from captionary.serving.problems import Problem
from captionary.vision.pictures.loading import LoadedPicture, decode_picture

AnswerFormat: TypeAlias = Literal["json", "png", "overlay"]

MEDIA_TYPES: dict[AnswerFormat, str] = {
    "json": "application/json",
    "png": "image/png",
    "overlay": "image/jpeg",
}

LONGEST_NAME = 200
"""Characters of a class name. Splitting a word into tokens takes time by the square of them."""

MOST_EVIDENCE = 20
LONGEST_LABEL = 512
LONGEST_LIST = 1_000_000
"""Texts of a form have a greatest length also because pydantic then sees that they are Unicode: a
request may name an encoding that makes of bytes what no answer could repeat."""

MOST_FIELDS, LARGEST_FIELD = 100, 1 << 20
"""Of a form: text fields, and bytes of each."""

MULTIPART = "multipart/form-data"

Picture: TypeAlias = Annotated[
    UploadFile, Field(description="The picture: JPEG, PNG, WebP, BMP, TIFF or GIF.")
]

Label: TypeAlias = Annotated[str, Field(max_length=LONGEST_LABEL)]


class PictureForm(BaseModel):
    """A form with a picture; read-only."""

    model_config = ConfigDict(frozen=True)

    image: Picture


F = TypeVar("F", bound=PictureForm)


class SegmentForm(PictureForm):
    """The fields of `POST /v1/segment`."""

    classes: Annotated[
        str,
        Field(
            max_length=LONGEST_LIST,
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
        int, Field(ge=0, le=MOST_EVIDENCE, description="Prototypes named for each region, at most.")
    ] = 0
    format: Annotated[
        AnswerFormat | None, Field(description="The form of the answer; else as `Accept` says.")
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
            max_length=LONGEST_LABEL,
            description="`x0,y0,x1,y1`: a part of the picture, in its pixels, half-open.",
            examples=["0,0,40,30"],
        ),
    ] = None
    noun: Annotated[Label | None, Field(description="Only what carries this noun.")] = None
    source: Annotated[Label | None, Field(description="Only regions of this source.")] = None
    tag: Annotated[Label | None, Field(description="Only regions with this tag.")] = None
    limit: Annotated[int, Field(ge=1, le=100, description="Nouns, and regions, at most.")] = 10


async def multipart(request: Request) -> None:
    """Let a request pass that brings a multipart form."""
    given = request.headers.get("Content-Type", "")
    if given.partition(";")[0].strip().lower() != MULTIPART:
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is {given[:80] or 'of no named type'}; send a form as {MULTIPART}",
        )


@asynccontextmanager
async def form_of(request: Request, kind: type[F]) -> AsyncIterator[F]:
    """Read the form of a request, its picture to a file that goes when this is left.

    Left to FastAPI, it would be read before anybody asks for a key.

    Raises:
        RequestValidationError: a field is missing, or is not what it may be.
    """
    form = request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=LARGEST_FIELD)
    async with form as fields:
        # Browsers send a field that nobody has filled in as an empty one.
        given = {name: value for name, value in fields.items() if value != ""}
        try:
            read = kind.model_validate(given)
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_input=False)) from error
        yield read


def described(kind: type[PictureForm]) -> dict[str, Any]:
    """A form as OpenAPI describes the body of a request."""
    content = {MULTIPART: {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def answer_format(form: SegmentForm, request: Request) -> AnswerFormat:
    """The form of answer that is asked for.

    Raises:
        Problem: there is none of these.
    """
    if form.format is not None:
        return form.format
    accept = ",".join(request.headers.getlist("Accept"))
    by_type = {media: name for name, media in MEDIA_TYPES.items()}
    found = preferred(accept, list(by_type))
    if found is None:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE,
            f"Accept: {accept[:80]} takes none of {', '.join(by_type)}; name one of these",
        )
    return by_type[found]


def read_class_list(text: str, *, most: int) -> tuple[ClassName, ...]:
    """The classes of a request, never of a file.

    Raises:
        WrongInput: it names a file, is empty or too long, or a name stands in it twice.
    """
    if text.lstrip().startswith("@"):
        raise WrongInput(
            "a class list that begins with @ would be a file of the service; send the names"
        )
    if len(text) > most * LONGEST_NAME:
        raise WrongInput(
            f"the class list has {len(text):,} characters; ask for at most {most} names at a time"
        )
    classes = parse_classes(text)
    names = [name for item in classes for name in item.prompts]
    if len(names) > most:
        raise WrongInput(
            f"{len(names)} class names, with their synonyms, are more than the limit of {most}; "
            "ask for fewer at a time"
        )
    if len(longest := max(names, key=len)) > LONGEST_NAME:
        raise WrongInput(
            f"the class name {longest[:40]!r}... has {len(longest)} characters; "
            f"give at most {LONGEST_NAME}"
        )
    return classes


def read_upload(image: UploadFile, *, most_pixels: int) -> LoadedPicture:
    """Decode an uploaded picture.

    Raises:
        UnreadablePicture: it is empty, too large, damaged, or not a picture.
    """
    given = PurePosixPath(image.filename or "").name
    name = "".join(letter for letter in given if letter.isprintable()) or "the picture"
    return decode_picture(image.file.read(), name=name, max_pixels=most_pixels)
