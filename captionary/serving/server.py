"""Runs the HTTP server: a listening socket first, so that its port is known, then the app."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from captionary.schemas.errors import WrongInput

GRACE_SECONDS = 30
"""Seconds that requests under way have to finish in after a signal (graceful shutdown)."""

BACKLOG = 128


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket; port 0 takes any free one.

    Raises:
        WrongInput: the address is in use, or is none of this machine.
    """
    # Opened here and not by uvicorn, which tells neither the port nor an error before it serves.
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
    """The URL of a listening socket, as in http://127.0.0.1:8000."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve requests until SIGTERM or SIGINT, then finish those under way and return."""
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with _signals_stop_only_the_server():
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _signals_stop_only_the_server() -> Iterator[None]:
    """Have a signal stop the server and not the process.

    When uvicorn has stopped, it raises the signal once more for the handler that was there before:
    the process would die of it, with what is around the app, such as the store, still open.
    """
    # Python sets signal handlers in the main thread only; tests serve in another.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.signal(number, lambda *_: None) for number in signals}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
