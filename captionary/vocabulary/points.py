"""Between the contracts of `schemas` and the points that an engine keeps.

Both ways are exact, for numbers of float32 precision: Qdrant Edge reads a float64 of a payload back
with its last bit wrong now and then, so numbers are rounded to float32 on the way in and again
on the way out. Otherwise a value that is read and written anew would drift.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from captionary.schemas.dictionary import Exemplar, Picture, Prototype
from captionary.schemas.errors import CaptionaryError
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.engines.engine import Payload, Point, Where
from captionary.vocabulary.point_ids import (
    picture_point_id,
    prototype_point_id,
    rank,
    region_point_id,
)

State: TypeAlias = Literal["new", "settled", "gone"]
"""What a picture's record says of it.

new: stored, its nouns not yet refreshed; gone: retired, its nouns not yet refreshed.
"""

VISIBLE = Where(none_of={"state": ["gone"]})
PENDING = Where(any_of={"state": ["new", "gone"]})

WITHOUT_THUMBNAIL = (
    "image_id",
    "image",
    "sha256",
    "size_hw",
    "captions",
    "caption_nouns",
    "regions",
    "source",
    "tags",
)
"""What `picture_from` needs of a record: all but the thumbnail, which is most of its bytes."""


def picture_point(picture: Picture, *, state: State, due: frozenset[str] = frozenset()) -> Point:
    """The record of a picture; `due`: nouns to be refreshed with its own, for it had them."""
    payload: Payload = {
        "image_id": picture.id,
        "image": picture.image,
        "sha256": picture.sha256,
        "size_hw": list(picture.size_hw),
        "captions": list(picture.captions),
        "caption_nouns": [list(nouns) for nouns in picture.nouns],
        # For filters and facets, which do not reach into lists of lists.
        "noun": sorted(picture.all_nouns),
        "former": sorted(due - picture.all_nouns),
        "regions": picture.regions,
        "source": picture.source,
        "tags": list(picture.tags),
        "thumbnail": _text(picture.thumbnail),
        # Qdrant orders by indexed integers only; the ids of points are of no use for that.
        "rank": rank(picture.id),
        "state": state,
    }
    return Point(picture_point_id(picture.id), payload)


def due_nouns(payload: Payload) -> frozenset[str]:
    """The nouns that a pending record makes due; old stores have no former ones."""
    return frozenset([*payload["noun"], *payload.get("former", ())])


def picture_from(payload: Payload) -> Picture:
    """The picture of a record; its thumbnail is empty where it was not read."""
    height, width = payload["size_hw"]
    return Picture(
        id=payload["image_id"],
        image=payload["image"],
        sha256=payload["sha256"],
        size_hw=(height, width),
        captions=tuple(payload["captions"]),
        nouns=tuple(tuple(nouns) for nouns in payload["caption_nouns"]),
        regions=payload["regions"],
        source=payload["source"],
        tags=tuple(payload["tags"]),
        thumbnail=b64decode(payload.get("thumbnail", "")),
    )


def region_points(picture: Picture, table: RegionTable, *, fingerprint: str) -> list[Point]:
    """The regions of a picture, not tagged with any noun yet.

    Raises:
        CaptionaryError: the picture's record speaks of another number of regions.
    """
    if picture.regions != len(table):
        raise CaptionaryError(
            f"picture {picture.id!r} has regions={picture.regions} but came with {len(table)}"
        )
    return [
        Point(
            region_point_id(picture.id, index, fingerprint=fingerprint),
            {
                "image_id": picture.id,
                "index": index,
                "box_xyxy": table.boxes_xyxy[index].tolist(),
                "area": single(table.areas[index]),
                # Two aligned lists (regions.py): filters need plain values.
                "noun": [],
                "similarity": [],
                "source": picture.source,
                "tags": list(picture.tags),
            },
            table.vectors[index],
            None if table.look_vectors is None else table.look_vectors[index],
        )
        for index in range(len(table))
    ]


def table_from(points: Sequence[Point], *, dim: int, look_dim: int) -> RegionTable:
    """The table of a picture's regions, from its points in order of index, read with vectors.

    Args:
        dim, look_dim: sizes of the store's vectors; `look_dim` 0: it has no look vectors.
    """
    count = len(points)
    looks = np.array([point.look_vector for point in points if look_dim], np.float32)
    return RegionTable(
        vectors=np.array([point.vector for point in points], np.float32).reshape(count, dim),
        boxes_xyxy=np.array([point.payload["box_xyxy"] for point in points], np.int32).reshape(
            count, 4
        ),
        areas=np.array([point.payload["area"] for point in points], np.float32),
        look_vectors=looks.reshape(count, look_dim) if look_dim else None,
    )


def prototype_point(prototype: Prototype, *, of: int) -> Point:
    """The point of a prototype whose noun has `of` in this generation."""
    payload: Payload = {
        "noun": prototype.noun,
        "number": prototype.number,
        # So that a reader knows whether it has the whole generation (generations.py).
        "of": of,
        "size": prototype.size,
        "spread": single(prototype.spread),
        "generation": prototype.generation,
        "exemplars": [
            {
                "image_id": exemplar.image_id,
                "index": exemplar.index,
                "box_xyxy": list(exemplar.box_xyxy),
                "caption": exemplar.caption,
                "source": exemplar.source,
                "similarity": single(exemplar.similarity),
                "thumbnail": _text(exemplar.thumbnail),
            }
            for exemplar in prototype.exemplars
        ],
    }
    name = prototype_point_id(prototype.noun, prototype.number, prototype.generation)
    return Point(name, payload, prototype.vector, prototype.look_vector)


def prototype_from(point: Point) -> Prototype:
    """The prototype of a point that was read with its vectors."""
    payload = point.payload
    if point.vector is None:
        raise ValueError("prototype_from needs a point that was read with its vectors")
    return Prototype(
        noun=payload["noun"],
        number=payload["number"],
        vector=point.vector,
        size=payload["size"],
        spread=single(payload["spread"]),
        generation=payload["generation"],
        exemplars=tuple(_exemplar(item) for item in payload["exemplars"]),
        look_vector=point.look_vector,
    )


def _exemplar(payload: Payload) -> Exemplar:
    left, top, right, bottom = payload["box_xyxy"]
    return Exemplar(
        image_id=payload["image_id"],
        index=payload["index"],
        box_xyxy=(left, top, right, bottom),
        caption=payload["caption"],
        source=payload["source"],
        similarity=single(payload["similarity"]),
        thumbnail=b64decode(payload["thumbnail"]),
    )


def single(number: float | np.floating[Any]) -> float:
    """A number rounded to the nearest float32."""
    return float(np.float32(number))


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")
