"""Processes that tests start and end: `captionary serve`, and the stand-in for Qdrant."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

ROOT = Path(__file__).parents[1]
PATIENCE = 120
"""Seconds to wait for a process to come as far as wanted."""


@dataclass
class Served:
    """A process that says in its first line where it listens.

    words: its command line. settings: of its environment.
    """

    words: Sequence[str]
    log: Path
    settings: Mapping[str, str]
    process: "subprocess.Popen[str] | None" = None
    address: str = ""

    def start(self) -> Self:
        """Start it, and wait until it listens."""
        with self.log.open("a") as said:
            self.process = subprocess.Popen(
                self.words,
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1", **self.settings},
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        if "http://" not in first:
            self.kill()
            raise AssertionError(self.log.read_text()[-2000:])
        self.address = "http://" + first.split("http://")[1].split(",")[0].strip()
        return self

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)
        self._close()

    def stop(self) -> int:
        """Ask it to end, and wait; answers its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.kill()
        else:
            self._close()

    def _close(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.stdout.close()


def service(store: object, log: Path, *words: str, port: int = 0, **settings: str) -> Served:
    """`captionary serve` on a store; `words` are further options, as in "--role", "indexer"."""
    command = [sys.executable, "-m", "captionary", "serve", "--store", str(store)]
    command += ["--port", str(port), "--device", "cpu", *words]
    return Served(command, log, settings)


def stand_in(folder: Path, log: Path, *, port: int = 0) -> Served:
    """A server that answers as Qdrant does, on a folder."""
    command = [sys.executable, "-m", "tests.stand_in", "--folder", str(folder)]
    return Served([*command, "--port", str(port)], log, {})


def ready(address: str, *, seconds: float = PATIENCE) -> None:
    """Wait until a service is ready to work."""
    end = time.monotonic() + seconds
    while not (said := httpx.get(f"{address}/readyz", timeout=PATIENCE)).is_success:
        assert time.monotonic() < end, said.text
        time.sleep(0.1)


def finished(
    address: str, job: str, *, key: str = "", seconds: float = PATIENCE
) -> dict[str, object]:
    """Wait for a job of the indexer's to end; answers it."""
    end, headers = time.monotonic() + seconds, {"X-API-Key": key} if key else {}
    while True:
        answer = httpx.get(f"{address}/v1/jobs/{job}", headers=headers, timeout=PATIENCE)
        state: dict[str, object] = answer.raise_for_status().json()
        if state["state"] in ("done", "failed"):
            return state
        assert time.monotonic() < end, state
        time.sleep(0.05)
