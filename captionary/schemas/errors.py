"""The exceptions of Captionary.

CaptionaryError
+-- WrongInput                the user's mistake: exit code 2
|   +-- UnreadablePicture     one picture; in a batch it is reported and skipped
|   +-- FingerprintMismatch   the store was built with other models
|   +-- StoreInUse            another process holds the folder
|   +-- NotStored             a dictionary lacks what was named
+-- DiskFull                  too little space is left on a disk
+-- StoreUnreachable          the server of a store does not answer
+-- MissingRegions            a store has lost regions of pictures
+-- MissingExtra              an optional package is not installed

Every message is one line: what is wrong, with which value, and what to do.
"""

import errno
import re
from collections.abc import Sequence
from urllib.parse import quote

LONGEST = 300
"""Characters of another program's error that are quoted in a message of ours, at most."""

NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of errors that say that a disk is full, or what this user may have of it."""

NEARLY_FULL = 64 << 20
"""Free bytes above which a disk that takes nothing more is not simply full."""

SURROGATE = re.compile("[\ud800-\udfff]")


def one_line(error: BaseException | str) -> str:
    """The message of an error on one line of at most LONGEST characters; its type if it has none.

    Of an OSError only the reason, because the message it goes into names the file.
    """
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(message.split()) or type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def readable(text: str) -> str:
    r"""A text in which all is Unicode: the byte E9 is written `\xe9`, half an emoji `\ud83d`.

    Names of files hold bytes that are not UTF-8 as lone surrogates, which nothing that is written
    as UTF-8 may hold.
    """
    return SURROGATE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code & 0xFF:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


class CaptionaryError(Exception):
    """Base class: an error that is reported in one line instead of a traceback."""

    def __init__(self, message: str = "") -> None:
        super().__init__(readable(message))


class WrongInput(CaptionaryError):
    """An argument, option, file or setting of the user cannot be used."""


class UnreadablePicture(WrongInput):
    """A picture is missing, truncated, too large, or not a picture."""


class NotStored(WrongInput):
    """A noun, picture or correction that the dictionary does not have."""


class StoreInUse(WrongInput):
    """An embedded store is open in another process."""

    def __init__(self, store: str) -> None:
        super().__init__(
            f"the store {store} is in use by another process; "
            "wait for it to end, or give another --store"
        )


class DiskFull(CaptionaryError):
    """Too little space is left on a disk; what was written before is whole.

    place:  a file or folder on it, or a server.
    free:   bytes that are left; None: not known.
    needed: bytes that must be free; 0: not known.
    """

    def __init__(self, place: str, *, free: int | None = None, needed: int = 0) -> None:
        left = "" if free is None else f"; free {free >> 20} MB"
        if free is not None and needed:
            left += f" of the {needed >> 20} MB that this needs"
        elif free is not None and free > NEARLY_FULL:
            left += ", so it has no more files, or there is a quota"
        super().__init__(
            f"no space left on {place}'s disk{left}; nothing is lost: make room there, then run "
            "this again"
        )


class StoreUnreachable(CaptionaryError):
    """The server of a store does not respond, or stays busy after all retries."""

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(
            f"the server {server} does not answer ({reason}); start it, or check the address of "
            "--store"
        )


class MissingRegions(CaptionaryError):
    """A store has lost regions of pictures whose records it still has.

    images: ids of these pictures.
    """

    def __init__(self, images: Sequence[str]) -> None:
        self.images = tuple(images)
        more = f" and {len(images) - 1} more pictures" if len(images) > 1 else ""
        super().__init__(
            f"regions of picture {images[0]!r}{more} are not in the store; remove it with "
            f"'captionary vocabulary remove --image {images[0]}' or DELETE "
            f"/v1/images/{quote(images[0], safe='')}, and index it again"
        )


class FingerprintMismatch(WrongInput):
    """The store was built with other models than this process runs."""

    def __init__(self, *, store: str, running: str) -> None:
        super().__init__(
            f"the store was built with {store!r} but this process runs {running!r}; "
            "leave out --encoder, --proposer, --embed and --precision to use its own, "
            "or, if it was built by another release, index into a new --store"
        )


class MissingExtra(CaptionaryError):
    """An optional package is not installed."""
