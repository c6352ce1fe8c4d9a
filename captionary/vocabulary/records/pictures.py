"""The records of pictures: reading those that are visible, and the sample that stands for all."""

from collections.abc import Collection as AnyCollection
from collections.abc import Iterator, Sequence

from captionary.schemas.dictionary import Picture
from captionary.vocabulary.engines.engine import Collection, Payload, Where
from captionary.vocabulary.records.paging import pages
from captionary.vocabulary.records.point_ids import picture_point_id
from captionary.vocabulary.records.points import VISIBLE, picture_from

PAGE = 64
"""Pictures that are read at a time: with their thumbnails they are large."""


def read_pictures(pictures: Collection, image_ids: Sequence[str]) -> list[Picture]:
    """Pictures by id, in the order of the ids; unknown and retired ones are left out."""
    return [
        picture_from(point.payload)
        for page in pages(image_ids, PAGE)
        for point in pictures.retrieve([picture_point_id(image_id) for image_id in page])
        if _is_visible(point.payload)
    ]


def read_sorted(pictures: Collection, where: Where) -> Iterator[Picture]:
    """Stream the pictures that satisfy a condition, sorted by id.

    The store sorts by its own ids, which are hashes; so the names are read first, which are small.
    """
    found = pictures.scroll(where, fields=["image_id"])
    names = sorted(point.payload["image_id"] for point in found)
    for page in pages(names, PAGE):
        ids = [picture_point_id(name) for name in page]
        yield from (picture_from(point.payload) for point in pictures.retrieve(ids))


def draw_sample(pictures: Collection, drawn: Payload | None, *, limit: int) -> Payload | None:
    """The sample anew, where none was drawn, one has left, or the dictionary has doubled.

    Args:
        drawn: the sample as the meta has it: {"of": pictures then, "ids": of the drawn ones}.
        limit: how many pictures to draw at most.

    Returns:
        The new sample in the same form; None where the old one still holds.
    """
    total = pictures.count(VISIBLE)
    if drawn is not None and total < 2 * drawn["of"] and _all_visible(pictures, drawn["ids"]):
        return None
    found = pictures.first(VISIBLE, order_by="rank", limit=limit, fields=["image_id"])
    return {"of": total, "ids": [str(point.payload["image_id"]) for point in found]}


def _all_visible(pictures: Collection, image_ids: AnyCollection[str]) -> bool:
    ids = [picture_point_id(image_id) for image_id in image_ids]
    found = pictures.retrieve(ids, fields=["state"])
    return len(found) == len(ids) and all(_is_visible(point.payload) for point in found)


def _is_visible(payload: Payload) -> bool:
    return payload["state"] not in VISIBLE.none_of["state"]
