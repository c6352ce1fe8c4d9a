"""Turns results into HTTP responses: JSON bodies (`schemas.bodies`), or pictures with headers."""

import base64
import json
from typing import Any

from starlette.responses import JSONResponse, Response

from captionary.schemas.arrays import Rgb, Vector
from captionary.schemas.bodies import (
    NearNounBody,
    NearRegionBody,
    NounBody,
    NounDetailBody,
    PrototypeBody,
    RetrievalBody,
    SegmentationBody,
)
from captionary.schemas.dictionary import NounEntry, Picture
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.json_data import exemplar_body, segmentation_json
from captionary.segmenter.outputs import class_map_png, overlay_jpeg
from captionary.segmenter.service.forms import RetrieveForm
from captionary.segmenter.service.negotiation import MEDIA_TYPES, ResponseFormat
from captionary.vision.pictures.thumbnails import crop_thumbnail
from captionary.vocabulary.retrieval import NearRegion, Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary

MAX_HEADER_LENGTH = 2000
"""Characters: proxies refuse a response whose headers outgrow 4 KiB, the least that is usual."""

_IMAGE = {"schema": {"type": "string", "format": "binary"}}
SEGMENT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "model": SegmentationBody,
        "description": "A class for every pixel: JSON; an indexed PNG, pixel value = class index; "
        "or a JPEG to look at.",
        "content": {"image/png": _IMAGE, "image/jpeg": _IMAGE},
        "headers": {
            "X-Classes": {
                "description": "With a picture: the class names, as JSON in ASCII; "
                "left out where they are longer than 2,000 characters.",
                "schema": {"type": "string"},
            },
            "X-Revision": {
                "description": "With a picture: of the dictionary; left out by text alone.",
                "schema": {"type": "string"},
            },
        },
    }
}
"""`segmentation_response` as OpenAPI describes it."""


def segmentation_response(
    segmentation: Segmentation, pixels: Rgb, format: ResponseFormat
) -> Response:
    """A segmentation as JSON, or as a picture with class names and revision in its headers.

    pixels: the picture that was segmented, (H, W, 3) uint8.
    """
    if format == "json":
        return JSONResponse(segmentation_json(segmentation))
    if format == "png":
        content = class_map_png(segmentation.class_map, segmentation.classes)
    else:
        content = overlay_jpeg(segmentation, pixels)
    # Headers are ASCII: json.dumps escapes the rest.
    names = json.dumps(segmentation.classes)
    headers = {"X-Classes": names} if len(names) <= MAX_HEADER_LENGTH else {}
    if segmentation.revision is not None:
        headers["X-Revision"] = str(segmentation.revision)
    return Response(content, headers=headers, media_type=MEDIA_TYPES[format])


def retrieval_body(retriever: Retriever, vector: Vector, form: RetrieveForm) -> RetrievalBody:
    """The nouns and regions of the dictionary that are nearest to a (D,) region vector."""
    revision = retriever.revision
    nouns = retriever.nearest_nouns(vector, limit=form.limit, noun=form.noun)
    regions = retriever.nearest_regions(
        vector, limit=form.limit, noun=form.noun, source=form.source, tag=form.tag
    )
    # One read for all pictures; those removed since the search are left out.
    ids = sorted({region.image_id for region in regions})
    pictures = {picture.id: picture for picture in retriever.dictionary.pictures_named(ids)}
    return RetrievalBody.model_construct(
        nouns=[
            NearNounBody.model_construct(
                noun=near.noun, number=near.number, similarity=near.similarity
            )
            for near in nouns
        ],
        regions=[
            _near_region_body(region, pictures[region.image_id])
            for region in regions
            if region.image_id in pictures
        ],
        revision=revision,
    )


def _near_region_body(region: NearRegion, picture: Picture) -> NearRegionBody:
    crop = crop_thumbnail(picture.thumbnail, box_xyxy=region.box_xyxy, size_hw=picture.size_hw)
    return NearRegionBody.model_construct(
        image_id=region.image_id,
        index=region.index,
        box=list(region.box_xyxy),
        area=region.area,
        nouns=list(region.nouns),
        captions=list(picture.captions),
        source=region.source,
        tags=list(region.tags),
        similarity=region.similarity,
        thumbnail=base64.b64encode(crop).decode(),
    )


def noun_body(entry: NounEntry) -> NounBody:
    """A noun with its counts."""
    return NounBody(
        noun=entry.noun,
        pictures=entry.pictures,
        regions=entry.regions,
        prototypes=entry.prototypes,
    )


def noun_detail_body(entry: NounEntry, dictionary: StoredDictionary) -> NounDetailBody:
    """A noun with its prototypes and their exemplars."""
    revision = dictionary.revision
    prototypes = [
        PrototypeBody.model_construct(
            number=prototype.number,
            kind=prototype.kind,
            size=prototype.size,
            spread=prototype.spread,
            exemplars=[exemplar_body(exemplar) for exemplar in prototype.exemplars],
        )
        for prototype in dictionary.prototypes([entry.noun])
    ]
    return NounDetailBody.model_construct(
        **dict(noun_body(entry)), looks=prototypes, revision=revision
    )
