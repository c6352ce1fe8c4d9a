"""What the segmenter's service refuses: one line each, with the status that fits."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from captionary.serving.api_keys import Keys
from captionary.serving.limits import Limits
from tests.segmenter.service.served import (
    FilledDictionary,
    Response,
    assert_problem,
    png,
    post_picture,
    running_service,
)

READ, WRITE = "this-key-may-only-read", "this-key-may-write-too"
CLASSES, NOUN = b'name="classes"', b'name="noun"'
LIMITS = Limits(body=200_000, pixels=10_000, classes=8)


@pytest.fixture(scope="module")
def narrow(filled: FilledDictionary) -> Iterator[TestClient]:
    """Asks a service of narrow limits."""
    with running_service(lambda: filled.segmenter, limits=LIMITS) as client:
        yield client


@pytest.fixture(scope="module")
def roomy(filled: FilledDictionary) -> Iterator[TestClient]:
    """Asks a service of the usual limits."""
    with running_service(lambda: filled.segmenter) as client:
        yield client


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"classes": ""}, 422, "classes: Field required"),
        ({"classes": " , "}, 400, "the class list is empty"),
        ({"classes": "dog, Dog"}, 400, "'Dog' stands twice"),
        ({"classes": "dog, cat: dog"}, 400, "'dog' stands twice"),
        ({"classes": ": dog"}, 400, "has synonyms but no class name"),
        ({"classes": "@/etc/hostname"}, 400, "would be a file of the service"),
        ({"classes": "\n @classes.txt"}, 400, "would be a file of the service"),
        (
            {"classes": "a, b, c: d | e, f: g | h | i"},
            400,
            "9 class names, with their synonyms, are more",
        ),
        ({"classes": ", ".join("abcdefghi")}, 400, "more than the limit of 8"),
        ({"classes": "x" * 201}, 400, "has 201 characters; give at most 200"),
        ({"classes": "x" * 1633}, 400, "has 1,633 characters; ask for at most 8 names"),
        ({"classes": ["x" * 900, "y" * 900]}, 400, "has 1,800 characters; ask for at most 8"),
        ({"classes": ["dog", "@/etc/hostname"]}, 400, "would be a file of the service"),
        ({"classes": ["dog", "Dog"]}, 400, "'Dog' stands twice"),
        ({"classes": ["dog", "0: cat"]}, 400, "has a number; write the names alone"),
        ({"classes": "dog . cat . bus"}, 400, "has full stops between words; write commas"),
        ({"classes": "dog|cat"}, 400, "has '|' alone; write commas between classes"),
        ({"treshold": "0.5"}, 422, "no field 'treshold'; do you mean threshold? known: image, cla"),
        ({"Fusion": "text"}, 422, "there is no field 'Fusion'; do you mean fusion? known: image"),
        ({"größe": "3"}, 422, r"there is no field 'gr\xf6\xdfe'; known: image, classes, fusion"),
        ({"fusion": ["text", "both"]}, 422, "fusion: given 2 times; give it once"),
        ({"fusion": "magic"}, 422, "fusion: Value error, unknown fusion 'magic'; choose"),
        ({"background": "black"}, 422, "background: Input should be 'none', 'names'"),
        ({"threshold": "1.5"}, 422, "threshold: Input should be less than or equal to 1"),
        ({"threshold": "-0.1"}, 422, "threshold: Input should be greater than or equal to 0"),
        ({"threshold": "nan"}, 422, "threshold: Input should be"),
        ({"threshold": "high"}, 422, "threshold: Input should be a valid number"),
        ({"evidence": "21"}, 422, "evidence: Input should be less than or equal to 20"),
        ({"evidence": "-1"}, 422, "evidence: Input should be greater than or equal to 0"),
        ({"refine": "maybe"}, 422, "refine: Input should be a valid boolean"),
        ({"format": "gif"}, 422, "format: Input should be 'json', 'png' or 'overlay'"),
    ],
)
def test_a_field_that_cannot_be_used(
    narrow: TestClient, fields: dict[str, Any], status: int, says: str
) -> None:
    assert says in assert_problem(post_picture(narrow, png(), **fields), status)


@pytest.mark.parametrize("path", ["segment", "retrieve"])
@pytest.mark.parametrize(
    ("picture", "says"),
    [
        (b"", "scene.png is empty (0 bytes)"),
        (b"no picture at all", "scene.png is not a picture (17 bytes)"),
        (png()[:40], "scene.png is"),
        (png(400, 30), "has 12,000 pixels, more than the limit of 10,000"),
    ],
)
def test_a_picture_that_cannot_be_used(
    narrow: TestClient, path: str, picture: bytes, says: str
) -> None:
    assert says in assert_problem(post_picture(narrow, picture, path=path), 422)


def test_a_picture_that_is_cut_off(narrow: TestClient, filled: FilledDictionary) -> None:
    whole = filled.picture(0).read_bytes()

    response = post_picture(narrow, whole[: len(whole) // 2])

    assert "is truncated or damaged" in assert_problem(response, 422)


def test_a_name_that_is_none_is_not_repeated(narrow: TestClient) -> None:
    files = {"image": ("../../etc/\u0007..\\pass\rwd", b"x")}

    response = narrow.post("/v1/segment", files=files, data={"classes": "dog"})

    assert "is not a picture" in assert_problem(response, 422)
    assert "etc/" not in response.json()["detail"]


def test_a_body_that_is_too_large(narrow: TestClient) -> None:
    assert "larger than 200,000 bytes" in assert_problem(post_picture(narrow, bytes(300_000)), 413)


def test_a_body_that_is_no_form(narrow: TestClient) -> None:
    data = base64.b64encode(png()).decode()
    as_json = narrow.post("/v1/segment", json={"image": data, "classes": "dog"})
    as_text = narrow.post("/v1/segment", data={"image": data, "classes": "dog"})
    as_nothing = narrow.post("/v1/retrieve")
    without_boundary = narrow.post(
        "/v1/segment", content=b"--x", headers={"Content-Type": "multipart/form-data"}
    )

    assert "the body is application/json; send a form" in assert_problem(as_json, 415)
    assert "x-www-form-urlencoded; send a form" in assert_problem(as_text, 415)
    assert "of no named type; send a form" in assert_problem(as_nothing, 415)
    assert "boundary" in assert_problem(without_boundary, 400)


def test_a_form_without_a_picture(narrow: TestClient) -> None:
    without = narrow.post("/v1/segment", files={"classes": (None, "dog")})
    elsewhere = narrow.post("/v1/segment", files={"img": b"x"}, data={"classes": "dog"})

    assert assert_problem(without, 422) == "image: Field required"
    assert "no field 'img'" in assert_problem(elsewhere, 422)


@pytest.mark.parametrize("path", ["segment", "retrieve"])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dog.png", "image: it is text, not a file; send the picture's bytes as a file of multi"),
        (base64.b64encode(png()).decode(), "it is text that looks like base64, not a file; send"),
        (f"data:image/png;base64,{base64.b64encode(png()).decode()}", "it is a data URI, not a"),
        ("https://pictures/dog.png", "it is an address, which is not fetched, not a file; send"),
        ("x" * (1 << 21), "maximum size of 1024KB. Send a picture as a file"),
    ],
)
def test_a_picture_that_is_sent_as_text(roomy: TestClient, path: str, text: str, says: str) -> None:
    response = roomy.post(f"/v1/{path}", files={"image": (None, text.encode())})

    assert says in assert_problem(response, 400 if len(text) > 1 << 20 else 422)


@pytest.mark.parametrize("before", ["", "data:image/png;base64,"])
def test_a_file_of_base64(narrow: TestClient, before: str) -> None:
    content = before.encode() + base64.b64encode(png())

    answer = assert_problem(post_picture(narrow, content), 422)
    assert "scene.png is a picture in base64; decode it, and send the bytes" in answer


def test_words_that_are_no_unicode(narrow: TestClient) -> None:
    """A charset of the caller's choice can make of bytes what cannot be written as JSON."""
    body = (
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        + png()
        + b'\r\n--x\r\nContent-Disposition: form-data; name="classes"\r\n\r\n+2AA-\r\n--x--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x; charset=utf-7"}

    segmented = narrow.post("/v1/segment", content=body, headers=headers)
    retrieved = narrow.post("/v1/retrieve", content=body.replace(CLASSES, NOUN), headers=headers)

    assert assert_problem(segmented, 422).startswith("classes.0: Input should be a valid string")
    assert assert_problem(retrieved, 422).startswith("noun: Input should be a valid string")


def test_an_answer_in_no_form_that_there_is(narrow: TestClient) -> None:
    response = post_picture(narrow, png(), headers={"Accept": "text/html, image/webp"})

    assert "takes none of application/json, image/png, image/jpeg" in assert_problem(response, 406)


@pytest.mark.parametrize(
    ("box", "says"),
    [
        ("1,2,3", "is not x0,y0,x1,y1"),
        ("0,0,8,8,8", "is not x0,y0,x1,y1"),
        ("0,0,1.5,8", "is not x0,y0,x1,y1"),
        ("-1,0,8,8", "is not x0,y0,x1,y1"),
        ("0,0,9,8", "not within the picture, which is 8 pixels wide and 6 high"),
        ("0,0,8,7", "not within the picture"),
        ("3,3,3,6", "is empty or"),
        ("5,0,4,6", "is empty or"),
    ],
)
def test_a_box_that_is_none(narrow: TestClient, box: str, says: str) -> None:
    assert says in assert_problem(post_picture(narrow, png(8, 6), path="retrieve", box=box), 400)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"limit": "0"}, "limit: Input should be greater than or equal to 1"),
        ({"limit": "101"}, "limit: Input should be less than or equal to 100"),
        ({"noun": "n" * 513}, "noun: String should have at most 512 characters"),
    ],
)
def test_a_field_of_retrieve_that_cannot_be_used(
    narrow: TestClient, fields: dict[str, str], says: str
) -> None:
    assert says in assert_problem(post_picture(narrow, png(), path="retrieve", **fields), 422)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "offset=-1", "q=" + "x" * 513])
def test_a_page_of_nouns_that_there_is_not(narrow: TestClient, query: str) -> None:
    name = query.partition("=")[0]

    assert assert_problem(narrow.get(f"/v1/vocabulary?{query}"), 422).startswith(f"query.{name}: ")


def test_without_a_key_nothing_is_read(filled: FilledDictionary) -> None:
    with running_service(lambda: filled.segmenter, keys=Keys((READ,), (WRITE,))) as client:
        for key, status in ((None, 401), ("x" * 20, 403), (READ, 200), (WRITE, 200)):
            headers = {} if key is None else {"X-API-Key": key}
            answers: list[Response] = [
                post_picture(client, png(), fusion="text", classes="dog", headers=headers),
                post_picture(client, png(), path="retrieve", headers=headers),
                client.get("/v1/vocabulary", headers=headers),
                client.get("/v1/vocabulary/dog", headers=headers),
            ]
            assert [response.status_code for response in answers] == [status] * 4
        nameless = client.post("/v1/segment", json={})
        assert "needs an API key" in assert_problem(nameless, 401)
