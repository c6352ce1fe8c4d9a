"""Digests of texts: equal texts, in equal order, have equal digests, wherever they are stored."""

import hashlib


def digest_texts(*texts: str) -> str:
    """SHA-256 of texts in order, hexadecimal.

    Lone surrogates (bytes of file names that are not UTF-8) are digested as they are.
    """
    digest = hashlib.sha256()
    for text in texts:
        # The NUL byte keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()
