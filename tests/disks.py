"""Disks for tests: small ones, and views of a folder that cannot be written. They need root."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A disk of a size in an empty folder, in memory; the test is skipped where there can be none.

    Reading a hole of a file takes space on it, too: an empty store takes 70 MB.
    """
    folder.mkdir()
    with _mounted(folder, "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs"):
        yield folder


@contextmanager
def read_only_view(source: Path, folder: Path) -> Iterator[Path]:
    """The same files in another folder, through which nobody can write them."""
    folder.mkdir()
    with _mounted(folder, "--bind", source):
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield folder


@contextmanager
def _mounted(folder: Path, *options: str | Path) -> Iterator[None]:
    done = subprocess.run(["mount", *options, folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("needs leave to mount a disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def filled(disk: Path, *, left: int = 0) -> Iterator[None]:
    """Leave so many bytes free on a disk meanwhile."""
    ballast = disk / "ballast"
    figures = os.statvfs(disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, figures.f_bavail * figures.f_frsize - left)
    yield
    ballast.unlink()
