"""Requests made up from the OpenAPI documents: no fault, and no answer but those described."""

import base64
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import pytest
import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis.specs.openapi.checks import negative_data_rejection

from captionary.client import Client
from tests.client.services import both_services

Case: TypeAlias = schemathesis.Case[Any]
Test = TypeVar("Test", bound=Callable[..., None])

DOCUMENTS = Path(__file__).parents[2] / "docs" / "openapi"
KEY = "a-key-of-the-tests-0123456789"
KNOWN_JOB = "a-job-that-is-done"
FORM = "multipart/form-data"
FEW, MANY = 10, 200
"""Requests made up for a route, besides those at the limits of what it takes."""


def _png() -> bytes:
    """A small picture with an edge in it."""
    pixels = np.zeros((30, 40, 3), np.uint8)
    pixels[10:25, 5:30] = 200, 90, 20
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PICTURES = st.one_of(st.just(_png()), st.binary(max_size=99))
schemathesis.openapi.format("picture", PICTURES)
schemathesis.openapi.format("picture64", PICTURES.map(lambda it: base64.b64encode(it).decode()))


@pytest.fixture(scope="module")
def pictures(scenes: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((scenes / "images").iterdir())[:6]]


@contextmanager
def both(folder: Path, pictures: list[bytes], key: str | None) -> Iterator[tuple[str, str]]:
    """Both services on a dictionary of some pictures: their address, and a job that is done."""
    with both_services(folder, key=key) as url:
        with Client(url, key=key) as client:
            jobs = [
                client.add(picture, "a dog and an apple on the grass", id=f"s{n}", source="drawn")
                for n, picture in enumerate(pictures)
            ]
            assert client.wait(jobs[-1]).failures == []
        yield url, jobs[0]


@pytest.fixture(scope="module")
def locked(
    pictures: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    with both(tmp_path_factory.mktemp("locked"), pictures, KEY) as found:
        yield found


@pytest.fixture(scope="module")
def unlocked(
    pictures: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    with both(tmp_path_factory.mktemp("unlocked"), pictures, None) as found:
        yield found


def described(role: str, *, key: str | None, examples: int) -> Callable[[Test], Test]:
    """Has a test made for each route of a service, with requests made up for it.

    Words that the dictionary knows are among them: made-up ones would never be found.
    """
    words = {
        "ids": ["s0", "s1", KNOWN_JOB],
        "nouns": ["dog", "apple", "grass"],
        "sources": ["drawn"],
        "boxes": ["0,0,40,30", "90,90,97,96"],
        "classes": ["dog, apple", "sky, sand: beach | shore", "dog, dog", "@/etc/passwd"],
        "captions": ["a dog beside an umbrella", "three apples"],
    }
    places = {
        "path.id": "ids",
        "path.noun": "nouns",
        "path.name": "sources",
        "query.q": "nouns",
        "body.noun": "nouns",
        "body.box": "boxes",
        "body.classes[*]": "classes",
        "body.caption[*]": "captions",
        "body.pairs[*].captions[*]": "captions",
    }
    config = {
        "seed": 20240229,
        "headers": {"X-API-Key": key} if key else {},
        "generation": {
            "max-examples": examples,
            "deterministic": True,
            "with-security-parameters": key is not None,
        },
        "phases": {"stateful": {"enabled": False}},
        "checks": {
            # Busy is no fault; `answered` sees to it that it says for how long.
            "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
            # What makes a picture, a class list or a box no document can tell.
            "positive_data_acceptance": {"enabled": False},
            "ignored_auth": {"enabled": key is not None},
        },
        "dictionaries": {name: {"values": values} for name, values in words.items()},
        "parameters": {
            place: {"dictionary": name, "probability": 0.5} for place, name in places.items()
        },
    }
    document = json.loads((DOCUMENTS / f"{role}.json").read_text(encoding="utf-8"))
    routes = schemathesis.openapi.from_dict(
        _with_pictures(document), config=schemathesis.Config.from_dict(config)
    )
    made_up: Callable[[Test], Test] = routes.parametrize()
    return made_up


def _with_pictures(node: Any) -> Any:
    """A document that also tells which strings are pictures, as files and as base64."""
    if isinstance(node, list):
        return [_with_pictures(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {name: _with_pictures(item) for name, item in node.items()}
    image = node.get("properties", {}).get("image", {})
    if image.get("format") == "binary" or "contentMediaType" in image:
        image.update(format="picture", contentMediaType="application/octet-stream")
    elif "anyOf" in image:
        node["properties"]["image"] = {"type": "string", "format": "picture64"}
    return node


def answered(case: Case, served: tuple[str, str]) -> None:
    """Ask, and compare the answer with the document."""
    url, job = served
    if case.path_parameters.get("id") == KNOWN_JOB:
        case.path_parameters["id"] = job
    response = case.call(base_url=url)
    if response.status_code == 503:
        assert response.headers["retry-after"][0].isdecimal()
    case.validate_response(
        response,
        # All that a form holds is text, so what is made up to be of a wrong type may be right.
        excluded_checks=[negative_data_rejection] if case.media_type == FORM else [],
        transport_kwargs={"base_url": url},
    )


@described("segmenter", key=KEY, examples=FEW)
def test_the_segmenter_answers_as_documented(case: Case, locked: tuple[str, str]) -> None:
    answered(case, locked)


@described("indexer", key=KEY, examples=FEW)
def test_the_indexer_answers_as_documented(case: Case, locked: tuple[str, str]) -> None:
    answered(case, locked)


@pytest.mark.slow
@described("segmenter", key=None, examples=MANY)
def test_the_segmenter_answers_many_requests_as_documented(
    case: Case, unlocked: tuple[str, str]
) -> None:
    answered(case, unlocked)


@pytest.mark.slow
@described("indexer", key=None, examples=MANY)
def test_the_indexer_answers_many_requests_as_documented(
    case: Case, unlocked: tuple[str, str]
) -> None:
    answered(case, unlocked)
