"""Processes that tests start and end, forked from a server that has imported everything already.

A fresh interpreter takes seconds to import torch and open_clip; a fork of the server takes
milliseconds, and inherits neither threads nor locks of the process that runs the tests. What a
fresh interpreter does is tested by `tests/packaging` and `tests/deploy`.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from captionary.cli.main import main

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0
"""Seconds to wait for a process to come as far as wanted."""

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        "captionary.build_services",
        "captionary.build_training",
        "captionary.dictionary",
        "captionary.indexer.nouns",
        "captionary.indexer.pipeline",
        "captionary.learning.initial_model",
        "captionary.learning.methods.pgseg",
        "captionary.learning.methods.vilseg",
        "captionary.learning.trainer",
        "captionary.segmenter.outputs",
        "captionary.vision.plan",
        "captionary.vocabulary.copying",
        "captionary.vocabulary.engines.edge",
        "captionary.vocabulary.engines.server",
        "pytest",
        "tests.learning.child_processes",
        "tests.processes",
        "tests.stand_in.running",
        "tests.served",
        "uvicorn",
    ]
)


class Forked:
    """A function, run in a process of its own, with the interface of `subprocess.Popen`.

    Args:
        work:   what to run; its SystemExit is the exit code.
        output: file that standard output goes to.
        errors: file that standard error goes to; may be the same.
        settings: of its environment, beside those of this process.
    """

    def __init__(
        self,
        work: Callable[..., object],
        *arguments: Any,
        output: Path,
        errors: Path,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.output, self.errors = output, errors
        self._process = SERVER.Process(
            target=_run, args=(work, arguments, output, errors, dict(settings or {}), Path.cwd())
        )
        output.touch()
        errors.touch()
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = PATIENCE) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutError(f"the process runs after {timeout} s; {self.errors.read_text()}")
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def first_line(self, *, seconds: float = PATIENCE) -> str:
        """Wait for the first line of its output; empty if it ended without one."""
        end = time.monotonic() + seconds
        while "\n" not in (text := self.output.read_text()):
            if self._process.exitcode is not None:
                return self.output.read_text().partition("\n")[0]
            assert time.monotonic() < end, self.errors.read_text()[-2000:]
            time.sleep(0.01)
        return text.partition("\n")[0]


def captionary_process(
    arguments: Sequence[object], folder: Path, *, settings: Mapping[str, str] | None = None
) -> Forked:
    """Run `captionary ARGUMENTS`; its output and errors are files in a folder."""
    return Forked(
        main,
        [str(argument) for argument in arguments],
        output=folder / "output.txt",
        errors=folder / "errors.txt",
        settings=settings,
    )


def _run(
    work: Callable[..., object],
    arguments: tuple[Any, ...],
    output: Path,
    errors: Path,
    settings: Mapping[str, str],
    folder: Path,
) -> None:
    import torch

    os.chdir(folder)
    os.environ.update(settings)
    # A shell that runs the tests in the background has its children ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    for path, stream in ((output, sys.stdout), (errors, sys.stderr)):
        with path.open("a") as file:
            os.dup2(file.fileno(), stream.fileno())
    work(*arguments)
