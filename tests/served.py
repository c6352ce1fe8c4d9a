"""Services that tests start and end: `captionary serve`, and the stand-in for Qdrant."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from captionary.cli.main import main
from tests.processes import PATIENCE, ROOT, Forked
from tests.stand_in.__main__ import main as serve_stand_in

__all__ = ["PATIENCE", "ROOT", "Served", "finished", "ready", "service", "stand_in"]


@dataclass
class Served:
    """A process that prints in its first line where it listens.

    work:     what it runs.
    log:      file of its standard error; its output goes beside it.
    settings: of its environment.
    """

    work: Callable[..., object]
    arguments: tuple[Any, ...]
    log: Path
    settings: Mapping[str, str]
    process: "Forked | None" = None
    address: str = ""

    def start(self) -> Self:
        """Start it, and wait until it listens."""
        return self.begin().wait_for_address()

    def begin(self) -> Self:
        """Start it, to be waited for later: several load at a time."""
        output = self.log.with_name(f"{self.log.name}.out")
        output.unlink(missing_ok=True)
        self.process = Forked(
            self.work, *self.arguments, output=output, errors=self.log, settings=self.settings
        )
        return self

    def wait_for_address(self) -> Self:
        """Wait until it listens."""
        assert self.process is not None
        line = self.process.first_line()
        if "http://" not in line:
            self.kill()
            raise AssertionError(self.log.read_text()[-2000:])
        self.address = "http://" + line.split("http://")[1].split(",")[0].strip()
        return self

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, and wait; returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait()

    def __enter__(self) -> Self:
        if self.process is None:
            self.begin()
        return self.wait_for_address()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()


def service(store: object, log: Path, *words: str, port: int = 0, **settings: str) -> Served:
    """`captionary serve` on a store; `words` are further options, as in "--role", "indexer"."""
    options = ["serve", "--store", str(store), "--port", str(port), "--device", "cpu", *words]
    return Served(main, (options,), log, settings)


def stand_in(folder: Path, log: Path, *, port: int = 0) -> Served:
    """A server that answers as Qdrant does, on a folder."""
    return Served(_serve_stand_in, (str(folder), str(port)), log, {})


def _serve_stand_in(folder: str, port: str) -> None:
    sys.argv = ["stand_in", "--folder", folder, "--port", port]
    serve_stand_in()


def ready(address: str, *, seconds: float = PATIENCE) -> None:
    """Wait until a service is ready to work."""
    end = time.monotonic() + seconds
    while not (answer := httpx.get(f"{address}/readyz", timeout=PATIENCE)).is_success:
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)


def finished(
    address: str, job: str, *, key: str = "", seconds: float = PATIENCE
) -> dict[str, object]:
    """Wait for a job of the indexer's to end, and return it."""
    end, headers = time.monotonic() + seconds, {"X-API-Key": key} if key else {}
    while True:
        answer = httpx.get(f"{address}/v1/jobs/{job}", headers=headers, timeout=PATIENCE)
        state: dict[str, object] = answer.raise_for_status().json()
        if state["state"] in ("done", "failed"):
            return state
        assert time.monotonic() < end, state
        time.sleep(0.02)
