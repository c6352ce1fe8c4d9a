"""Where a dictionary lies on a Qdrant server: `http(s)://HOST[:PORT][/NAME]`."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from captionary.schemas.errors import WrongInput

DEFAULT_NAME = "captionary"
DEFAULT_PORT = 6333
"""Qdrant's own, whatever the scheme: behind a proxy, name the port (`https://HOST:443`)."""

SCHEMES = ("http", "https")
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A dictionary on a server.

    host: as in a URL, an IPv6 address in brackets.
    name: of the dictionary; its collections are `NAME.pictures`, `NAME.regions` and so on.
    """

    scheme: str
    host: str
    port: int = DEFAULT_PORT
    name: str = DEFAULT_NAME

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            WrongInput: it is none; a password in it is not shown.
        """
        wrong = WrongInput(
            f"the store {_without_password(text)!r} is no address of a Qdrant server; "
            "give http://HOST[:PORT][/NAME], NAME of letters, digits, _ and -"
        )
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise wrong from error
        name = parts.path.strip("/") or DEFAULT_NAME
        # Keys go by the environment: in an address they would end up in logs.
        extra = parts.query or parts.fragment or parts.username is not None
        if parts.scheme not in SCHEMES or not parts.hostname or extra or port == 0:
            raise wrong
        if not NAME.fullmatch(name):
            raise wrong
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(parts.scheme, host, port or DEFAULT_PORT, name)

    @property
    def url(self) -> str:
        """The server."""
        return f"{self.scheme}://{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.url}/{self.name}"


def _without_password(text: str) -> str:
    """An address with what stands before an @ in its host left out."""
    return re.sub(r"(?<=://)[^/]*@", "", text)
