"""Where a dictionary lies on a Qdrant server: `http(s)://HOST[:PORT][,HOST[:PORT]...][/NAME]`."""

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
    """A dictionary on a server, or on several nodes of one cluster.

    hosts: as in URLs, each with its port; an IPv6 address in brackets.
    name:  of the dictionary; its collections are `NAME.pictures`, `NAME.regions` and so on.
    """

    scheme: str
    hosts: tuple[str, ...]
    name: str = DEFAULT_NAME

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address.

        Raises:
            WrongInput: it is none; a password in it is not shown.
        """
        wrong = WrongInput(
            f"the store {_without_password(text)!r} is no address of a Qdrant server; "
            "give http://HOST[:PORT][/NAME], NAME of letters, digits, _ and -, with as many hosts "
            "as a cluster has nodes (http://A,B/NAME)"
        )
        try:
            parts = urlsplit(text)
            hosts = tuple(_host(f"{parts.scheme}://{host}") for host in parts.netloc.split(","))
        except ValueError as error:
            raise wrong from error
        name = parts.path.strip("/") or DEFAULT_NAME
        if parts.scheme not in SCHEMES or parts.query or parts.fragment:
            raise wrong
        if not NAME.fullmatch(name):
            raise wrong
        return cls(parts.scheme, tuple(dict.fromkeys(hosts)), name)

    @property
    def urls(self) -> tuple[str, ...]:
        """The server, or each of the nodes."""
        return tuple(f"{self.scheme}://{host}" for host in self.hosts)

    @property
    def url(self) -> str:
        """The server, for messages."""
        return f"{self.scheme}://{','.join(self.hosts)}"

    def __str__(self) -> str:
        return f"{self.url}/{self.name}"


def _host(url: str) -> str:
    """Host and port of a URL that has nothing else. Raises ValueError: it is none."""
    parts = urlsplit(url)
    # Keys go by the environment: in an address they would end up in logs.
    if not parts.hostname or parts.username is not None or parts.port == 0:
        raise ValueError(url)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or DEFAULT_PORT}"


def _without_password(text: str) -> str:
    """An address with what stands before an @ in its host left out."""
    return re.sub(r"(?<=://)[^/]*@", "", text)
