"""Free space on disks: how much there is, and whether an error comes of its end."""

import errno
import shutil
from pathlib import Path

from captionary.schemas.errors import DiskFull

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
"""The disk is full, or what this user may have of it."""


def free_space(path: Path) -> int:
    """Bytes free to this user on the disk of a file or folder, which need not exist yet.

    Raises:
        OSError: the disk cannot be asked.
    """
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


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
