"""Segmentations as JSON data: the service's own shape (`schemas.bodies`), and COCO annotations."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from captionary.schemas.arrays import Mask
from captionary.schemas.bodies import (
    EvidenceBody,
    ExemplarBody,
    KindBody,
    MaskBody,
    NamedPrototypeBody,
    RegionBody,
    RleBody,
    SegmentationBody,
)
from captionary.schemas.dictionary import Exemplar
from captionary.schemas.errors import readable
from captionary.schemas.segmentation import Kinds, LabelledRegion, Segmentation
from captionary.vision.pictures import rle


def segmentation_json(segmentation: Segmentation) -> dict[str, Any]:
    """JSON data: `masks` of the classes present, `regions`, and the `prototypes` they name."""
    return segmentation_body(segmentation).model_dump(by_alias=True)


def segmentation_body(segmentation: Segmentation) -> SegmentationBody:
    """A segmentation as it travels over HTTP."""
    classes = segmentation.classes
    # What was computed here needs no validation, which would take longer than all the rest.
    return SegmentationBody.model_construct(
        size=list(segmentation.class_map.shape),
        classes=list(classes),
        masks=[
            MaskBody.model_construct(
                class_name=classes[class_id],
                rle=encode_mask(mask),
                area=int(mask.sum()),
                score=float(segmentation.scores[class_id]),
            )
            for class_id, mask in _class_masks(segmentation)
        ],
        regions=[_region_body(region, classes) for region in segmentation.regions],
        prototypes=_prototype_bodies(segmentation),
        revision=segmentation.revision,
        without_noun=list(segmentation.without_noun),
        kinds={name: _kind_bodies(nouns) for name, nouns in segmentation.kinds.items()},
    )


def kinds_json(kinds: Kinds) -> dict[str, Any]:
    """The kinds of classes as `SegmentationBody` has them."""
    return {
        name: [kind.model_dump() for kind in _kind_bodies(nouns)] for name, nouns in kinds.items()
    }


def _kind_bodies(nouns: Iterable[tuple[str, int]]) -> list[KindBody]:
    return [KindBody.model_construct(noun=noun, pictures=pictures) for noun, pictures in nouns]


def coco_json(segmentation: Segmentation, file_name: str) -> dict[str, Any]:
    """A segmentation as a COCO annotation file: one annotation for each class present.

    A category's id is the class's index; each annotation has the class's score besides.
    """
    height, width = segmentation.class_map.shape
    annotations = []
    for number, (class_id, mask) in enumerate(_class_masks(segmentation), start=1):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": class_id,
                "segmentation": encode_mask(mask).model_dump(),
                "area": int(mask.sum()),
                # COCO's boxes are x, y, width, height.
                "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
                "iscrowd": 0,
                "score": float(segmentation.scores[class_id]),
            }
        )
    return {
        "images": [{"id": 1, "file_name": readable(file_name), "height": height, "width": width}],
        "categories": [
            {"id": index, "name": name} for index, name in enumerate(segmentation.classes)
        ],
        "annotations": annotations,
    }


def encode_mask(mask: Mask) -> RleBody:
    """A mask, (H, W) bool, in COCO's compressed run-length encoding."""
    area = rle.encode_mask(mask)
    return RleBody.model_construct(size=list(area.size_hw), counts=area.counts)


def exemplar_body(exemplar: Exemplar) -> ExemplarBody:
    """A region behind a prototype."""
    return ExemplarBody.model_construct(
        image_id=exemplar.image_id,
        index=exemplar.index,
        box=list(exemplar.box_xyxy),
        caption=exemplar.caption,
        source=exemplar.source,
        similarity=float(exemplar.similarity),
        thumbnail=base64.b64encode(exemplar.thumbnail).decode(),
    )


def _class_masks(segmentation: Segmentation) -> Iterator[tuple[int, Mask]]:
    """The classes present and their masks, one at a time: of a large picture each takes much."""
    for class_id in np.unique(segmentation.class_map).tolist():
        yield class_id, segmentation.class_map == class_id


def _region_body(region: LabelledRegion, classes: Sequence[str]) -> RegionBody:
    return RegionBody.model_construct(
        box=[int(edge) for edge in region.box_xyxy],
        area=float(region.area),
        class_name=classes[region.class_id],
        score=float(region.score),
        text=region.by_witness["text"],
        prototype=region.by_witness.get("prototypes"),
        neighbours=region.by_witness.get("neighbours"),
        captions=region.by_witness.get("captions"),
        evidence=[
            EvidenceBody.model_construct(
                noun=evidence.noun, number=evidence.number, similarity=float(evidence.similarity)
            )
            for evidence in region.evidence
        ],
    )


def _prototype_bodies(segmentation: Segmentation) -> list[NamedPrototypeBody]:
    """The prototypes that any region names as evidence, each once, with their exemplars."""
    named = {
        (evidence.noun, evidence.number): evidence.exemplars
        for region in segmentation.regions
        for evidence in region.evidence
    }
    return [
        NamedPrototypeBody.model_construct(
            noun=noun,
            number=number,
            exemplars=[exemplar_body(exemplar) for exemplar in named[noun, number]],
        )
        for noun, number in sorted(named)
    ]
