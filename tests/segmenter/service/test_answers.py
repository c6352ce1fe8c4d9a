"""`POST /v1/segment`: the answer is the segmenter's own, in the form asked for."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from captionary.schemas.bodies import SegmentationBody
from captionary.schemas.classes import parse_classes
from captionary.schemas.options import Fusion
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.outputs import (
    class_map_png,
    overlay_jpeg,
    read_class_map,
    segmentation_json,
)
from captionary.segmenter.segmenter import Settings
from captionary.vision.pictures.loading import load_picture
from tests.segmenter.service.served import CLASSES, Taught, ask, started

UNSEEN = 20
"""A scene that the dictionary does not hold."""


def in_process(taught: Taught, **settings: Any) -> Segmentation:
    picture = load_picture(taught.picture(UNSEEN))
    return taught.segmenter.segment(picture, parse_classes(CLASSES), Settings(**settings))


@pytest.mark.parametrize("fusion", get_args(Fusion))
def test_json_is_what_the_segmenter_says(
    client: TestClient, taught: Taught, fusion: Fusion
) -> None:
    settings: dict[str, Any] = {
        "fusion": fusion,
        "background": "auto",
        "threshold": 0.4,
        "evidence": 3,
    }

    answer = ask(client, taught.picture(UNSEEN), **settings, refine="true")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == segmentation_json(in_process(taught, **settings, refine=True))
    body = SegmentationBody.model_validate(answer.json())
    assert (body.revision is None) == (fusion == "text")
    assert any(region.evidence for region in body.regions) == (fusion in ("prototypes", "both"))


def test_defaults_are_those_of_the_command_line(client: TestClient, taught: Taught) -> None:
    answer = ask(client, taught.picture(UNSEEN))

    assert answer.json() == segmentation_json(in_process(taught))


def test_pictures_are_what_the_segmenter_draws(client: TestClient, taught: Taught) -> None:
    expected = in_process(taught, background="names")
    original = load_picture(taught.picture(UNSEEN))

    flat = ask(client, taught.picture(UNSEEN), background="names", format="png")
    overlay = ask(client, taught.picture(UNSEEN), background="names", format="overlay")

    assert flat.headers["content-type"] == "image/png"
    assert flat.content == class_map_png(expected.class_map, expected.classes)
    assert (read_class_map(flat.content) == expected.class_map).all()
    assert overlay.headers["content-type"] == "image/jpeg"
    assert overlay.content == overlay_jpeg(expected, original.pixels)
    for answer in (flat, overlay):
        assert json.loads(answer.headers["X-Classes"]) == list(expected.classes)
        assert answer.headers["X-Revision"] == str(taught.dictionary.revision)


def test_class_names_of_other_scripts_fit_into_a_header(client: TestClient, taught: Taught) -> None:
    classes = "снег, 空, größe"

    answer = ask(client, taught.picture(UNSEEN), classes=classes, fusion="text", format="png")

    assert answer.headers["X-Classes"].isascii()
    assert json.loads(answer.headers["X-Classes"]) == classes.split(", ")
    assert "X-Revision" not in answer.headers


def test_names_too_long_for_a_header_are_left_to_who_asked(
    client: TestClient, taught: Taught
) -> None:
    classes = ", ".join(f"a rather long name of class number {n}" for n in range(60))

    answer = ask(client, taught.picture(UNSEEN), classes=classes, fusion="text", format="png")

    assert answer.status_code == 200
    assert "X-Classes" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("image/png", "image/png"),
        ("image/*;q=0.5, application/json;q=0.4", "image/png"),
        ("image/jpeg, image/png;q=0.9", "image/jpeg"),
    ],
)
def test_the_accept_header_chooses_the_form(
    client: TestClient, taught: Taught, accept: str, media: str
) -> None:
    answer = ask(client, taught.picture(UNSEEN), headers={"Accept": accept})

    assert answer.headers["content-type"] == media


def test_the_field_format_outweighs_the_accept_header(client: TestClient, taught: Taught) -> None:
    answer = ask(client, taught.picture(UNSEEN), format="png", headers={"Accept": "text/html"})

    assert answer.headers["content-type"] == "image/png"


def test_a_turned_picture_is_answered_upright(client: TestClient, taught: Taught) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    with Image.open(taught.picture(UNSEEN)) as picture:
        picture.crop((0, 0, 96, 60)).save(buffer, "PNG", exif=exif)

    answer = ask(client, buffer.getvalue())

    assert answer.json()["size"] == [96, 60]


def test_requests_at_once_get_the_bytes_of_requests_one_by_one(taught: Taught) -> None:
    """Nothing that threads share is mixed up; each service begins with nothing remembered."""
    asked: list[dict[str, Any]] = [
        {"number": number, "fusion": fusion, "format": form, "classes": classes, "evidence": 2}
        for number, fusion, form in (
            (3, "both", "json"),
            (20, "calibrated", "json"),
            (21, "both", "png"),
        )
        for classes in (CLASSES, "grass, umbrella, red")
    ]

    def answered(client: TestClient, fields: dict[str, Any]) -> bytes:
        given = {name: value for name, value in fields.items() if name != "number"}
        answer = ask(client, taught.picture(fields["number"]), **given)
        assert answer.status_code == 200, answer.text
        return answer.content

    with started(lambda: taught.segmenter) as client:
        one_by_one = [answered(client, fields) for fields in asked]
    with started(lambda: taught.segmenter) as client, ThreadPoolExecutor(6) as threads:
        at_once = list(threads.map(lambda fields: answered(client, fields), asked * 2))

    assert at_once == one_by_one * 2
    assert len(set(one_by_one)) == len(asked)
