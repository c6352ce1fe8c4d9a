import pytest
from fastapi import Depends
from fastapi.testclient import TestClient

from captionary.schemas.errors import WrongInput
from captionary.serving.api_keys import MIN_LENGTH, Keys, check_exposure
from tests.serving.parts import Part, app_of

READ = "read-0123456789abcdef"
WRITE = "write-0123456789abcdef"
SECOND = "second-0123456789abcdef"
BOTH = Keys(read=(READ, SECOND), write=(WRITE,))


def client(keys: Keys) -> TestClient:
    part = Part()
    part.router.add_api_route("/read", lambda: "read", dependencies=[Depends(keys.require_read)])
    part.router.add_api_route(
        "/write", lambda: "written", dependencies=[Depends(keys.require_write)]
    )
    return TestClient(app_of(part))


def status(keys: Keys, path: str, key: str | None) -> int:
    headers = {} if key is None else {"X-API-Key": key}
    return client(keys).get(path, headers=headers).status_code


@pytest.mark.parametrize("path", ["/read", "/write"])
@pytest.mark.parametrize("key", [None, READ])
def test_without_keys_everybody_may_do_everything(path: str, key: str | None) -> None:
    assert status(Keys(), path, key) == 200


@pytest.mark.parametrize(
    ("key", "read", "write"),
    [
        (READ, 200, 403),
        (SECOND, 200, 403),
        (WRITE, 200, 200),
        (None, 401, 401),
        ("", 401, 401),
    ],
)
def test_who_may_do_what(key: str | None, read: int, write: int) -> None:
    assert (status(BOTH, "/read", key), status(BOTH, "/write", key)) == (read, write)


@pytest.mark.parametrize(
    "key",
    [
        READ[:-1],
        READ + "x",
        READ.upper(),
        f"{READ},{SECOND}",
        WRITE[::-1],
        "x" * 10_000,
    ],
)
def test_a_key_is_right_as_a_whole_or_not_at_all(key: str) -> None:
    assert status(BOTH, "/read", key) == 403


def test_what_cannot_be_a_key_is_refused_as_any_other() -> None:
    response = client(BOTH).get("/read", headers={b"X-API-Key": "schlüssel-für-die-tür".encode()})
    assert response.status_code == 403


@pytest.mark.parametrize("key", ["schlüssel-für-die-tür", "a key of several words", "tab\t" * 9])
def test_keys_that_headers_do_not_carry_are_refused(key: str) -> None:
    with pytest.raises(WrongInput, match="other characters than ASCII's"):
        Keys(write=(key,))


def test_with_read_keys_alone_nobody_writes() -> None:
    assert status(Keys(read=(READ,)), "/write", READ) == 403


def test_with_write_keys_alone_reading_needs_one_too() -> None:
    keys = Keys(write=(WRITE,))
    assert (status(keys, "/read", None), status(keys, "/read", WRITE)) == (401, 200)


def test_the_answer_says_what_to_do() -> None:
    without = client(BOTH).get("/read")
    assert "X-API-Key" in without.json()["detail"]
    assert without.headers["WWW-Authenticate"] == "X-API-Key"
    wrong = client(BOTH).get("/write", headers={"X-API-Key": READ})
    assert "ask whoever runs the service" in wrong.json()["detail"]


@pytest.mark.parametrize("keys", [{"read": ("swordfish",)}, {"write": ("x" * (MIN_LENGTH - 1),)}])
def test_short_keys_are_refused_without_being_shown(keys: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(WrongInput, match="shorter than 16") as refused:
        Keys(**keys)
    assert not any(key in str(refused.value) for given in keys.values() for key in given)
    assert "token_urlsafe" in str(refused.value)


def test_keys_are_not_shown() -> None:
    assert READ not in repr(BOTH)
    assert READ not in f"{BOTH}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_keys(host: str) -> None:
    check_exposure(host, Keys(), allow_network=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "services.example", ""])
def test_other_machines_need_keys_or_a_word(host: str) -> None:
    with pytest.raises(WrongInput, match="CAPTIONARY_READ_KEYS") as refused:
        check_exposure(host, Keys(), allow_network=False)
    assert "--open" in str(refused.value)
    check_exposure(host, BOTH, allow_network=False)
    check_exposure(host, Keys(), allow_network=True)
