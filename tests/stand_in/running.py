"""Starts the stand-in on 127.0.0.1, in a thread."""

import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import sleep

import uvicorn

from tests.stand_in.rest import Gateway, build_app
from tests.stand_in.rpc import listening
from tests.stand_in.shards import Shards


@dataclass(frozen=True, slots=True)
class StandIn:
    """A stand-in that listens.

    url:       `http://127.0.0.1:PORT`.
    grpc_port: of its gRPC API.
    """

    url: str
    grpc_port: int
    gateway: Gateway
    shards: Shards


@contextmanager
def running(folder: Path, *, port: int = 0, api_key: str | None = None) -> Iterator[StandIn]:
    """Serve the collections of a folder; port 0 is a free one."""
    gateway = Gateway(api_key)
    with closing(Shards(folder)) as shards, socket.create_server(("127.0.0.1", port)) as listener:
        config = uvicorn.Config(
            build_app(shards, gateway), log_level="error", lifespan="off", ws="none"
        )
        server = uvicorn.Server(config)
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            sleep(0.005)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with listening(shards, gateway) as grpc_port:
                yield StandIn(url, grpc_port, gateway, shards)
        finally:
            server.should_exit = True
            thread.join()
