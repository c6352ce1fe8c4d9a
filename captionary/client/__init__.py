"""A client of the services: `Client` blocks, `AsyncClient` is for asyncio.

It needs httpx and pydantic only: neither torch nor spaCy, no models and no store.
"""

from captionary.client.client import AsyncClient, Client
from captionary.client.errors import (
    Busy,
    JobUnfinished,
    ServiceProblem,
    UnexpectedResponse,
    Unreachable,
)
from captionary.client.uploads import Pair

__all__ = [
    "AsyncClient",
    "Busy",
    "Client",
    "JobUnfinished",
    "Pair",
    "ServiceProblem",
    "UnexpectedResponse",
    "Unreachable",
]
