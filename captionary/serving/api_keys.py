"""API keys: authorization to read and to write, and no exposure to a network without keys."""

import hashlib
import hmac
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated

from fastapi import Security
from fastapi.security import APIKeyHeader

from captionary.schemas.errors import WrongInput
from captionary.serving.problems import Problem

HEADER = APIKeyHeader(name="X-API-Key", auto_error=False)
MIN_LENGTH = 16
"""Characters of a key, at least: shorter ones can be guessed."""

REMEDY = "make one with python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"

KeyHeader = Annotated[str | None, Security(HEADER)]


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The API keys of a service; a write key may also read. Without any key everybody may do all.

    Its methods `require_read` and `require_write` are FastAPI dependencies; being coroutines, they
    wait for no thread.

    Raises:
        WrongInput: a key is too short, or cannot be sent.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in (*self.read, *self.write):
            if len(key) < MIN_LENGTH:
                raise WrongInput(f"an API key is shorter than {MIN_LENGTH} characters; {REMEDY}")
            # Clients differ in how they encode other characters in a header.
            if not re.fullmatch(r"[!-~]+", key):
                raise WrongInput(f"an API key has other characters than ASCII's; {REMEDY}")

    @property
    def any(self) -> bool:
        """Whether there are any keys."""
        return bool(self.read or self.write)

    async def require_read(self, key: KeyHeader = None) -> None:
        """Dependency: the request's key may read (else 401 or 403)."""
        self._authorize(key, (*self.read, *self.write))

    async def require_write(self, key: KeyHeader = None) -> None:
        """Dependency: the request's key may write (else 401 or 403)."""
        self._authorize(key, self.write)

    def _authorize(self, key: str | None, allowed: Iterable[str]) -> None:
        if not self.any:
            return
        if key is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "this needs an API key; send it in the header X-API-Key",
                headers={"WWW-Authenticate": "X-API-Key"},
            )
        if not _matches_any(key, allowed):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "this API key may not do that; ask whoever runs the service for another",
            )


def _matches_any(key: str, allowed: Iterable[str]) -> bool:
    """Compare with every key in constant time: digests of one length, and no early exit."""
    digest = hashlib.sha256(key.encode()).digest()
    same = [hmac.compare_digest(digest, hashlib.sha256(one.encode()).digest()) for one in allowed]
    return any(same)


def check_exposure(host: str, keys: Keys, *, allow_network: bool) -> None:
    """Refuse to listen on a network address without keys, unless the network is allowed.

    Raises:
        WrongInput: anybody on the network could read and write the dictionary.
    """
    if keys.any or allow_network or is_loopback(host):
        return
    raise WrongInput(
        f"on {host} everybody who reaches this machine could use the dictionary; set "
        "CAPTIONARY_READ_KEYS and CAPTIONARY_WRITE_KEYS, or say --open"
    )


def is_loopback(host: str) -> bool:
    """Whether a host, an IP address or a name, is this machine's loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
