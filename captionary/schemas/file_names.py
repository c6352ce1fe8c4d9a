"""Names of files as texts: shown where only Unicode may stand, compared by what they look like.

Python keeps the bytes of a name that are not UTF-8 as lone surrogates, one for each, and so finds
the file again. Nothing that is written as UTF-8 may hold them.
"""

import re
from unicodedata import normalize

SURROGATE = re.compile("[\ud800-\udfff]")
BYTES = range(0xDC80, 0xDD00)
"""The surrogates that stand for the bytes 80 to FF."""


def readable(text: str) -> str:
    r"""A text in which all is Unicode: the byte E9 is written `\xe9`, half an emoji `\ud83d`."""
    return SURROGATE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code & 0xFF:02x}" if code in BYTES else f"\\u{code:04x}"


def is_file_name(text: str) -> bool:
    """Whether a file can be called so: it is Unicode, but for bytes that are not UTF-8."""
    return all(ord(found) in BYTES for found in SURROGATE.findall(text))


def normal_form(name: str) -> str:
    """What names that look the same share, as `é` may be one character, two, or a byte of Windows.

    Composed characters (NFC); bytes that are not UTF-8 as cp1252 has them.
    """
    return name if name.isascii() else normalize("NFC", SURROGATE.sub(_from_windows, name))


def _from_windows(found: re.Match[str]) -> str:
    if ord(found[0]) not in BYTES:
        return found[0]
    return found[0].encode("utf-8", "surrogateescape").decode("cp1252", "surrogateescape")
