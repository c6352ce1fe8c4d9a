"""Files whose names look like the one asked for, and are written in other bytes.

Macs decompose letters (`é` as `e` and an accent), old archives of Windows have names in cp1252, and
tables have neither.
"""

from dataclasses import dataclass, field
from pathlib import Path

from captionary.schemas.file_names import normal_form


@dataclass(frozen=True, slots=True)
class LookAlikes:
    """Finds files on this machine by what their names look like.

    A folder is listed at the first name that is missed in it; that is remembered.
    """

    _folders: dict[Path, dict[str, str]] = field(default_factory=dict)

    def find(self, path: Path) -> Path:
        """The path itself where it exists or nothing looks like it, else what looks like it."""
        if str(path).isascii() or _exists(path) or path == path.parent:
            return path
        folder = self.find(path.parent)
        if folder not in self._folders:
            self._folders[folder] = _list(folder)
        return folder / self._folders[folder].get(normal_form(path.name), path.name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _list(folder: Path) -> dict[str, str]:
    """The names in a folder that may be written in several ways, by their normal form."""
    try:
        names = [path.name for path in folder.iterdir() if not path.name.isascii()]
    except (OSError, ValueError):
        return {}
    return {normal_form(name): name for name in names}
