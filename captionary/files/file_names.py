"""Names of files, compared by what they look like.

Macs decompose letters (`é` as `e` and an accent), old archives of Windows have names in cp1252, and
tables have neither. Python keeps the bytes of a name that are not UTF-8 as lone surrogates, one for
each, and so finds the file again.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

BYTES = re.compile("[\udc80-\udcff]")
"""The surrogates that stand for the bytes 80 to FF."""


def is_file_name(text: str) -> bool:
    """Whether a file can be called so: it is Unicode, but for bytes that are not UTF-8."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def normal_form(name: str) -> str:
    """What names that look the same share, as `é` may be one character, two, or a byte of Windows.

    Composed characters (NFC); bytes that are not UTF-8 as cp1252 has them.
    """
    return name if name.isascii() else normalize("NFC", BYTES.sub(_from_windows, name))


def _from_windows(found: re.Match[str]) -> str:
    byte = found[0].encode("utf-8", "surrogateescape")
    return byte.decode("cp1252", "surrogateescape")


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
