"""What requests may bring: each wrong one is told in one line, and leaves nothing behind."""

import asyncio
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.types import Message

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.service import intake as uploads
from captionary.indexer.service.intake import clean_name
from captionary.serving.limits import Limits
from tests.indexer.planted import draw
from tests.indexer.service.served import Parts, Running, base64_of, pair_of, problem, running

SAID = "there is an apple"


@pytest.fixture(scope="module")
def apple(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture."""
    return draw(tmp_path_factory.mktemp("drawn") / "apple.png", ["apple"], seed=1)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, nouns: NounExtractor) -> Iterator[Running]:
    """One that takes few pairs, small pictures, and fetches from one place."""
    limits = Limits(body=2_000_000, pixels=10_000, pairs=3)
    folder = tmp_path_factory.mktemp("service")
    with running(Parts(folder, nouns, limits=limits, allowed=("http://127.0.0.1:9/a",))) as made:
        yield made


def nothing_is_left(service: Running) -> bool:
    return not service.parts.uploads and service.figure("captionary_queue_pairs") == 0


GOOD = object()
"""Stands for the picture, in base64."""


def filled(value: Any, image: str) -> Any:
    if isinstance(value, dict):
        return {key: filled(item, image) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, image) for item in value]
    return image if value is GOOD else value


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ({"image": GOOD}, "pair 1: it has no caption; give at least one sentence, or regions"),
        ({"image": GOOD, "captions": []}, "pair 1: it has no caption"),
        (
            {"image": GOOD, "regions": [{"noun": "a"}]},
            "regions.0: Value error, it needs one",
        ),
        (
            {"image": GOOD, "regions": [{"noun": "a", "box": [1, 1, 0, 5]}]},
            "regions.0: the box",
        ),
        ({"image": GOOD, "regions": [{"noun": " ", "box": [1, 1, 5, 5]}]}, "regions.0.noun"),
        (
            {"image": GOOD, "regions": [{"noun": "a", "mask": "m.png"}]},
            "regions.0.mask: Extra inputs",
        ),
        ({"image": GOOD, "captions": SAID}, "pair 1: captions: Input should be a valid list"),
        ({"image": GOOD, "captions": [7]}, "pair 1: captions.0: Input should be a valid string"),
        ({"image": GOOD, "captions": ["", " \n"]}, "pair 1: it has no caption"),
        ({"image": GOOD, "captions": ["a" * 5001]}, "pair 1: captions.0: String should have at"),
        ({"captions": [SAID]}, "pair 1: it needs either an image (base64) or a url"),
        ({"image": GOOD, "url": "http://127.0.0.1:9/a", "captions": [SAID]}, "pair 1: it needs ei"),
        ({"image": "%%%%", "captions": [SAID]}, "pair 1: its image is not base64"),
        ({"image": "abc", "captions": [SAID]}, "pair 1: its image is not base64"),
        (
            {"image": "data:image/png;base64,iVBO", "captions": [SAID]},
            "pair 1: its image is a data",
        ),
        ({"image": "äöüß", "captions": [SAID]}, "pair 1: its image is not base64"),
        ({"image": "", "captions": [SAID]}, "pair 1: pair 1 is empty (0 bytes)"),
        ({"image": "aGVsbG8=", "captions": [SAID]}, "pair 1: pair 1 is not a picture (5 bytes)"),
        ({"image": GOOD, "captions": [SAID], "colour": 1}, "pair 1: colour: Extra inputs are not"),
        ({"image": GOOD, "captions": [SAID], "id": ""}, "pair 1: id: String should have at least"),
        ({"image": GOOD, "captions": [SAID], "id": ".."}, "pair 1: id: Value error, an id has no"),
        ({"image": GOOD, "captions": [SAID], "id": "a\u0085"}, "pair 1: id: Value error, an id"),
        ({"image": GOOD, "captions": [SAID], "id": 5}, "pair 1: id: Input should be a valid str"),
        ({"image": GOOD, "captions": [SAID], "tags": "x"}, "pair 1: tags: Input should be a valid"),
        (
            {"url": "http://127.0.0.1:9/b", "captions": [SAID]},
            "pair 1: http://127.0.0.1:9/b is not",
        ),
        ({"url": "file:///etc/passwd", "captions": [SAID]}, "pair 1: file:///etc/passwd is not"),
        ({"url": "http://\x00", "captions": [SAID]}, "is not an address"),
        ("text", "pair 1: Input should be a valid dictionary"),
        (None, "pair 1: Input should be a valid dictionary"),
        ([], "pair 1: Input should be a valid dictionary"),
    ],
)
def test_a_wrong_pair_has_the_body_refused(
    service: Running, apple: Path, pair: Any, said: str
) -> None:
    body = {"pairs": [pair_of(apple, SAID), filled(pair, base64_of(apple))]}
    assert said in problem(service.client.post("/v1/pairs", json=body), 422)
    assert nothing_is_left(service)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the body is not JSON: "),
        (b"{", "the body is not JSON: parse error: premature EOF"),
        (b'{"pairs": [', "the body is not JSON: parse error: premature EOF"),
        (b'{"pairs": [GOOD', "the body is not JSON: "),
        (b'{"pairs": [GOOD]} x', "the body is not JSON: parse error: trailing garbage"),
        (b'{"pairs": [GOOD, {"id": NaN}]}', "the body is not JSON: "),
        (b'{"pairs": [GOOD, {"id": "\xff"}]}', "the body is not JSON: "),
        (b'{"pairs": [GOOD, {"id": "\xed\xa0\x80"}]}', "the body is not JSON: "),
        (b'{"pairs": [GOOD, {"id": %s}]}' % (b"9" * 5000), "the body is not JSON: "),
        (b"5", 'the body must be {"pairs": [...]}'),
        (b"[GOOD]", 'the body must be {"pairs": [...]}'),
        (b"{}", 'the body must be {"pairs": [...]}'),
        (b'{"pair": [GOOD]}', 'the body must be {"pairs": [...]}'),
        (b'{"pairs": GOOD}', 'the body must be {"pairs": [...]}'),
        (b'{"pairs": [GOOD], "pairs": [GOOD]}', 'the body must be {"pairs": [...]}'),
        (b'{"pairs": [GOOD], "more": 1}', 'the body must be {"pairs": [...]}'),
        (b'{"pairs": []}', "the body has no pairs"),
        (b'{"pairs": [GOOD, GOOD, GOOD, GOOD]}', "the body has more than 3 pairs"),
        (b'{"pairs": [GOOD, {"tags": [%s1]}]}' % (b"1," * 20_000), "a pair has more than 20000"),
        (b'{"pairs": [GOOD, %s' % (b"[" * 400_000), "a pair has more than 20000 values"),
    ],
)
def test_a_body_of_another_shape_is_refused(
    service: Running, apple: Path, body: bytes, said: str
) -> None:
    sent = body.replace(b"GOOD", json.dumps(pair_of(apple, SAID)).encode())
    headers = {"content-type": "application/json; charset=utf-8"}
    assert said in problem(service.client.post("/v1/pairs", content=sent, headers=headers), 422)
    assert nothing_is_left(service)


@pytest.mark.parametrize(
    ("files", "fields", "status", "said"),
    [
        ({"picture": GOOD}, {"caption": SAID}, 422, "there is no field 'picture'"),
        ({"image": GOOD}, {}, 422, "it has no caption"),
        ({"image": GOOD}, {"regions": "[{"}, 422, "regions is not JSON"),
        ({"image": GOOD}, {"caption": "  "}, 422, "it has no caption"),
        ({"image": GOOD}, {"caption": SAID, "captions": SAID}, 422, "there is no field 'captions'"),
        (
            {"image": GOOD},
            {"caption": SAID, "id": ["a", "b"]},
            422,
            "the field id is given 2 times",
        ),
        (
            {"image": GOOD},
            {"caption": SAID, "id": "a" * 513},
            422,
            "id: String should have at most",
        ),
        ({"image": GOOD}, {"caption": [SAID] * 101}, 422, "captions: List should have at most 100"),
        ({"image": GOOD}, {"caption": [SAID] * 300}, 400, "Too many fields"),
        ({"image": GOOD}, {"caption": "a" * 1_500_000}, 400, "Part exceeded maximum size"),
        ({"image": b"no picture"}, {"caption": SAID}, 422, "it.png is not a picture (10 bytes)"),
        ({"image": b""}, {"caption": SAID}, 422, "it.png is empty (0 bytes)"),
    ],
)
def test_a_wrong_form_is_refused(
    service: Running, apple: Path, files: Any, fields: Any, status: int, said: str
) -> None:
    given = {
        name: ("it.png", apple.read_bytes() if data is GOOD else data)
        for name, data in files.items()
    }
    answer = service.client.post("/v1/pairs", data=fields, files=given)
    assert said in problem(answer, status)
    assert nothing_is_left(service)


def test_a_form_holds_one_file(service: Running, apple: Path) -> None:
    image = ("a.png", apple.read_bytes())
    twice = [("image", image), ("image", image)]
    answer = service.client.post("/v1/pairs", data={"caption": SAID}, files=twice)
    assert "Too many files" in problem(answer, 400)
    for form in (
        {"caption": (None, SAID)},
        {"caption": (None, SAID), "image": (None, "text")},
        {"caption": ("caption.txt", SAID), "image": (None, "text")},
    ):
        answer = service.client.post("/v1/pairs", files=form)
        assert "it needs one field image, with a picture's file" in problem(answer, 422)
    assert nothing_is_left(service)


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "image/png"]
)
def test_other_types_are_refused(service: Running, kind: str) -> None:
    answer = service.client.post("/v1/pairs", content=b"x", headers={"content-type": kind})
    assert "send multipart/form-data or application/json" in problem(answer, 415)


def test_a_form_without_a_boundary_is_refused(service: Running) -> None:
    headers = {"content-type": "multipart/form-data"}
    assert "boundary" in problem(
        service.client.post("/v1/pairs", content=b"x", headers=headers), 400
    )


def test_a_picture_of_too_many_pixels_is_refused_by_its_header(
    service: Running, tmp_path: Path
) -> None:
    Image.new("RGB", (101, 100)).save(tmp_path / "large.png")
    answer = service.client.post(
        "/v1/pairs", json={"pairs": [pair_of(tmp_path / "large.png", SAID)]}
    )
    assert "pair 0 has more than 10,000 pixels" in problem(answer, 422)
    Image.new("1", (14_000, 14_000)).save(tmp_path / "bomb.png")
    answer = service.client.post(
        "/v1/pairs", json={"pairs": [pair_of(tmp_path / "bomb.png", SAID)]}
    )
    assert "pair 0 has more than 10,000 pixels" in problem(answer, 422)
    assert nothing_is_left(service)


def test_a_body_that_is_too_large_is_refused(service: Running, apple: Path) -> None:
    answer = service.client.post(
        "/v1/pairs", data={"caption": SAID}, files={"image": ("a.png", b"x" * 2_000_000)}
    )
    assert "larger than 2,000,000 bytes" in problem(answer, 413)

    def pieces() -> Iterator[bytes]:
        yield b'{"pairs": ['
        yield from (json.dumps(pair_of(apple, SAID)).encode() + b"," for _ in range(1000))

    headers = {"content-type": "application/json"}
    answer = service.client.post("/v1/pairs", content=pieces(), headers=headers)
    assert "larger than 2,000,000 bytes" in problem(answer, 413)
    assert nothing_is_left(service)


def test_names_are_shown_without_folders() -> None:
    assert clean_name("apple.png") == "apple.png"
    assert clean_name("C:\\pictures\\my apple.png") == "my apple.png"
    assert clean_name("../../etc/passwd") == "passwd"
    assert clean_name("a\x00b\nc\u202e.png") == "abc.png"
    assert clean_name("/") == ""
    assert len(clean_name("ä" * 1000)) == 255


def test_base64_is_put_together_across_pieces(
    service: Running, apple: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PIECE", 64)
    name = service.send(pair_of(apple, SAID, id="in pieces"))
    assert service.end(name).failures == []
    picture = service.dictionary.picture("in pieces")
    assert picture is not None
    assert picture.size_hw == (96, 96)
    service.end(service.remove("images/in pieces"))


async def post(app: FastAPI, pieces: Iterator[bytes]) -> tuple[int, int]:
    """The status that a JSON body has, and how many bytes it was."""
    sent, answered = 0, 0

    async def receive() -> Message:
        nonlocal sent
        piece = next(pieces, b"")
        sent += len(piece)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: Message) -> None:
        nonlocal answered
        answered = message.get("status", answered)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/pairs",
        "raw_path": b"/v1/pairs",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")],
    }
    await app(scope, receive, send)
    return answered, sent


def test_memory_is_flat_for_a_large_body(tmp_path: Path, nouns: NounExtractor) -> None:
    """50 MB in 64 pairs: what is held is about a pair, and not what a body is."""
    chance = Image.effect_noise((800, 800), 90)
    chance.save(tmp_path / "noise.png")
    members = json.dumps(pair_of(tmp_path / "noise.png", "nothing is said")).encode()
    pairs = 50_000_000 // len(members) + 1

    def pieces() -> Iterator[bytes]:
        yield b'{"pairs": ['
        for number in range(pairs):
            yield b"," if number else b" "
            yield from (members[at : at + 65536] for at in range(0, len(members), 65536))
        yield b"]}"

    parts = replace(Parts(tmp_path, nouns), limits=Limits(body=100_000_000))
    with running(parts) as made:
        tracemalloc.start()
        try:
            answered, sent = asyncio.run(post(made.client.app, pieces()))  # type: ignore[arg-type]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answered == 202
    assert sent > 50_000_000
    assert peak < 8 * len(members) + 8_000_000 < sent / 3
