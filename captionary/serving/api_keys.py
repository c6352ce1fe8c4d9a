"""API keys: who may read, who may write, and that nobody is let in from afar without one."""

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
SHORTEST = 16
"""Characters of a key, at least: shorter ones can be guessed."""

REMEDY = "make one with python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"

Given = Annotated[str | None, Security(HEADER)]


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """The keys of a service; a key that may write may also read. None at all: everybody may.

    Its methods `reading` and `writing` are dependencies of FastAPI, and wait for no thread.

    Raises:
        WrongInput: a key is too short, or cannot be sent.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for key in (*self.read, *self.write):
            if len(key) < SHORTEST:
                raise WrongInput(f"an API key is shorter than {SHORTEST} characters; {REMEDY}")
            # What a header makes of other characters is a matter of who sends it.
            if not re.fullmatch(r"[!-~]+", key):
                raise WrongInput(f"an API key has other characters than ASCII's; {REMEDY}")

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self.read or self.write)

    async def reading(self, key: Given = None) -> None:
        """Let a request pass that may read."""
        self._admit(key, (*self.read, *self.write))

    async def writing(self, key: Given = None) -> None:
        """Let a request pass that may write."""
        self._admit(key, self.write)

    def _admit(self, key: str | None, allowed: Iterable[str]) -> None:
        if not self.any:
            return
        if key is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "this needs an API key; send it in the header X-API-Key",
                headers={"WWW-Authenticate": "X-API-Key"},
            )
        if not _is_one_of(key, allowed):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "this API key may not do that; ask whoever runs the service for another",
            )


def _is_one_of(key: str, allowed: Iterable[str]) -> bool:
    """Compare with every key, in a time that does not tell how much was right."""
    given = hashlib.sha256(key.encode()).digest()
    same = [hmac.compare_digest(given, hashlib.sha256(one.encode()).digest()) for one in allowed]
    return any(same)


def check_exposure(host: str, keys: Keys, *, openly: bool) -> None:
    """Refuse to listen beyond this machine without keys, unless told to.

    Raises:
        WrongInput: anybody on the network could read and write the dictionary.
    """
    if keys.any or openly or is_loopback(host):
        return
    raise WrongInput(
        f"on {host} everybody who reaches this machine could use the dictionary; set "
        "CAPTIONARY_READ_KEYS and CAPTIONARY_WRITE_KEYS, or say --open"
    )


def is_loopback(host: str) -> bool:
    """Whether a host, an address or a name, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
