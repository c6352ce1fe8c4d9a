"""Fetching pictures by URL, safe from server-side request forgery (SSRF).

Only from allowed prefixes, without redirects or proxies, up to a size and a time.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import httpx

from captionary.schemas.errors import UnreadablePicture, WrongInput, one_line

TIMEOUT = 10
"""Seconds for a connection, and between two pieces."""

MAX_SECONDS = 30
"""Seconds for a whole picture."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """Addresses of one scheme, host and port, whose path is this one or lies under it."""

    scheme: str
    host: bytes
    port: int | None
    path: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            WrongInput: it is not one that pictures can lie under.
        """
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL as error:
            raise WrongInput(_not_a_prefix(text)) from error
        plain = not (url.userinfo or url.query or url.fragment or _may_climb(url))
        if url.scheme not in ("http", "https") or not url.host or not plain:
            raise WrongInput(_not_a_prefix(text))
        return cls(url.scheme, url.raw_host, url.port, _path(url))

    def covers(self, url: httpx.URL) -> bool:
        """Whether an address is one of them."""
        if (url.scheme, url.raw_host, url.port) != (self.scheme, self.host, self.port):
            return False
        path = _path(url)
        return path == self.path or path.startswith(self.path.rstrip(b"/") + b"/")


class Fetcher:
    """Fetches pictures from allowed addresses, between `open` and `close`.

    allowed:   what addresses may begin with; none at all: nothing is fetched.
    max_bytes: of a picture.

    Raises:
        WrongInput: one of `allowed` is no such address.
    """

    def __init__(self, allowed: Sequence[str], *, max_bytes: int) -> None:
        self._prefixes = [Prefix.parse(text) for text in allowed]
        self._max_bytes = max_bytes
        self._client: httpx.Client | None = None

    def open(self) -> None:
        """Make ready."""
        if self._prefixes:
            self._client = httpx.Client(
                timeout=TIMEOUT,
                follow_redirects=False,  # a redirect may lead to where nothing may be fetched from
                trust_env=False,  # a proxy would reach what this machine may not
                headers={"Accept-Encoding": "identity"},
            )

    def close(self) -> None:
        """Let go of all connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def check(self, address: str) -> None:
        """Refuse an address from which nothing may be fetched.

        Raises:
            UnreadablePicture: it is not allowed, or is none.
        """
        if not self._prefixes:
            raise UnreadablePicture("this service fetches no addresses; send the picture itself")
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise UnreadablePicture(f"{address!r} is not an address: {error}") from error
        allowed = any(prefix.covers(url) for prefix in self._prefixes)
        if url.userinfo or _may_climb(url) or not allowed:
            raise UnreadablePicture(
                f"{address} is not under an address that this service may fetch from; "
                "send the picture itself"
            )

    def fetch(self, address: str) -> Iterator[bytes]:
        """The bytes of a picture, as they come.

        Raises:
            UnreadablePicture: it is not allowed, not there, too large, or too slow.
        """
        self.check(address)
        assert self._client is not None, "the fetcher is not open"
        received, end = 0, time.monotonic() + MAX_SECONDS
        try:
            with self._client.stream("GET", address) as response:
                _check_status(address, response)
                # As sent: unpacked, a few bytes could be gigabytes.
                for piece in response.iter_raw():
                    received += len(piece)
                    if received > self._max_bytes:
                        raise UnreadablePicture(
                            f"{address} is larger than {self._max_bytes:,} bytes; "
                            "give a smaller file"
                        )
                    if time.monotonic() > end:
                        raise UnreadablePicture(f"{address} takes longer than {MAX_SECONDS} s")
                    yield piece
        except httpx.HTTPError as error:
            raise UnreadablePicture(
                f"{address} cannot be fetched: {one_line(error)}; check the address"
            ) from error


def _check_status(address: str, response: httpx.Response) -> None:
    if response.is_redirect:
        raise UnreadablePicture(
            f"{address} answers {response.status_code}, and redirects are not followed; "
            "give the address that it leads to"
        )
    if response.status_code != httpx.codes.OK:
        raise UnreadablePicture(f"{address} answers {response.status_code}; check the address")


def _path(url: httpx.URL) -> bytes:
    return url.raw_path.partition(b"?")[0]


def _may_climb(url: httpx.URL) -> bool:
    """Whether a server may read the path as one that leads up again.

    Some drop what follows a semicolon, end at a control character, or decode a second time.
    """
    climbs = ".." in re.split(r"[/\\]", url.path)
    return climbs or re.search(r"[;%\x00-\x1f\x7f-\x9f]", url.path) is not None


def _not_a_prefix(text: str) -> str:
    return (
        f"{text!r} is nothing that pictures may be fetched from; "
        "give the beginning of an address, as in https://example.org/pictures/"
    )
