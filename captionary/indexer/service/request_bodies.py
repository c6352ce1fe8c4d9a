"""Bodies of requests: their types, and the fields of a form, which are one picture and texts."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from captionary.schemas.errors import WrongInput
from captionary.serving.problems import Problem

MAX_FIELDS, MAX_FIELD_BYTES = 250, 1 << 20
"""Of a form: text fields, and bytes of each."""

FORM, JSON = "multipart/form-data", "application/json"


def body_type(request: Request) -> str:
    """Its media type: FORM or JSON.

    Raises:
        Problem: it is another (415).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (FORM, JSON):
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the body is {kind or 'of no type'}; send {FORM} or {JSON}",
        )
    return kind


@asynccontextmanager
async def open_form(request: Request) -> AsyncIterator[FormData]:
    """The form that a request brings; its files are gone when it is left."""
    form = request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    async with form as fields:
        yield fields


@dataclass(frozen=True, slots=True)
class FormFields:
    """A form that has a picture, and no fields but those named.

    texts: by the name of each field, also of those that are not there.
    """

    upload: UploadFile
    texts: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """The text of a field; "" where it is not there. Raises WrongInput: it is there twice."""
        found = self.texts[name]
        if len(found) > 1:
            raise WrongInput(f"the field {name} is given {len(found)} times; give it once")
        return found[0] if found else ""


def read_fields(form: FormData, names: Collection[str]) -> FormFields:
    """Sort the fields of a form; `names`: of its texts.

    Raises:
        WrongInput: it has no picture, or other fields, or a file in place of a text.
    """
    if unknown := sorted(set(form) - {"image", *names}):
        raise WrongInput(
            f"there is no field {unknown[0]!r}; there are {', '.join(('image', *names))}"
        )
    files = form.getlist("image")
    if len(files) != 1 or not isinstance(files[0], UploadFile):
        raise WrongInput("it needs one field image, with a picture's file")
    return FormFields(files[0], {name: _texts(form, name) for name in names})


def _texts(form: FormData, name: str) -> list[str]:
    texts = [value for value in form.getlist(name) if isinstance(value, str)]
    if len(texts) < len(form.getlist(name)):
        raise WrongInput(f"the field {name} must be text, not a file")
    return texts
