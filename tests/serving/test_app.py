from contextlib import AbstractAsyncContextManager

import pytest
from fastapi.testclient import TestClient

from captionary.schemas.errors import CaptionaryError
from tests.serving.parts import PAGE, Part, app_of


def test_alive_whatever_the_services_lack() -> None:
    client = TestClient(app_of(Part(wrong=CaptionaryError("no model"))))
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_when_all_services_are() -> None:
    first, second = Part(name="first"), Part(name="second")
    client = TestClient(app_of(first, second))
    assert client.get("/readyz").json() == {"status": "ok"}
    second.wrong = CaptionaryError("the store is away; start it")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["detail"] == "the store is away; start it"
    assert response.headers["Retry-After"] == "5"
    second.wrong = None
    assert client.get("/readyz").status_code == 200


def test_services_end_in_the_opposite_order_of_their_start() -> None:
    events: list[str] = []
    first, second = Part(name="first", events=events), Part(name="second", events=events)
    with TestClient(app_of(first, second)) as client:
        client.get("/healthz")
        assert events == ["first starts", "second starts"]
    assert events[2:] == ["second ends", "first ends"]


def test_what_has_started_ends_when_the_next_cannot_start() -> None:
    class Broken(Part):
        def lifespan(self) -> AbstractAsyncContextManager[None]:
            raise CaptionaryError("no room for the queue")

    first = Part(name="first")
    with (
        pytest.raises(CaptionaryError, match="no room"),
        TestClient(app_of(first, Broken())),
    ):
        pass
    assert first.events == ["first starts", "first ends"]


def test_a_page_that_may_call_is_told_so() -> None:
    client = TestClient(app_of(Part()))
    response = client.options(
        "/readyz",
        headers={
            "Origin": PAGE,
            "Access-Control-Request-Method": "DELETE",
            "Access-Control-Request-Headers": "X-API-Key, Content-Type",
        },
    )
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert "DELETE" in response.headers["Access-Control-Allow-Methods"]
    response = client.get("/nowhere", headers={"Origin": PAGE})
    assert response.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize("origins", [(), (PAGE,)])
def test_any_other_page_is_not(origins: tuple[str, ...]) -> None:
    client = TestClient(app_of(Part(), origins=origins))
    response = client.get("/readyz", headers={"Origin": "http://other.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


def test_figures_are_not_in_the_document_of_the_api() -> None:
    document = TestClient(app_of(Part())).get("/openapi.json").json()
    assert set(document["paths"]) == {"/healthz", "/readyz"}
    assert document["info"] == {"title": "Tests", "version": "1"}
