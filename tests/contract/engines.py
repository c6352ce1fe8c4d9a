"""Every engine that the suites run over, each with a store of its own that can be opened again.

A real Qdrant server is one of them where CAPTIONARY_TEST_QDRANT_URL names it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import pytest
from pydantic import SecretStr
from qdrant_client import QdrantClient

from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.engines.engine import NAMES, Engine
from captionary.vocabulary.engines.server import ServerEngine
from captionary.vocabulary.engines.server_settings import ServerSettings
from tests.contract.exact_engine import ExactEngine
from tests.stand_in.running import running

Open: TypeAlias = Callable[[], Engine]

URL_OF_REAL = os.environ.get("CAPTIONARY_TEST_QDRANT_URL", "")
KEY_OF_REAL = os.environ.get("CAPTIONARY_TEST_QDRANT_API_KEY") or None

ENGINES = (
    "edge",
    "exact",
    "server",
    "grpc",
    pytest.param(
        "real",
        marks=pytest.mark.skipif(
            not URL_OF_REAL, reason="CAPTIONARY_TEST_QDRANT_URL names no Qdrant server"
        ),
    ),
)


RULE_ENGINES = tuple(kind for kind in ENGINES if kind != "grpc")
"""Those that the rules of the dictionary run over; gRPC is held to the contract, and differs in how
it is called only."""


@contextmanager
def opener(kind: str, folder: Path) -> Iterator[Open]:
    """What opens one store, not made yet, of an engine."""
    if kind == "edge":
        yield lambda: EdgeEngine(folder / "store")
    elif kind == "exact":
        kept = ExactEngine()
        yield lambda: kept
    elif kind == "server":
        with running(folder / "server") as stand_in:
            yield lambda: ServerEngine(stand_in.url, ServerSettings())
    elif kind == "grpc":
        with running(folder / "server") as stand_in:
            settings = ServerSettings(grpc=True, grpc_port=stand_in.grpc_port)
            yield lambda: ServerEngine(stand_in.url, settings)
    else:
        with _dictionary_of_real() as address:
            yield lambda: ServerEngine(
                address, ServerSettings(api_key=SecretStr(KEY_OF_REAL) if KEY_OF_REAL else None)
            )


@contextmanager
def _dictionary_of_real() -> Iterator[str]:
    """The address of a dictionary on the real server, removed at the end."""
    name = f"test-{uuid4()}"
    try:
        yield f"{URL_OF_REAL.rstrip('/')}/{name}"
    finally:
        headers = {"api-key": KEY_OF_REAL} if KEY_OF_REAL else None
        with closing(
            QdrantClient(URL_OF_REAL, headers=headers, check_compatibility=False)
        ) as client:
            for part in (*NAMES, "meta"):
                client.delete_collection(f"{name}.{part}")
