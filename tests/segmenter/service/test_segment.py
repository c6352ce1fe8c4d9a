"""`POST /v1/segment`: the response is the segmenter's own, in the requested format."""

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from captionary.schemas.bodies import SegmentationBody
from captionary.schemas.classes import parse_classes
from captionary.schemas.options import FUSIONS, Fusion
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.json_data import segmentation_json
from captionary.segmenter.outputs import class_map_png, overlay_jpeg
from captionary.segmenter.segmenter import Settings
from captionary.vision.pictures.loading import load_picture
from tests.segmenter.decoding import read_class_map
from tests.segmenter.service.served import CLASSES, FilledDictionary, post_picture, running_service

UNSEEN = 20
"""A scene that the dictionary does not hold."""


def in_process(filled: FilledDictionary, **settings: Any) -> Segmentation:
    picture = load_picture(filled.picture(UNSEEN))
    return filled.segmenter.segment(picture, parse_classes(CLASSES), Settings(**settings))


@pytest.mark.parametrize("fusion", list(FUSIONS))
def test_json_is_what_the_segmenter_says(
    client: TestClient, filled: FilledDictionary, fusion: Fusion
) -> None:
    settings: dict[str, Any] = {
        "fusion": fusion,
        "background": "auto",
        "threshold": 0.4,
        "evidence": 3,
    }

    response = post_picture(client, filled.picture(UNSEEN), **settings, refine="true")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == segmentation_json(in_process(filled, **settings, refine=True))
    body = SegmentationBody.model_validate(response.json())
    assert (body.revision is None) == (fusion == "text")
    assert any(region.evidence for region in body.regions) == ("prototypes" in FUSIONS[fusion])


def test_defaults_are_those_of_the_command_line(
    client: TestClient, filled: FilledDictionary
) -> None:
    response = post_picture(client, filled.picture(UNSEEN))

    assert response.json() == segmentation_json(in_process(filled))


@pytest.mark.parametrize(
    ("given", "classes"),
    [
        (["dog", "person: man | woman"], ["dog", "person"]),
        (["dog", "traffic light, red", ""], ["dog", "traffic light, red"]),
        ('["traffic light, red"]', ["traffic light, red"]),
        ("dog\nbus\n", ["dog", "bus"]),
        ("dog,bus", ["dog", "bus"]),
        ([str(number) for number in range(300)], [str(number) for number in range(300)]),
    ],
)
def test_classes_in_one_field_or_several(
    client: TestClient, filled: FilledDictionary, given: list[str] | str, classes: list[str]
) -> None:
    response = post_picture(client, filled.picture(UNSEEN), classes=given, fusion="text")

    assert response.json()["classes"] == classes


def test_classes_without_a_noun_are_named(client: TestClient, filled: FilledDictionary) -> None:
    classes = "Teddy_Bears, zeppelin, buses, kettle: pot"
    known = post_picture(client, filled.picture(UNSEEN), classes=classes, background="auto")
    by_text = post_picture(client, filled.picture(UNSEEN), classes=classes, fusion="text")

    assert known.json()["without_noun"] == ["zeppelin", "kettle"]
    assert by_text.json()["without_noun"] == []


def test_pictures_are_what_the_segmenter_draws(
    client: TestClient, filled: FilledDictionary
) -> None:
    expected = in_process(filled, background="names")
    original = load_picture(filled.picture(UNSEEN))

    flat = post_picture(client, filled.picture(UNSEEN), background="names", format="png")
    overlay = post_picture(client, filled.picture(UNSEEN), background="names", format="overlay")

    assert flat.headers["content-type"] == "image/png"
    assert flat.content == class_map_png(expected.class_map, expected.classes)
    assert (read_class_map(flat.content) == expected.class_map).all()
    assert overlay.headers["content-type"] == "image/jpeg"
    assert overlay.content == overlay_jpeg(expected, original.pixels)
    for response in (flat, overlay):
        assert json.loads(response.headers["X-Classes"]) == list(expected.classes)
        assert response.headers["X-Revision"] == str(filled.dictionary.revision)


def test_class_names_of_other_scripts_fit_into_a_header(
    client: TestClient, filled: FilledDictionary
) -> None:
    classes = "снег, 空, größe"

    response = post_picture(
        client, filled.picture(UNSEEN), classes=classes, fusion="text", format="png"
    )

    assert response.headers["X-Classes"].isascii()
    assert json.loads(response.headers["X-Classes"]) == classes.split(", ")
    assert "X-Revision" not in response.headers


def test_names_too_long_for_a_header_are_left_to_who_asked(
    client: TestClient, filled: FilledDictionary
) -> None:
    classes = ", ".join(f"a rather long name of class number {n}" for n in range(60))

    response = post_picture(
        client, filled.picture(UNSEEN), classes=classes, fusion="text", format="png"
    )

    assert response.status_code == 200
    assert "X-Classes" not in response.headers


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
    client: TestClient, filled: FilledDictionary, accept: str, media: str
) -> None:
    response = post_picture(client, filled.picture(UNSEEN), headers={"Accept": accept})

    assert response.headers["content-type"] == media


def test_the_field_format_outweighs_the_accept_header(
    client: TestClient, filled: FilledDictionary
) -> None:
    response = post_picture(
        client, filled.picture(UNSEEN), format="png", headers={"Accept": "text/html"}
    )

    assert response.headers["content-type"] == "image/png"


def test_a_turned_picture_is_answered_upright(client: TestClient, filled: FilledDictionary) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    with Image.open(filled.picture(UNSEEN)) as picture:
        picture.crop((0, 0, 96, 60)).save(buffer, "PNG", exif=exif)

    response = post_picture(client, buffer.getvalue())

    assert response.json()["size"] == [96, 60]


def test_requests_at_once_get_the_bytes_of_requests_one_by_one(filled: FilledDictionary) -> None:
    """Nothing that threads share is mixed up; each service begins with nothing remembered."""
    requests: list[dict[str, Any]] = [
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
        response = post_picture(client, filled.picture(fields["number"]), **given)
        assert response.status_code == 200, response.text
        return response.content

    with running_service(lambda: filled.segmenter) as client:
        one_by_one = [answered(client, fields) for fields in requests]
    with running_service(lambda: filled.segmenter) as client, ThreadPoolExecutor(6) as threads:
        at_once = list(threads.map(lambda fields: answered(client, fields), requests * 2))

    assert at_once == one_by_one * 2
    assert len(set(one_by_one)) == len(requests)
