"""A client of the services: `Captionary` blocks, `AsyncCaptionary` is for asyncio."""

from client.errors import Busy, NotDone, ServiceProblem, StrangeAnswer, Unreachable
from client.faces import AsyncCaptionary, Captionary
from client.sending import Pair

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
