"""Processes that train: alone, several that find one another, or cut short by a signal."""

import multiprocessing
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from captionary.cli.main import main
from tests.processes import SERVER


def start(output: Path, work: Callable[..., None], *arguments: Any) -> ForkServerProcess:
    """Start a process in a group of its own, what it prints goes into a file."""
    process = SERVER.Process(target=_run, args=(output, work, arguments))
    process.start()
    return process


def start_together(
    folder: Path, count: int, work: Callable[..., None], *arguments: Any
) -> list[ForkServerProcess]:
    """Start processes that find one another, as torchrun does it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    return [
        start(folder / f"output-{rank}.txt", _run_rank, where, rank, work, arguments)
        for rank in range(count)
    ]


def _run(output: Path, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    import torch

    os.setsid()
    # A shell that runs the tests in the background has them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Else its own workers would come from a server, too, and not as those of a command do.
    multiprocessing.set_start_method(None, force=True)
    torch.set_num_threads(1)
    with output.open("w") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    work(*arguments)


def _run_rank(
    where: dict[str, str], rank: int, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(where, RANK=str(rank), LOCAL_RANK=str(rank))
    work(*arguments)


def cut_short(
    out: Path, command: list[str], how: signal.Signals, *, everyone: bool = False
) -> tuple[int | None, str]:
    """Signal a training, or all of its processes, once it has saved: exit code and what it printed.

    One that was over before the signal came is run anew.
    """
    for _ in range(5):
        shutil.rmtree(out, ignore_errors=True)
        printed = out.with_suffix(".txt")
        run = start(printed, main, command)
        while not (out / "checkpoint.pt").exists() and run.exitcode is None:
            wait([run.sentinel], timeout=0.01)
        if run.exitcode is None and run.pid is not None:
            (os.killpg if everyone else os.kill)(run.pid, how)
        run.join(60)
        run.kill()  # nothing is left behind where it did not obey
        run.join()
        if run.exitcode != 0:
            break
    return run.exitcode, printed.read_text()
