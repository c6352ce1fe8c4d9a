"""Addresses in settings: origins of web pages, another service, a path. What is wrong is refused
at the start, as a browser says nothing of it to whoever runs the service."""

import re
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


def check_origin(value: str) -> None:
    """Check that browsers may send this as the Origin of a page; "*" stands for all of them.

    Raises:
        ValueError: they write it otherwise, or it is none.
    """
    if value == "*":
        return
    origin = _origin_of(value)
    if origin is None:
        raise ValueError(
            f"cannot have {value!r}: it is no address of web pages; write it as in "
            "https://captionary.example, with commas between several, or * for all"
        )
    if origin != value:
        raise ValueError(
            f"cannot have {value!r}: browsers name a page's origin with its scheme, in lower case, "
            f"without a path or its usual port; write {origin}"
        )


def check_address(value: str) -> str:
    """The address of a service as pages ask for it, without a slash at the end.

    Raises:
        ValueError: it is neither an http address nor a path.
    """
    parts = split_url(value)
    plain = not (parts.query or parts.fragment or re.search(r"[\s,\\]", value))
    is_path = value.startswith("/") and not value.startswith("//")
    if not plain or not (is_path or (parts.scheme in DEFAULT_PORTS and parts.hostname)):
        raise ValueError(
            f"cannot be {value!r}: write it as in https://captionary.example/indexer, or /indexer "
            "where it has the address of the page"
        )
    return value.rstrip("/")


def check_root_path(value: str) -> str | None:
    """A path under which a proxy shows a service, without a slash at the end; None: it has none.

    Raises:
        ValueError: it is no such path.
    """
    path = value.rstrip("/")
    if not re.fullmatch(r"(/(?!\.{1,2}(/|$))[\w.~-]+)*", path, re.ASCII):
        raise ValueError(f"cannot be {value!r}: write it as in /captionary")
    return path or None


def split_url(url: str) -> SplitResult:
    """The parts of a URL; all of them empty where it is malformed."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return urlsplit("")
    return parts


def _origin_of(value: str) -> str | None:
    """The origin that is probably meant; None where nothing can be."""
    text = value.strip("'\" ")
    if re.match("/(?!/)", text):
        return None
    if "://" not in text:
        # Not for `urlsplit`, to which a host and a port are a scheme and a path.
        text = f"{'http' if re.match('localhost|127[.]', text) else 'https'}://{text.lstrip('/')}"
    parts = split_url(text)
    try:
        host = (parts.hostname or "").encode("idna").decode()
    except UnicodeError:
        return None
    is_host = re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*", host)
    if (
        not is_host
        or host in {"null", "http", "https"}
        or not re.fullmatch(r"[a-z][a-z0-9+.-]*", parts.scheme)
    ):
        return None
    host = f"[{host}]" if ":" in host else host
    usual = parts.port in (None, DEFAULT_PORTS.get(parts.scheme))
    return f"{parts.scheme}://{host}" + ("" if usual else f":{parts.port}")
