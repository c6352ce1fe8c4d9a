import errno
from http import HTTPStatus
from typing import Annotated, Any

import pytest
from fastapi import Body, HTTPException, Query
from fastapi.testclient import TestClient

from captionary.schemas.bodies import PairBody, ProblemBody
from captionary.schemas.errors import (
    CaptionaryError,
    DiskFull,
    FingerprintMismatch,
    MissingExtra,
    StoreInUse,
    UnreadablePicture,
    WrongInput,
)
from captionary.serving.problems import Problem, service_unavailable
from tests.serving.parts import Part, app_of

RAISED: dict[str, Exception] = {
    "wrong": WrongInput("class 'a' is given twice"),
    "picture": UnreadablePicture("the picture is truncated"),
    "ours": CaptionaryError("the store does not response"),
    "extra": MissingExtra("it needs: pip install 'captionary[sam]'"),
    "in-use": StoreInUse("dictionary"),
    "mismatch": FingerprintMismatch(store="a", running="b"),
    "busy": service_unavailable("too much\n  is  waiting", retry_after=7),
    "problem": Problem(429, "too many", headers={"Retry-After": "9"}),
    "plain": HTTPException(418, "a teapot"),
    "full": OSError(errno.ENOSPC, "a secret path"),
    "quota": OSError(errno.EDQUOT, "a secret path"),
    "handles": OSError(errno.EMFILE, "a secret path"),
    "store-full": DiskFull("dictionary", free=5 << 20, needed=64 << 20),
    "elsewhere": FileNotFoundError(errno.ENOENT, "a secret path"),
}


def client() -> TestClient:
    part = Part()

    @part.router.get("/raise/{name}")
    def fail(name: str) -> None:
        raise RAISED[name]

    @part.router.get("/number")
    def number(value: Annotated[int, Query(ge=1)]) -> int:
        return value

    @part.router.put("/number")
    def change(value: Annotated[int, Query(ge=1)]) -> int:
        return value

    @part.router.post("/pairs")
    def pairs(pairs: Annotated[list[PairBody], Body(embed=True, min_length=1)]) -> int:
        return len(pairs)

    return TestClient(app_of(part))


def problem(
    method: str,
    path: str,
    *,
    json: object = None,
    content: bytes | None = None,
    kind: str = "text/plain",
) -> tuple[ProblemBody, dict[str, str]]:
    """The problem that a request is answered with, after a look at its form."""
    headers = {"X-Request-ID": "r1"} | ({} if content is None else {"Content-Type": kind})
    response = client().request(method, path, headers=headers, json=json, content=content)
    assert response.headers["Content-Type"] == "application/problem+json"
    body = ProblemBody.model_validate(response.json())
    assert body.status == response.status_code
    assert body.title == HTTPStatus(response.status_code).phrase
    assert (body.instance, body.request_id) == (path.partition("?")[0], "r1")
    assert "\n" not in body.detail
    return body, dict(response.headers)


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("wrong", 400, "class 'a' is given twice"),
        ("picture", 422, "the picture is truncated"),
        ("ours", 503, "the store does not response"),
        ("extra", 503, "it needs: pip install 'captionary[sam]'"),
        ("busy", 503, "too much is waiting"),
        ("problem", 429, "too many"),
        ("plain", 418, "a teapot"),
    ],
)
def test_what_is_raised_is_told(name: str, status: int, detail: str) -> None:
    body, _ = problem("GET", f"/raise/{name}")
    assert (body.status, body.detail) == (status, detail)


@pytest.mark.parametrize("name", ["in-use", "mismatch"])
def test_mistakes_of_the_operator_are_not_the_clients(name: str) -> None:
    assert problem("GET", f"/raise/{name}")[0].status == 503


@pytest.mark.parametrize(("name", "seconds"), [("busy", "7"), ("problem", "9"), ("ours", "5")])
def test_when_to_come_again(name: str, seconds: str) -> None:
    assert problem("GET", f"/raise/{name}")[1]["retry-after"] == seconds


def test_an_address_that_is_none() -> None:
    assert problem("GET", "/nowhere")[0].status == 404


def test_a_method_that_is_not_for_this() -> None:
    """All methods of the path are named, though each is a route of its own."""
    body, headers = problem("DELETE", "/number")
    assert (body.status, headers["allow"]) == (405, "GET, PUT")


@pytest.mark.parametrize(
    ("method", "path", "sent", "where"),
    [
        ("GET", "/number?value=x", {}, "query.value: "),
        ("GET", "/number?value=0", {}, "query.value: "),
        ("GET", "/number", {}, "query.value: Field required"),
        ("POST", "/pairs", {}, "pairs: Field required"),
        ("POST", "/pairs", {"content": b"{", "kind": "application/json"}, "1: JSON decode error"),
        ("POST", "/pairs", {"json": {"pairs": []}}, "pairs: "),
        ("POST", "/pairs", {"json": {"pairs": [{"captions": [7]}]}}, "pairs.0.captions.0: "),
        ("POST", "/pairs", {"json": {"pairs": [{"captions": ["a"], "x": 1}]}}, "pairs.0.x: "),
    ],
)
def test_what_is_invalid_is_named(method: str, path: str, sent: dict[str, Any], where: str) -> None:
    body, _ = problem(method, path, **sent)
    assert body.status == 422
    assert body.detail.startswith(where)


def test_several_invalid_things_are_counted() -> None:
    body, _ = problem("POST", "/pairs", json={"pairs": [{"captions": [1, 2, 3]}]})
    assert body.detail.endswith("(and 2 more)")


def test_every_route_tells_of_problems_in_its_document() -> None:
    document = client().get("/openapi.json").json()
    routes = [route for path in document["paths"].values() for route in path.values()]
    assert len(routes) == 6
    for route in routes:
        content = route["responses"]["default"]["content"]
        assert content["application/problem+json"]["schema"]["$ref"].endswith("/ProblemBody")


@pytest.mark.parametrize(
    ("name", "status", "detail"),
    [
        ("full", 507, "no space left on the service's disk"),
        ("quota", 507, "no space left on the service's disk"),
        ("store-full", 507, "no space left on dictionary's disk; free 5 MB of the 64 MB"),
        ("handles", 503, "no room on its disk, or too many files open"),
    ],
)
def test_a_full_disk_is_told_as_such(name: str, status: int, detail: str) -> None:
    body, headers = problem("GET", f"/raise/{name}")
    assert body.status == status
    assert detail in body.detail
    assert "secret" not in body.detail
    assert headers["retry-after"] == "30"


def test_another_fault_of_a_file_is_a_fault() -> None:
    body, headers = problem("GET", "/raise/elsewhere")
    assert body.status == 500
    assert "secret" not in body.detail
    assert "retry-after" not in headers
