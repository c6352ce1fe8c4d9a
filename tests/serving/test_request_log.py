import logging
import re
from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from fastapi.testclient import TestClient

from captionary.serving.logs import JsonLines, request_id
from tests.serving.parts import PAGE, Part, app_of

SECRET = "the password is swordfish"


def app() -> FastAPI:
    part = Part()

    @part.router.get("/id")
    def name(request: Request) -> list[str]:
        return [request.state.request_id, request_id.get()]

    @part.router.get("/fault/{where}")
    def fault(where: str) -> None:
        raise RuntimeError(f"{SECRET} {where}")

    @part.router.get("/breaks-off")
    def breaks_off() -> StreamingResponse:
        def pieces() -> Iterator[bytes]:
            yield b"first"
            raise RuntimeError(SECRET)

        return StreamingResponse(pieces())

    return app_of(part)


@pytest.mark.parametrize("given", ["abc", "A-b_c.9", "x" * 64])
def test_a_fit_id_is_kept_and_known_everywhere(given: str) -> None:
    response = TestClient(app()).get("/id", headers={"X-Request-ID": given})
    assert response.headers["X-Request-ID"] == given
    assert response.json() == [given, given]


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", '"a"', "ä".encode("latin-1")])
def test_any_other_is_replaced(given: str) -> None:
    response = TestClient(app()).get("/id", headers={"X-Request-ID": given})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["X-Request-ID"])
    assert response.json() == [response.headers["X-Request-ID"]] * 2


def test_ids_differ_and_are_forgotten_afterwards() -> None:
    client = TestClient(app())
    assert len({client.get("/id").headers["X-Request-ID"] for _ in range(10)}) == 10
    assert request_id.get() == ""


def test_requests_are_logged_but_not_the_questions_of_machines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "captionary")
    client = TestClient(app())
    for path in ("/healthz", "/readyz", "/metrics", "/id", "/nowhere"):
        client.get(path)
    assert [vars(record)["path"] for record in caplog.records] == ["/id", "/nowhere"]
    first = vars(caplog.records[0])
    assert (first["method"], first["status"]) == ("GET", 200)
    assert 0 <= first["seconds"] < 10


def test_a_fault_is_told_without_its_text_and_logged_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.handler.setFormatter(JsonLines())
    response = TestClient(app()).get("/fault/here", headers={"X-Request-ID": "f1", "Origin": PAGE})
    assert response.status_code == 500
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-ID"] == response.json()["request_id"] == "f1"
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert "swordfish" not in response.text
    [fault] = [line for line in caplog.text.splitlines() if '"event": "fault"' in line]
    assert "swordfish here" in fault
    assert '"request_id": "f1"' in fault


def test_a_fault_amid_an_answer_cuts_it_off_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.handler.setFormatter(JsonLines())
    client = TestClient(app())
    with pytest.raises(RuntimeError, match="swordfish"):
        client.get("/breaks-off", headers={"X-Request-ID": "f2"})
    [fault] = [line for line in caplog.text.splitlines() if '"event": "fault"' in line]
    assert '"request_id": "f2"' in fault
