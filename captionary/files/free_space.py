"""Free space on disks: how much there is, and whether an error comes of its end."""

import os
import shutil
from pathlib import Path

from captionary.schemas.errors import NO_SPACE, DiskFull


def free_space(path: Path) -> int:
    """Bytes free to this user on the disk of a file or folder, which need not exist yet.

    Raises:
        OSError: the disk cannot be asked.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def is_in_memory(path: Path) -> bool:
    """Whether a file or folder is on a tmpfs, where also reading a hole of a file takes space."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return False
    lines = (line.split() for line in mounts.splitlines())
    return any(line[2] == number and line[line.index("-") + 1] == "tmpfs" for line in lines)


def disk_full(error: BaseException, place: Path | None = None) -> DiskFull | None:
    """What to raise instead of an error that comes of a full disk; None: it does not.

    place: what was being written; None: the file that the error names.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DiskFull):
        if isinstance(cause, OSError) and cause.errno in NO_SPACE:
            named = place or (Path(str(cause.filename)) if cause.filename else None)
            if named is None:
                return DiskFull("the output")
            return DiskFull(str(named), free=free_space(named))
        cause = cause.__cause__
    return cause
