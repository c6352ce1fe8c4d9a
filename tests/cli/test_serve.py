"""`captionary serve`: what it refuses before it serves, and how it ends."""

import socket
from pathlib import Path

import httpx
import pytest

from tests.cli.running import World, captionary
from tests.served import PATIENCE, ready, service

KEY = "a-key-of-the-tests-0123456789"
SECRET = "zz9"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "on 0.0.0.0 everybody who reaches this machine could use the dict"),
        (("--host", "::"), "on :: everybody who reaches this machine could use the dictionary"),
        (("--host", "256.0.0.1", "--open"), "cannot listen on 256.0.0.1:8000"),
        (("--root-path", "captionary"), "CAPTIONARY_ROOT_PATH cannot be 'captionary': write it"),
        (("--role", "reader"), "'reader' is not one of 'indexer', 'segmenter', 'both'"),
        (("--port", "70000"), "should be less than or equal to 65535"),
        (("--encoder", "nothing/here"), "nothing/here"),
        (("--encoder", "mini", "--looks", "efficientnet_lite9"), "near it: "),
    ],
)
def test_what_cannot_be_served_is_told_in_one_line(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    answer = captionary("serve", "--store", tmp_path / "store", *words)

    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("WORKERS", "many", "CAPTIONARY_WORKERS cannot be 'many'"),
        ("BODY_MB", "0", "CAPTIONARY_BODY_MB cannot be '0'"),
        ("WRITE_KEY", SECRET, "CAPTIONARY_WRITE_KEY is no setting; did you mean CAPTIONARY_WRITE_"),
        ("ORIGINS", "*, https://a.example/", "CAPTIONARY_ORIGINS cannot have 'https://a.example/'"),
        ("INDEXER_URL", "indexer:8001", "CAPTIONARY_INDEXER_URL cannot be 'indexer:8001': write"),
        ("WRITE_KEYS", SECRET, "an API key is shorter than 16 characters"),
    ],
)
def test_settings_that_cannot_be_are_told_in_one_line(
    name: str, value: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CAPTIONARY_{name}", value)
    answer = captionary("serve", "--store", tmp_path / "store")

    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert SECRET not in answer.err


def test_a_port_in_use_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = captionary(
            "serve", "--store", tmp_path / "store", "--port", taken.getsockname()[1]
        )

    assert answer.code == 2
    assert "give another --port" in answer.err


def test_a_store_in_use_is_told(world: World, tmp_path: Path) -> None:
    with service(world.store, tmp_path / "log", "--state", str(tmp_path / "state")):
        answer = captionary("serve", "--store", world.store, "--port", 0)

    assert answer.code == 2
    assert "is in use by another process" in answer.err


def test_both_are_served_with_keys_and_end_when_told(world: World, tmp_path: Path) -> None:
    keyed = service(
        world.store,
        tmp_path / "log",
        "--state",
        str(tmp_path / "state"),
        CAPTIONARY_READ_KEYS=KEY,
        CAPTIONARY_WRITE_KEYS=f"{KEY}-to-write, another-key-of-the-tests",
    )
    with keyed as both:
        ready(both.address)
        nouns, removal = "/v1/vocabulary", "/v1/images/nothing"
        with httpx.Client(base_url=both.address, timeout=PATIENCE) as client:
            assert client.get(nouns).status_code == httpx.codes.UNAUTHORIZED
            assert client.get(nouns, headers={"X-API-Key": KEY}).is_success
            asked = client.delete(removal, headers={"X-API-Key": KEY})
            assert asked.status_code == httpx.codes.FORBIDDEN
            asked = client.delete(removal, headers={"X-API-Key": f"{KEY}-to-write"})
            assert asked.status_code == httpx.codes.NOT_FOUND
        assert both.stop() == 0
    assert KEY not in (tmp_path / "log").read_text()
