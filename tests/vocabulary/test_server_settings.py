"""How to talk to a server, from the environment."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from captionary.schemas.errors import WrongInput
from captionary.vocabulary.engines.choice import open_engine
from captionary.vocabulary.engines.server_settings import ServerSettings, read_server_settings

NAMES = ("API_KEY", "GRPC", "GRPC_PORT", "TIMEOUT", "SHARDS", "REPLICAS", "CA")


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"CAPTIONARY_QDRANT_{name}", raising=False)


def test_nothing_set_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    default = ServerSettings()
    assert (default.api_key, default.grpc, default.shards, default.ca) == (None, False, None, None)
    assert read_server_settings() == default
    monkeypatch.setenv("CAPTIONARY_QDRANT_API_KEY", "")
    monkeypatch.setenv("CAPTIONARY_QDRANT_SHARDS", "")
    assert read_server_settings() == default


def test_everything_set(monkeypatch: pytest.MonkeyPatch) -> None:
    values = ("hush", "true", "7334", "2.5", "6", "2", "certificates.pem")
    for name, value in zip(NAMES, values, strict=True):
        monkeypatch.setenv(f"CAPTIONARY_QDRANT_{name}", value)
    read = read_server_settings()
    for name in NAMES:
        monkeypatch.delenv(f"CAPTIONARY_QDRANT_{name}")
    assert read == ServerSettings(
        api_key=SecretStr("hush"),
        grpc=True,
        grpc_port=7334,
        timeout=2.5,
        shards=6,
        replicas=2,
        ca=Path("certificates.pem"),
    )
    assert "hush" not in repr(read)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMEOUT", "soon"),
        ("TIMEOUT", "0"),
        ("TIMEOUT", "inf"),
        ("GRPC", "perhaps"),
        ("GRPC_PORT", "70000"),
        ("SHARDS", "0"),
        ("REPLICAS", "-1"),
    ],
)
def test_a_wrong_value_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("CAPTIONARY_QDRANT_API_KEY", "hush")
    monkeypatch.setenv(f"CAPTIONARY_QDRANT_{name}", value)
    with pytest.raises(WrongInput) as caught:
        open_engine("http://127.0.0.1:1")
    assert str(caught.value).startswith(f"CAPTIONARY_QDRANT_{name}={value} cannot be used: ")
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("store", ["ftp://host/x", "qdrant://me:hush@host", "s3://bucket"])
def test_other_kinds_of_addresses_are_refused(store: str) -> None:
    with pytest.raises(WrongInput, match="is of no known kind; give a folder, or http://HOST"):
        open_engine(store)
