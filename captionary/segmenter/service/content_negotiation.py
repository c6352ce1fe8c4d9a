"""Which of several media types an Accept header likes best (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Sequence
from typing import TypeAlias

RANGE = re.compile(r"([^\s/;,]+)/([^\s/;,]+)((?:\s*;[^;,]*)*)")
QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)
ANY_QUALITY = re.compile(r";\s*q\s*=", re.IGNORECASE)

Range: TypeAlias = tuple[str, str, float]
"""Type, subtype (each may be *), and how much it is liked, in [0, 1]."""


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The media type to answer with, the first of those that are liked best; None: none fits.

    Args:
        accept:  the header's value; a blank one likes everything. Parts that are no media range
            are passed over, and so are parameters other than q.
        offered: media types in lower case, at least one.
    """
    if not accept.strip():
        return offered[0]
    ranges = [found for part in accept.split(",") if (found := _range(part)) is not None]
    liked = {media: _liked(media, ranges) for media in offered}
    best = max(offered, key=liked.__getitem__)
    return best if liked[best] > 0 else None


def _range(part: str) -> Range | None:
    match = RANGE.fullmatch(part.strip())
    if match is None:
        return None
    kind, subtype, parameters = match.groups()
    quality = QUALITY.search(parameters)
    if quality is None and ANY_QUALITY.search(parameters):
        return None
    return kind.lower(), subtype.lower(), float(quality[1]) if quality else 1.0


def _liked(media: str, ranges: Sequence[Range]) -> float:
    """What the narrowest range that takes a media type says of it; 0 where none does."""
    kind, _, subtype = media.partition("/")
    for narrow in ((kind, subtype), (kind, "*"), ("*", "*")):
        said = [quality for *names, quality in ranges if tuple(names) == narrow]
        if said:
            return max(said)
    return 0.0
