from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Body, Request, UploadFile
from fastapi.testclient import TestClient

from tests.serving.parts import BODY, Part, app_of


def client() -> TestClient:
    part = Part()

    @part.router.post("/raw")
    async def raw(request: Request) -> int:
        return len(await request.body())

    @part.router.post("/json")
    def json(value: Annotated[Any, Body()]) -> int:
        return len(value)

    @part.router.post("/file")
    def file(upload: UploadFile) -> int:
        return len(upload.file.read())

    @part.router.post("/deaf")
    def deaf() -> str:
        return "did not listen"

    return TestClient(app_of(part))


def pieces(size: int) -> Iterator[bytes]:
    """A body that does not say how large it is."""
    yield from (b"x" * 50 for _ in range(size // 50))


def test_a_body_as_large_as_may_be_passes() -> None:
    assert client().post("/raw", content=b"x" * BODY).json() == BODY
    assert client().post("/raw", content=pieces(BODY)).json() == BODY


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("path", ["/raw", "/json", "/file"])
def test_a_larger_one_is_refused_told_or_counted(path: str, *, told: bool) -> None:
    content: dict[str, bytes] = {
        "/raw": b"x" * (BODY + 50),
        "/json": b'"' + b"x" * BODY + b'"',
        "/file": b"--b\r\nContent-Disposition: form-data; name=upload; filename=f\r\n\r\n"
        + b"x" * BODY
        + b"\r\n--b--\r\n",
    }
    kind = {"/json": "application/json", "/file": "multipart/form-data; boundary=b"}
    sent = content[path]
    response = client().post(
        path,
        content=sent if told else iter([sent[:400], sent[400:]]),
        headers={"Content-Type": kind.get(path, "application/octet-stream")},
    )
    assert response.status_code == 413
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Connection"] == "close"
    assert "1,000 bytes" in response.json()["detail"]


def test_a_told_size_is_refused_before_anything_is_read() -> None:
    def never() -> Iterator[bytes]:
        yield b"x"
        pytest.fail("the body was read on")

    response = client().post("/raw", content=never(), headers={"Content-Length": str(BODY + 1)})
    assert response.status_code == 413


def test_a_size_told_too_small_is_counted() -> None:
    response = client().post("/raw", content=pieces(2 * BODY), headers={"Content-Length": "10"})
    assert response.status_code == 413


def test_a_route_that_reads_no_body_answers() -> None:
    assert client().post("/deaf", content=b"x" * 2 * BODY).json() == "did not listen"
