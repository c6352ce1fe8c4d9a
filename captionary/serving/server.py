"""Listening: a socket first, so that the address is known and told, then the app until a signal."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from captionary.schemas.errors import WrongInput

PATIENCE = 30
"""Seconds that requests under way have to end in when the process is told to."""

BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 is any free one.

    Raises:
        WrongInput: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise WrongInput(
            f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port"
        ) from error
    return listening


def address_of(listening: socket.socket) -> str:
    """How to reach a socket, as in http://127.0.0.1:8000."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Answer requests until SIGTERM or SIGINT, then finish those under way and return."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=PATIENCE,
    )
    with _signals_only_end_the_server():
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _signals_only_end_the_server() -> Iterator[None]:
    """Have a signal end nothing but the server.

    When it has ended, uvicorn raises the signal once more, as it was handled before: the process
    would die of it, with what is around the app, the store among it, still open.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
