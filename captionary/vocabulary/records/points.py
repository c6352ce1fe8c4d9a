"""Between the contracts of `schemas` and the points that an engine keeps.

Both ways are exact, for numbers of float32 precision: Qdrant Edge reads a float64 of a payload back
with its last bit wrong now and then, so numbers are rounded to float32 on the way in and again
on the way out. Otherwise a value that is read and written anew would drift.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

import numpy as np

from captionary.schemas.corrections import NounRules
from captionary.schemas.dictionary import Exemplar, Picture, Prototype
from captionary.schemas.errors import CaptionaryError
from captionary.schemas.pointing import Pointing
from captionary.schemas.regions import RegionTable
from captionary.vocabulary.engines.engine import Payload, Point, Where
from captionary.vocabulary.records.point_ids import (
    picture_point_id,
    prototype_point_id,
    rank,
    region_point_id,
)

State: TypeAlias = Literal["new", "settled", "gone"]
"""What a picture's record says of it.

new: stored, its nouns not yet refreshed; gone: retired, its nouns not yet refreshed.
"""

AS_SAID = NounRules()
"""Nouns are called as captions have them."""

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
    "pointings",
)
"""What `picture_from` needs of a record: all but the thumbnail, which is most of its bytes."""


def picture_point(
    picture: Picture,
    *,
    state: State,
    rules: NounRules = AS_SAID,
    due: frozenset[str] = frozenset(),
    stale: Sequence[int] = (),
) -> Point:
    """The record of a picture.

    Args:
        picture: with its nouns as captions have them.
        rules:   what these are called.
        due:     nouns to be refreshed with its own, for it had them.
        stale:   indices of regions to be deleted then, for nothing is said of them any more.
    """
    payload: Payload = {
        "image_id": picture.id,
        "image": picture.image,
        "sha256": picture.sha256,
        "size_hw": list(picture.size_hw),
        "captions": list(picture.captions),
        "caption_nouns": [list(nouns) for nouns in picture.nouns],
        **_noun_fields(picture, rules, due),
        "regions": picture.regions,
        "source": picture.source,
        "tags": list(picture.tags),
        "thumbnail": _text(picture.thumbnail),
        # Qdrant orders by indexed integers only; the ids of points are of no use for that.
        "rank": rank(picture.id),
        "state": state,
    }
    if picture.pointings:
        payload["pointings"] = [asdict(item) for item in picture.pointings]
    if stale:
        payload["stale"] = sorted(stale)
    return Point(picture_point_id(picture.id), payload)


def pending_again(payload: Payload, rules: NounRules, picture: Picture | None = None) -> Point:
    """The record that takes the place of one, read whole: its nouns are to be refreshed.

    Args:
        rules:   what its nouns are called from now on.
        picture: what it says from now on; None: the same.
    """
    before = picture_from(payload)
    after = picture or before
    left = set(before.pointed_indices) - set(after.pointed_indices)
    stale = left | (set(payload.get("stale", ())) - set(after.pointed_indices))
    return picture_point(
        after, state="new", rules=rules, due=due_nouns(payload), stale=sorted(stale)
    )


def settled(payload: Payload) -> Payload:
    """The payload of a record, read whole, whose nouns are refreshed."""
    return {key: value for key, value in payload.items() if key != "stale"} | {
        "state": "settled",
        "former": [],
    }


def _noun_fields(picture: Picture, rules: NounRules, due: frozenset[str]) -> Payload:
    """For filters and facets, which do not reach into lists of lists."""
    called = rules.apply(picture)
    pointed = sorted({item.noun for item in called.pointings})
    fields = {"noun": sorted(called.all_nouns), "former": sorted(due - called.all_nouns)}
    # Absent where empty, as most are; what captions say is needed where it is called otherwise.
    said = sorted(picture.all_nouns) if called != picture else []
    return fields | ({"pointed": pointed} if pointed else {}) | ({"said": said} if said else {})


def due_nouns(payload: Payload) -> frozenset[str]:
    """The nouns that a pending record makes due; old stores have no former ones."""
    fields = ("noun", "former", "pointed")
    return frozenset(noun for field in fields for noun in payload.get(field, ()))


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
        pointings=tuple(Pointing(**item) for item in payload.get("pointings", ())),
    )


def region_points(
    picture: Picture,
    table: RegionTable,
    *,
    fingerprint: str,
    indices: Sequence[int] | None = None,
) -> list[Point]:
    """Regions of a picture, not tagged with any noun yet.

    Args:
        indices: of the regions; None: those that it was cut into.

    Raises:
        CaptionaryError: the picture's record speaks of another number of regions.
    """
    if indices is None and picture.regions != len(table):
        raise CaptionaryError(
            f"picture {picture.id!r} has regions={picture.regions} but came with {len(table)}"
        )
    return [
        Point(
            region_point_id(picture.id, index, fingerprint=fingerprint),
            {
                "image_id": picture.id,
                "index": index,
                "box_xyxy": table.boxes_xyxy[row].tolist(),
                "area": single(table.areas[row]),
                # Two aligned lists (regions.py): filters need plain values.
                "noun": [],
                "choice": [],
                "source": picture.source,
                "tags": list(picture.tags),
            },
            table.vectors[row],
            None if table.look_vectors is None else table.look_vectors[row],
        )
        for row, index in enumerate(range(len(table)) if indices is None else indices)
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
    if prototype.kind != "guessed":
        payload["kind"] = prototype.kind
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
        kind=payload.get("kind", "guessed"),
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
    """A number with the fewest digits that name its float32: JSON readers get no last bit wrong."""
    return float(str(np.float32(number)))


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")
