"""Addresses in settings: what a browser would never match is refused, with what to write."""

import pytest
from pydantic import ValidationError

from captionary.serving.addresses import check_address, check_origin, check_root_path
from captionary.serving.settings import ServeSettings


@pytest.mark.parametrize(
    "value",
    [
        *("*", "https://a.example", "http://a.example:8080", "http://127.0.0.1:3000"),
        *("http://[::1]:8000", "https://xn--bcher-kva.example", "chrome-extension://abcdef"),
    ],
)
def test_what_browsers_send_is_an_origin(value: str) -> None:
    check_origin(value)


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("https://a.example/", "https://a.example"),
        ("https://a.example/captionary", "https://a.example"),
        ("https://a.example?x#y", "https://a.example"),
        ("https://me:secret@a.example", "https://a.example"),
        ("HTTPS://A.Example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("a.example", "https://a.example"),
        ("//a.example", "https://a.example"),
        ("a.example:8000", "https://a.example:8000"),
        ("localhost:3000/", "http://localhost:3000"),
        ("'https://a.example'", "https://a.example"),
    ],
)
def test_an_origin_written_otherwise_is_refused_with_what_to_write(value: str, right: str) -> None:
    with pytest.raises(ValueError, match="cannot have") as caught:
        check_origin(value)
    assert repr(value) in str(caught.value)
    assert str(caught.value).endswith(f"write {right}")
    check_origin(right)


@pytest.mark.parametrize(
    "value",
    [
        *("https://*.example", "*.example", "null", "https://a.example https://b.example"),
        *("https:/a.example", "https//a.example", "https://", "file:///page.html", "/captionary"),
        *("https://a.example:99999", "https://a.example;https://b.example", "https://..", "[", "'"),
    ],
)
def test_what_is_no_origin_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"it is no address of web pages; write it as in https://"):
        check_origin(value)


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("http://indexer:8001", "http://indexer:8001"),
        ("https://a.example/indexer/", "https://a.example/indexer"),
        ("/indexer/", "/indexer"),
    ],
)
def test_the_address_of_a_service(value: str, address: str) -> None:
    assert check_address(value) == address


@pytest.mark.parametrize(
    "value",
    [
        *("indexer:8001", "localhost:8001", "indexer", "//a.example", "ftp://a.example", "http://"),
        *("https://a.example/?x", "https://a .example", "http://a:b"),
    ],
)
def test_what_is_no_address_of_a_service(value: str) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        check_address(value)


@pytest.mark.parametrize(
    ("value", "path"),
    [("/captionary", "/captionary"), ("/a/b-c.d_e~1/", "/a/b-c.d_e~1"), ("/", None)],
)
def test_a_path_of_a_proxy(value: str, path: str | None) -> None:
    assert check_root_path(value) == path


@pytest.mark.parametrize(
    "value",
    [
        "captionary",
        "//a",
        "/a//b",
        "/a b",
        "/../a",
        "/a/.",
        "/a?b",
        "/ä",
        "/%2f",
        "https://a.example/b",
    ],
)
def test_what_is_no_path_of_a_proxy(value: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be .*: write it as in /captionary"):
        check_root_path(value)


def test_the_settings_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPTIONARY_ROOT_PATH", "/captionary/")
    monkeypatch.setenv("CAPTIONARY_INDEXER_URL", "http://indexer:8001/")
    settings = ServeSettings(origins=("https://a.example", "*"))
    assert (settings.root_path, settings.indexer_url) == ("/captionary", "http://indexer:8001")
    monkeypatch.setenv("CAPTIONARY_ROOT_PATH", "")
    assert ServeSettings().root_path is None
    for wrong in ({"origins": "https://a.example/"}, {"indexer_url": "b"}, {"root_path": "c"}):
        with pytest.raises(ValidationError):
            ServeSettings.model_validate(wrong)
