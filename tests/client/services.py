"""Both services in a thread of the tests, on a new store."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import uvicorn
from starlette.types import ASGIApp

from captionary.build import ModelNames
from captionary.build_services import open_app
from captionary.serving.server import address_of, listen
from captionary.serving.settings import ServeSettings

PATIENCE = 20
"""Seconds for a server to start, and to end."""


@contextmanager
def serve_in_thread(app: ASGIApp) -> Iterator[str]:
    """Serve an app by a thread, on a free port; its address."""
    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            end = time.monotonic() + PATIENCE
            while not server.started:
                assert thread.is_alive(), "the server ended"
                assert time.monotonic() < end, "the server did not start"
                time.sleep(0.01)
            yield address_of(listening)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


@contextmanager
def both_services(folder: Path, *, key: str | None = None) -> Iterator[str]:
    """Their address.

    key: may write; None: everybody may.
    """
    torch.set_num_threads(1)
    settings = ServeSettings(write_keys=(key,) if key else (), waiting=4)
    models = ModelNames("mini", device="cpu")
    with (
        open_app("both", models, str(folder / "store"), settings) as app,
        serve_in_thread(app) as url,
    ):
        yield url
