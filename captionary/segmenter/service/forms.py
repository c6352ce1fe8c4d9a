"""What a request to the segmenter brings: form fields, class list, box, picture."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from fastapi import Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from captionary.schemas.arrays import Box
from captionary.schemas.classes import ClassName, parse_classes, to_classes
from captionary.schemas.errors import UnreadablePicture, WrongInput
from captionary.schemas.options import (
    DEFAULT_FUSION,
    DEFAULT_THRESHOLD,
    BackgroundMode,
    Fusion,
    witnesses_of,
)
from captionary.segmenter.kinds.table import to_kinds
from captionary.segmenter.segmenter import Settings
from captionary.segmenter.service.negotiation import ResponseFormat
from captionary.serving.problems import Problem
from captionary.vision.pictures.loading import LoadedPicture, decode_picture

MAX_NAME_LENGTH = 200
"""Characters of a class name. Splitting a word into tokens takes time by the square of them."""

BETWEEN_NAMES = 4
"""Characters that a list has for each name besides, as JSON has quotes, a comma and a blank."""

MAX_EVIDENCE = 20
MAX_LABEL_LENGTH = 512
MAX_LIST_LENGTH = 1_000_000
"""Texts of a form have a greatest length also because pydantic then sees that they are Unicode: a
request may name an encoding that makes of bytes what no response could repeat."""

MAX_FIELDS, MAX_FIELD_SIZE = 1000, 1 << 20
"""Of a form: text fields, and bytes of each."""

MULTIPART = "multipart/form-data"
AS_A_FILE = (
    f"send the picture's bytes as a file of {MULTIPART}, as curl does with -F image=@dog.jpg"
)

BASE64 = re.compile(rb"\s*(?:data:[\w/+.-]*;base64,)?(?:/9j/|iVBORw0KGgo|R0lGOD|UklGR|SUkqA|TU0AK)")
"""How a picture in base64 begins: JPEG, PNG, GIF, WebP, TIFF."""

UploadedPicture: TypeAlias = Annotated[
    UploadFile, Field(description="The picture: JPEG, PNG, WebP, BMP, TIFF or GIF.")
]

Label: TypeAlias = Annotated[str, Field(max_length=MAX_LABEL_LENGTH)]


class PictureForm(BaseModel):
    """A form with a picture; read-only.

    repeated: the fields that may be given several times.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    repeated: ClassVar[frozenset[str]] = frozenset()

    image: UploadedPicture


F = TypeVar("F", bound=PictureForm)


def _known_fusion(fusion: Fusion) -> Fusion:
    try:
        witnesses_of(fusion)
    except WrongInput as error:
        raise ValueError(str(error)) from error
    return fusion


class SegmentForm(PictureForm):
    """The fields of `POST /v1/segment`."""

    repeated = frozenset({"classes"})

    classes: Annotated[
        list[Annotated[str, Field(max_length=MAX_LIST_LENGTH)]],
        Field(
            min_length=1,
            description="Class names, as in `road, sky, person: man | woman`, or a JSON list of "
            "them; given several times, each is one class.",
            examples=[["road, sky, person: man | woman"]],
        ),
    ]
    fusion: Annotated[
        Fusion,
        AfterValidator(_known_fusion),
        Field(
            description="What scores regions: `text` (needs no dictionary), `calibrated`, "
            "`prototypes`, `both`, `all`, or some of `text`, `neighbours`, `prototypes`, "
            "`captions` joined by +.",
            max_length=MAX_LABEL_LENGTH,
        ),
    ] = DEFAULT_FUSION
    background: Annotated[
        BackgroundMode, Field(description="What becomes of pixels that belong to no class.")
    ] = "none"
    threshold: Annotated[
        float, Field(ge=0, le=1, description="Background below this probability.")
    ] = DEFAULT_THRESHOLD
    refine: Annotated[bool, Field(description="Sharper borders, by the picture's colours.")] = False
    exact: Annotated[
        bool, Field(description="Classes take the nouns that they name, and no kinds of them.")
    ] = False
    kinds: Annotated[
        str,
        Field(
            max_length=MAX_LIST_LENGTH,
            description="Kinds of your own, before those of WordNet: `furniture: bench, sofa`, a "
            "line for each class, or a JSON object.",
            examples=['{"furniture": ["bench", "sofa"]}'],
        ),
    ] = ""
    evidence: Annotated[
        int, Field(ge=0, le=MAX_EVIDENCE, description="Prototypes named for each region, at most.")
    ] = 0
    format: Annotated[
        ResponseFormat | None, Field(description="The form of the answer; else as `Accept` says.")
    ] = None

    @property
    def settings(self) -> Settings:
        """How to segment.

        Raises:
            WrongInput: the table of kinds cannot be used.
        """
        return Settings(
            fusion=self.fusion,
            background=self.background,
            threshold=self.threshold,
            evidence=self.evidence,
            refine=self.refine,
            exact=self.exact,
            kinds=to_kinds(self.kinds),
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
    noun: Annotated[
        Label | None, Field(description="Only what carries this noun, in any spelling.")
    ] = None
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
        Problem: the form has a field that it should not have, twice, or as a text (422).
        RequestValidationError: a field is missing, or has a wrong value.
    """
    fields = await _read_form(request)
    try:
        filled = _filled_fields(fields, kind)
        try:
            parsed = kind.model_validate(filled)
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_input=False)) from error
        yield parsed
    finally:
        await fields.close()


async def _read_form(request: Request) -> FormData:
    # Were it a parameter of the route, FastAPI would read the body before it checks the key.
    try:
        return await request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_SIZE)
    except HTTPException as error:
        if "maximum size" not in error.detail:
            raise
        raise Problem(
            error.status_code, f"{error.detail} Send a picture as a file: {AS_A_FILE}"
        ) from error


def _filled_fields(fields: FormData, kind: type[PictureForm]) -> dict[str, Any]:
    """The values of a form by their fields' names, as `kind` takes them.

    Raises:
        Problem: as `parse_form`.
    """
    filled: defaultdict[str, list[Any]] = defaultdict(list)
    for name, value in fields.multi_items():
        # Browsers send a field that nobody has filled in as an empty one.
        if value != "":
            filled[name].append(value)
    known = list(kind.model_fields)
    for name, values in filled.items():
        if name not in known:
            near = get_close_matches(name.lower(), known, n=1)
            meant = f"; do you mean {near[0]}?" if near else ";"
            raise _unusable(f"there is no field {name[:40]!a}{meant} known: {', '.join(known)}")
        if len(values) > 1 and name not in kind.repeated:
            raise _unusable(f"{name}: given {len(values)} times; give it once")
    if isinstance(text := next(iter(filled["image"]), None), str):
        raise _unusable(f"image: it is {_kind_of_text(text)}, not a file; {AS_A_FILE}")
    return {
        name: values if name in kind.repeated else values[0]
        for name, values in filled.items()
        if values
    }


def _unusable(detail: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def _kind_of_text(text: str) -> str:
    if text[:5].lower() == "data:":
        return "a data URI"
    if re.match(r"(?i)https?://", text):
        return "an address, which is not fetched"
    if BASE64.match(text.encode("utf-8", "replace")[:200]):
        return "text that looks like base64"
    return "text"


def openapi_request_body(kind: type[PictureForm]) -> dict[str, Any]:
    """A form as OpenAPI describes the body of a request."""
    content = {MULTIPART: {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def parse_class_list(texts: Sequence[str], *, limit: int) -> tuple[ClassName, ...]:
    """Parse the classes of a request; unlike the command line's they are never read from a file.

    texts: one class list, or several classes.

    Raises:
        WrongInput: it names a file, is empty or too long, may mean several things, or a name stands
            in it twice.
    """
    if any(text.lstrip().startswith("@") for text in texts):
        raise WrongInput(
            "a class list that begins with @ would be a file of the service; send the names"
        )
    length = sum(map(len, texts))
    if length > limit * (MAX_NAME_LENGTH + BETWEEN_NAMES):
        raise WrongInput(
            f"the class list has {length:,} characters; ask for at most {limit} names at a time"
        )
    classes = parse_classes(texts[0]) if len(texts) == 1 else to_classes(texts)
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
    content = upload.file.read()
    # The client's own path, and what could garble a log, is not for messages.
    filename = PurePosixPath(upload.filename or "").name
    name = "".join(letter for letter in filename if letter.isprintable()) or "the picture"
    if BASE64.match(content[:200]):
        raise UnreadablePicture(f"{name} is a picture in base64; decode it, and send the bytes")
    return decode_picture(content, name=name, max_pixels=max_pixels)
