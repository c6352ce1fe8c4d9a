"""What the dictionary has that looks like a picture, or like a box of it."""

import base64
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from captionary.schemas.arrays import Box, Vector
from captionary.schemas.dictionary import Picture
from captionary.schemas.errors import WrongInput
from captionary.schemas.regions import Region
from captionary.vision.extraction import LONGEST, RegionExtractor, scaled
from captionary.vision.pictures.loading import LoadedPicture, crop_thumbnail
from captionary.vocabulary.centring import centred, common_part
from captionary.vocabulary.engines.engine import EVERYTHING, Where
from captionary.vocabulary.retrieval import NearRegion, Retriever

BOX = re.compile(r"\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*", re.ASCII)

PROTOTYPES_A_NOUN = 4
"""How many prototypes a noun is taken to have when enough of them are looked for."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for: so many, at most, of one noun, source or tag; None: of any."""

    limit: int
    noun: str | None = None
    source: str | None = None
    tag: str | None = None


def read_box(text: str, *, size_hw: tuple[int, int]) -> Box:
    """Read `x0,y0,x1,y1`: pixels of a picture of that size, half-open.

    Raises:
        WrongInput: it is none, is empty, or reaches out of the picture.
    """
    match = BOX.fullmatch(text)
    if match is None:
        raise WrongInput(
            f"the box {text[:60]!r} is not x0,y0,x1,y1 in whole pixels, as in 0,0,40,30"
        )
    left, top, right, bottom = (int(edge) for edge in match.groups())
    height, width = size_hw
    if not (left < right <= width and top < bottom <= height):
        raise WrongInput(
            f"the box {left},{top},{right},{bottom} is empty or not within the picture, "
            f"which is {width} pixels wide and {height} high"
        )
    return left, top, right, bottom


def embed_box(extractor: RegionExtractor, picture: LoadedPicture, box_xyxy: Box) -> Vector:
    """A box of a picture as one region, embedded as regions are when they are indexed, (D,)."""
    shown = picture.at_most(LONGEST)
    left, top, right, bottom = scaled(box_xyxy, picture.size_hw, shown.size_hw)
    mask = np.zeros(shown.size_hw, dtype=np.bool_)
    mask[top:bottom, left:right] = True
    vector: Vector = extractor.embedder.embed(shown, [Region(mask)])[0]
    return vector


def near_json(retriever: Retriever, vector: Vector, wanted: Wanted) -> dict[str, Any]:
    """What is nearest to a (D,) vector, as `schemas.bodies.RetrievalBody`."""
    revision = retriever.revision
    return {
        "nouns": _near_nouns(retriever, vector, wanted),
        "regions": _near_regions(retriever, vector, wanted),
        "revision": revision,
    }


def _near_nouns(retriever: Retriever, vector: Vector, wanted: Wanted) -> list[dict[str, Any]]:
    """The nouns with the nearest prototypes, each with its nearest.

    The store searches: all prototypes at once, with their pictures, would fill the memory.
    """
    dictionary = retriever.dictionary
    common = common_part(retriever.sample_vectors(), pictures=len(dictionary.sample()))
    own = centred(vector[None], common)
    where = EVERYTHING if wanted.noun is None else Where(any_of={"noun": [wanted.noun]})
    collection = dictionary.engine.collection("prototypes")
    reach = wanted.limit * PROTOTYPES_A_NOUN
    while True:
        hits = collection.search(own, where, limit=reach)[0]
        similarity = dict(zip(hits.ids, hits.scores.tolist(), strict=True))
        nearest: dict[str, dict[str, Any]] = {}
        for point in collection.retrieve(hits.ids, fields=["noun", "number"]):
            found = {**point.payload, "similarity": similarity[point.id]}
            nearest.setdefault(point.payload["noun"], found)
        if len(nearest) >= wanted.limit or len(hits.ids) < reach:
            ranked = sorted(nearest.values(), key=lambda item: (-item["similarity"], item["noun"]))
            return ranked[: wanted.limit]
        reach *= 2


def _near_regions(retriever: Retriever, vector: Vector, wanted: Wanted) -> list[dict[str, Any]]:
    found = retriever.nearest_regions(
        vector, limit=wanted.limit, noun=wanted.noun, source=wanted.source, tag=wanted.tag
    )
    owners = sorted({region.image_id for region in found})
    pictures = {one.id: one for one in retriever.dictionary.pictures_named(owners)}
    return [
        _region_json(region, picture)
        for region in found
        if (picture := pictures.get(region.image_id)) is not None  # None: removed meanwhile
    ]


def _region_json(region: NearRegion, picture: Picture) -> dict[str, Any]:
    crop = crop_thumbnail(picture.thumbnail, box_xyxy=region.box_xyxy, size_hw=picture.size_hw)
    return {
        "image_id": region.image_id,
        "index": region.index,
        "box": list(region.box_xyxy),
        "area": region.area,
        "nouns": list(region.nouns),
        "captions": list(picture.captions),
        "source": region.source,
        "tags": list(region.tags),
        "similarity": region.similarity,
        "thumbnail": base64.b64encode(crop).decode(),
    }
