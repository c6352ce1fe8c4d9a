"""Builds the distributions of a copy of this checkout, and installs them into new environments."""

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 100
"""For one command, at most."""

NOT_SOURCE = shutil.ignore_patterns(
    ".git", ".venv", "*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build", "dist", "out"
)


def run(command: list[str | Path], cwd: Path, **options: str) -> str:
    """Run a command without this checkout on its path; what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": str(cwd), "OMP_NUM_THREADS": "1", **options},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip_install(python: Path, *arguments: str | Path) -> None:
    """Install into another environment with this one's pip, as pip is configured."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*command, *map(str, arguments)], timeout=SECONDS, check=True)


def copy_checkout(folder: Path) -> Path:
    """Copy the sources, because a build writes beside them."""
    return shutil.copytree(ROOT, folder, ignore=NOT_SOURCE, symlinks=True)


def call_hook(hook: str, source: Path, out: Path) -> Path:
    """Call `build_wheel` or `build_sdist` (PEP 517) of this environment's setuptools."""
    code = f"import sys; from setuptools import build_meta; print(build_meta.{hook}(sys.argv[1]))"
    out.mkdir(exist_ok=True)
    return out / run([sys.executable, "-W", "ignore", "-c", code, out], source).split()[-1]


def unpack_sdist(sdist: Path, folder: Path) -> Path:
    """The folder of sources that a source distribution holds."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def create_environment(folder: Path, *, borrow_dependencies: bool) -> Path:
    """A new virtual environment; its Python.

    borrow_dependencies: whether it sees, after its own, the packages of this environment.
    """
    venv.create(folder, with_pip=False)
    if borrow_dependencies:
        purelib = sysconfig.get_path(
            "purelib", "venv", {"base": str(folder), "platbase": str(folder)}
        )
        # A folder added by a .pth file has its own .pth files ignored, so the editable install of
        # this checkout does not come along.
        borrowed = Path(purelib) / "borrowed.pth"
        borrowed.write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "python"
