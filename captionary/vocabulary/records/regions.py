"""The regions of pictures: reading them as tables, and which nouns they carry.

The nouns of a region, and how each chose it, are two aligned lists in its payload,
sorted by noun.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from captionary.schemas.dictionary import Picture, TaggedRegion
from captionary.schemas.errors import CaptionaryError, MissingRegions
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.engines.engine import Collection, Payload, Where
from captionary.vocabulary.records.paging import pages
from captionary.vocabulary.records.point_ids import region_point_id
from captionary.vocabulary.records.points import single, table_from

TAG_FIELDS = ("noun", "choice", "similarity")
"""The last is of earlier versions."""

PAGE = 64
"""Pictures whose regions are read at a time."""


class Tag(NamedTuple):
    """How a noun chose a region, as in `TaggedRegion`; the similarity has float32 precision."""

    similarity: float
    caption: int
    basis: str


def region_ids(picture: Picture, *, fingerprint: str) -> list[UUID]:
    """The points of the regions that a picture was cut into, in order of index."""
    return [
        region_point_id(picture.id, index, fingerprint=fingerprint)
        for index in range(picture.regions)
    ]


def read_tables(
    regions: Collection,
    pictures: Sequence[Picture],
    *,
    fingerprint: str,
    dim: int,
    look_dim: int,
) -> list[RegionTable]:
    """The regions of pictures, in the order of the pictures.

    Raises:
        MissingRegions: the store lacks some of them.
    """
    tables = []
    for page in pages(pictures, PAGE):
        ids = [name for item in page for name in region_ids(item, fingerprint=fingerprint)]
        points = regions.retrieve(ids, fields=["box_xyxy", "area"], with_vectors=True)
        if len(points) != len(ids):
            found = {point.id for point in points}
            raise MissingRegions(
                [
                    item.id
                    for item in page
                    if not found.issuperset(region_ids(item, fingerprint=fingerprint))
                ]
            )
        rows = iter(points)
        for item in page:
            own = [next(rows) for _ in range(item.regions)]
            tables.append(table_from(own, dim=dim, look_dim=look_dim))
    return tables


def read_rows(
    regions: Collection,
    named: Sequence[tuple[str, int]],
    *,
    fingerprint: str,
    dim: int,
    look_dim: int,
) -> RegionTable:
    """Single regions, by picture and index, as one table in their order.

    Raises:
        MissingRegions: the store lacks some of them.
    """
    ids = [region_point_id(image_id, index, fingerprint=fingerprint) for image_id, index in named]
    points = regions.retrieve(ids, fields=["box_xyxy", "area"], with_vectors=True)
    if len(points) != len(ids):
        found = {point.id for point in points}
        missing = {item[0] for item, name in zip(named, ids, strict=True) if name not in found}
        raise MissingRegions(sorted(missing))
    return table_from(points, dim=dim, look_dim=look_dim)


def set_tags(
    regions: Collection, noun: str, tagged: Sequence[TaggedRegion], *, fingerprint: str
) -> None:
    """Make exactly these regions carry a noun; it leaves all others.

    Raises:
        MissingRegions: the store lacks one of them.
        CaptionaryError: a region is tagged with another noun.
    """
    wanted: dict[UUID, TaggedRegion] = {}
    for region in tagged:
        if region.noun != noun:
            raise CaptionaryError(f"a region tagged {region.noun!r} was given for {noun!r}")
        wanted[region_point_id(region.image_id, region.index, fingerprint=fingerprint)] = region
    carrying = Where(any_of={"noun": [noun]})
    now = {p.id: p.payload for p in regions.scroll(carrying, fields=TAG_FIELDS)}
    absent = [name for name in wanted if name not in now]
    now |= {p.id: p.payload for p in regions.retrieve(absent, fields=TAG_FIELDS)}
    if missing := {wanted[name].image_id for name in wanted.keys() - now.keys()}:
        raise MissingRegions(sorted(missing))
    updates = {}
    for name, payload in now.items():
        before = tags_of(payload)
        after = retagged(before, noun, tag_of(wanted[name]) if name in wanted else None)
        # A write costs an operation a point, and most regions keep what they carry.
        if after != before:
            updates[name] = tags_payload(after)
    regions.set_payload(updates)


def tags_of(payload: Payload) -> dict[str, Tag]:
    """The nouns of a region's payload, each with how it was chosen."""
    choices = payload.get("choice")
    if choices is None:  # as an earlier version tagged it
        choices = [(similarity, -1, "") for similarity in payload["similarity"]]
    both = zip(payload["noun"], choices, strict=True)
    return {str(noun): Tag(single(score), int(n), str(basis)) for noun, (score, n, basis) in both}


def tags_payload(tags: Mapping[str, Tag]) -> Payload:
    """The payload part of tags; sorted, so that the order of tagging leaves no trace."""
    nouns = sorted(tags)
    return {"noun": nouns, "choice": [list(tags[noun]) for noun in nouns]}


def tag_of(region: TaggedRegion) -> Tag:
    """How a region was chosen, as it is stored."""
    return Tag(single(region.similarity), region.caption, region.basis)


def retagged(tags: Mapping[str, Tag], noun: str, tag: Tag | None) -> dict[str, Tag]:
    """Tags with one noun set, or without it where its tag is None."""
    others = {other: value for other, value in tags.items() if other != noun}
    return others if tag is None else {**others, noun: tag}


def read_tagged(regions: Collection, noun: str) -> list[TaggedRegion]:
    """The regions that carry a noun."""
    where = Where(any_of={"noun": [noun]})
    found = regions.scroll(where, fields=["image_id", "index", *TAG_FIELDS])
    return [
        TaggedRegion(noun, p.payload["image_id"], p.payload["index"], *tags_of(p.payload)[noun])
        for p in found
    ]


def read_tags(regions: Collection, image_ids: Sequence[str]) -> dict[str, dict[str, list[int]]]:
    """For each of some pictures its nouns, with the numbers of the regions that carry them."""
    found: dict[str, dict[str, list[int]]] = {image_id: {} for image_id in image_ids}
    for page in pages(image_ids, PAGE):
        where = Where(any_of={"image_id": page})
        for point in regions.scroll(where, fields=["image_id", "index", "noun"]):
            for noun in point.payload["noun"]:
                found[point.payload["image_id"]].setdefault(noun, []).append(point.payload["index"])
    return found
