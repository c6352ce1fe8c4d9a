import pytest
from fastapi.testclient import TestClient

from captionary.serving.api_keys import Keys
from captionary.serving.cross_origin import GuardMode, choose_guard_mode
from tests.serving.parts import PAGE, Part, app_of

KEYS = Keys(write=("write-0123456789abcdef",))


def status(guard: GuardMode, *, host: str, origin: str | None = None) -> int:
    part = Part()
    part.router.add_api_route("/do", lambda: "done", methods=["POST"])
    headers = {"Host": host} | ({} if origin is None else {"Origin": origin})
    response = TestClient(app_of(part, guard=guard)).post("/do", headers=headers)
    if response.status_code != 200:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["X-Request-ID"]
        assert "\n" not in response.json()["detail"]
    return response.status_code


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8000", "127.8.8.8", "localhost", "LOCALHOST:1", "[::1]:8000", "[::1]"]
)
def test_this_machine_is_asked(host: str) -> None:
    assert status("host and origin", host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "rebound.example:8000",
        "127.0.0.1.example",
        "localhost.example",
        "192.0.2.1:8000",
        "0.0.0.0",
        "[::]",
        "[2001:db8::1]:80",
        "",
        "127.0.0.1@rebound.example",
        "127.0.0.1:port",
        "[::1",
    ],
)
def test_a_name_that_was_made_to_mean_this_machine(host: str) -> None:
    assert status("host and origin", host=host) == 403
    assert status("host and origin", host=host, origin=f"http://{host}") == 403
    assert status("origin", host=host) == status("off", host=host) == 200


@pytest.mark.parametrize("guard", ["host and origin", "origin"])
@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000", 200),
        ("localhost", "http://localhost:80", 200),
        ("localhost:443", "https://localhost", 200),
        ("[::1]:8000", "http://[::1]:8000", 200),
        ("127.0.0.1:8000", PAGE, 200),
        ("127.0.0.1:8000", "http://127.0.0.1:8001", 403),
        ("127.0.0.1:8000", "http://localhost:8000", 403),
        ("127.0.0.1:8000", "http://other.example", 403),
        ("127.0.0.1:8000", "http://127.0.0.1:8000.example", 403),
        ("127.0.0.1:8000", f"{PAGE}.other", 403),
        ("127.0.0.1:8000", "null", 403),
        ("127.0.0.1:8000", "", 403),
        ("localhost", "file://localhost", 403),
    ],
)
def test_pages_that_may_ask(guard: GuardMode, host: str, origin: str, expected: int) -> None:
    assert status(guard, host=host, origin=origin) == expected
    assert status("off", host=host, origin=origin) == 200


def test_keys_make_guards_needless() -> None:
    assert choose_guard_mode(Keys(), allow_network=False) == "host and origin"
    assert choose_guard_mode(Keys(), allow_network=True) == "origin"
    assert (
        choose_guard_mode(KEYS, allow_network=False)
        == choose_guard_mode(KEYS, allow_network=True)
        == "off"
    )


def test_the_answer_says_what_to_do() -> None:
    client = TestClient(app_of(Part(), guard="host and origin"))
    host = client.get("/healthz", headers={"Host": "rebound.example"}).json()["detail"]
    page = client.get("/healthz", headers={"Host": "localhost", "Origin": "http://a.example"})
    assert "'rebound.example' is not this machine" in host
    assert "CAPTIONARY_ORIGINS" in page.json()["detail"]
