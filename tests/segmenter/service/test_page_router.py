"""The page's files, its colours, and what its headers allow it."""

import json
import re

import pytest

from captionary.schemas.errors import CaptionaryError
from captionary.segmenter.drawing.palette import DISTINCT, GREY, class_colours
from captionary.segmenter.segmenter import Segmenter
from tests.segmenter.service.served import assert_problem, running_service


def _never() -> Segmenter:
    raise CaptionaryError("there is nothing to open here")


PAGE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@pytest.mark.parametrize(
    ("indexer", "connects"),
    [
        (None, "connect-src 'self'"),
        ("", "connect-src 'self'"),
        ("http://127.0.0.1:8001", "connect-src 'self' http://127.0.0.1:8001"),
        ("https://indexer.example/some/path", "connect-src 'self' https://indexer.example"),
    ],
)
def test_the_page_may_talk_to_the_two_services_only(indexer: str | None, connects: str) -> None:
    with running_service(_never, ready=False, indexer=indexer) as client:
        page = client.get("/")
        head = client.head("/")

    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"].split("; ")
    assert policy == [
        "default-src 'self'",
        "img-src 'self' data: blob:",
        connects,
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ]
    assert {name: page.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert (head.status_code, head.content) == (200, b"")


def test_files_of_the_page_are_served_and_no_others() -> None:
    with running_service(_never, ready=False) as client:
        whole, file = client.get("/"), client.get("/page/index.html")
        script = client.get("/page/scripts/page.js")
        again = client.get("/page/index.html", headers={"If-None-Match": file.headers["ETag"]})
        outside = [
            client.get(f"/page/{path}")
            for path in (
                "..%2fservice.py",
                "%2e%2e/service.py",
                "../service.py",
                "%2fetc%2fpasswd",
                "/etc/passwd",
                "..%5cservice.py",
                "index.html%00",
                "x" * 5000,
                "missing.js",
            )
        ]
        written = client.post("/page/index.html")

    assert file.content == whole.content != b""
    assert {name: file.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert script.headers["content-type"].startswith("text/javascript")
    assert again.status_code == 304
    for response in outside:
        assert_problem(response, 404)
    assert_problem(written, 405)


def test_the_page_of_a_known_path_finds_its_files_from_there_without_a_slash_too() -> None:
    with running_service(_never, ready=False) as client:
        plain = client.get("/")
    with running_service(_never, ready=False, root_path="/captionary") as client:
        page = client.get("/")

    addresses = re.findall(r'(?:href|src)="([^"#]+)"', page.text)
    assert len(addresses) > 8
    assert all(address.startswith("/captionary/page/") for address in addresses)
    assert page.text.replace("/captionary/", "") == plain.text
    assert page.headers["Content-Security-Policy"] == plain.headers["Content-Security-Policy"]


def test_the_page_has_the_colours_of_the_overlay() -> None:
    with running_service(_never, ready=False) as client:
        script, head = (
            client.get("/page/scripts/palette.js"),
            client.head("/page/scripts/palette.js"),
        )

    assert script.headers["content-type"].startswith("text/javascript")
    assert {name: script.headers[name] for name in PAGE_HEADERS} == PAGE_HEADERS
    assert "default-src 'self'" in script.headers["Content-Security-Policy"]
    assert (head.status_code, head.content) == (200, b"")
    constants = dict(
        line.removeprefix("export const ").rstrip(";").split(" = ")
        for line in script.text.splitlines()
    )
    colours = json.loads(constants["COLOURS"])
    names = tuple(f"class {number}" for number in range(200))
    assert len(colours) == DISTINCT
    assert [colours[number % DISTINCT] for number in range(200)] == class_colours(names).tolist()
    assert json.loads(constants["GREY"]) == list(GREY)
    assert class_colours((json.loads(constants["BACKGROUND"]),)).tolist() == [list(GREY)]
