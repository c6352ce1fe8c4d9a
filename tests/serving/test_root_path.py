"""A service under a path of a proxy's, which strips it from requests or does not."""

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient

from tests.serving.parts import Part, app_of

ROOT = "/captionary"


@pytest.fixture(scope="module")
def client() -> TestClient:
    part = Part()

    @part.router.get("/fail/{what:path}")
    def fail(what: str) -> None:
        raise HTTPException(418, what)

    return TestClient(app_of(part, root_path=ROOT), follow_redirects=False)


@pytest.mark.parametrize("prefix", ["", ROOT])
def test_both_ways_lead_to_the_same(client: TestClient, prefix: str) -> None:
    assert client.get(f"{prefix}/healthz").json() == {"status": "ok"}
    problem = client.get(f"{prefix}/fail/captionary/x").json()
    assert problem["detail"] == "captionary/x"
    assert problem["instance"] == f"{ROOT}/fail/captionary/x"
    assert client.get(f"{prefix}/nowhere").json()["instance"] == f"{ROOT}/nowhere"
    assert client.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": ROOT}]


def test_the_path_without_a_slash_leads_to_the_page(client: TestClient) -> None:
    answer = client.get(ROOT)
    assert (answer.status_code, answer.headers["Location"]) == (307, f"{ROOT}/")
    assert client.get(f"{ROOT}ish").status_code == 404


def test_nothing_else_leads_elsewhere(client: TestClient) -> None:
    for path in ("/healthz/", f"{ROOT}/healthz/"):
        assert client.get(path).status_code == 404
    assert TestClient(app_of(Part())).get("/openapi.json").json().get("servers") is None
