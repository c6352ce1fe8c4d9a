"""Ids of points are derived from what they stand for, so that writing again changes nothing."""

import hashlib
from uuid import UUID, uuid5

PICTURES = UUID("0fcf1c5d-6c70-5d29-b8f3-3c2f2f0cf7a1")
REGIONS = UUID("6a0f7b3e-0a58-5f3c-9d0d-6f6f0a6e21b4")
PROTOTYPES = UUID("c1b0f7a2-3a84-52c4-8b55-8d9f4f5f9be8")

RANK_BITS = 52
"""Ranks are exact in a float64 too, which servers may store them in."""


def picture_point_id(image_id: str) -> UUID:
    """The point of a picture's record."""
    return uuid5(PICTURES, image_id)


def region_point_id(image_id: str, index: int, *, fingerprint: str) -> UUID:
    """The point of one region of a picture, as cut and embedded by one set of models."""
    # The length keeps an id that has a slash from meaning another region.
    return uuid5(REGIONS, f"{len(image_id)}/{image_id}/{index}/{fingerprint}")


def prototype_point_id(noun: str, number: int, generation: str) -> UUID:
    """The point of one prototype of one generation of a noun."""
    return uuid5(PROTOTYPES, f"{len(noun)}/{noun}/{number}/{generation}")


def rank(image_id: str) -> int:
    """A picture's place in the order that samples are drawn by, in [0, 2**52)."""
    # A hash draws as chance does, and the same in every dictionary that has the picture.
    digest = hashlib.sha256(image_id.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - RANK_BITS)
