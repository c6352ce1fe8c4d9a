"""A client of the services: `Captionary` blocks, `AsyncCaptionary` is for asyncio."""

from captionary.client.clients import AsyncCaptionary, Captionary
from captionary.client.errors import Busy, NotDone, ServiceProblem, StrangeAnswer, Unreachable
from captionary.client.uploads import Pair

__all__ = [
    "AsyncCaptionary",
    "Busy",
    "Captionary",
    "NotDone",
    "Pair",
    "ServiceProblem",
    "StrangeAnswer",
    "Unreachable",
]
