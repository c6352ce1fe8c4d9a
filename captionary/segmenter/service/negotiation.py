"""Which form an answer has: what the request's form asks for, or its Accept header."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal, TypeAlias

from fastapi import Request

from captionary.serving.problems import Problem

ResponseFormat: TypeAlias = Literal["json", "png", "overlay"]

MEDIA_TYPES: dict[ResponseFormat, str] = {
    "json": "application/json",
    "png": "image/png",
    "overlay": "image/jpeg",
}


def negotiate_format(wanted: ResponseFormat | None, request: Request) -> ResponseFormat:
    """The format of the response: the one that the form asks for, else as `Accept` prefers.

    Raises:
        Problem: the header accepts none of the formats (406).
    """
    if wanted is not None:
        return wanted
    accept = ",".join(request.headers.getlist("Accept"))
    by_media_type = {media_type: name for name, media_type in MEDIA_TYPES.items()}
    preferred = preferred_media_type(accept, list(by_media_type))
    if preferred is None:
        raise Problem(
            HTTPStatus.NOT_ACCEPTABLE,
            f"Accept: {accept[:80]} takes none of {', '.join(by_media_type)}; name one of these",
        )
    return by_media_type[preferred]


MEDIA_RANGE = re.compile(r"([^\s/;,]+)/([^\s/;,]+)((?:\s*;[^;,]*)*)")
QUALITY = re.compile(r";\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)
ANY_QUALITY = re.compile(r";\s*q\s*=", re.IGNORECASE)


def preferred_media_type(accept: str, offered: Sequence[str]) -> str | None:
    """Negotiate content (RFC 9110, section 12.5.1): the first of the best rated; None: none fits.

    Args:
        accept:  the header's value; a blank one accepts everything. Parts that are no media range
            are ignored, and so are parameters other than q.
        offered: media types in lower case, at least one.
    """
    if not accept.strip():
        return offered[0]
    qualities: dict[tuple[str, str], float] = {}
    for part in accept.split(","):
        match = MEDIA_RANGE.fullmatch(part.strip())
        if match is None:
            continue
        kind, subtype, parameters = match.groups()
        quality = QUALITY.search(parameters)
        if quality is None and ANY_QUALITY.search(parameters):
            continue
        media_range = (kind.lower(), subtype.lower())
        value = float(quality[1]) if quality else 1.0
        qualities[media_range] = max(value, qualities.get(media_range, 0.0))
    rated = {media_type: _quality(media_type, qualities) for media_type in offered}
    best = max(offered, key=rated.__getitem__)
    return best if rated[best] > 0 else None


def _quality(media_type: str, qualities: dict[tuple[str, str], float]) -> float:
    """The quality of the most specific range that includes a media type; 0 where none does."""
    kind, _, subtype = media_type.partition("/")
    for media_range in ((kind, subtype), (kind, "*"), ("*", "*")):
        if media_range in qualities:
            return qualities[media_range]
    return 0.0
