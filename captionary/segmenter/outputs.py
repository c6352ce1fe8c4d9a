"""Segmentations as files: overlay picture, indexed PNG, JSON, COCO annotations.

`docs/formats.md` describes them for users. Files appear whole or not at all.
"""

import base64
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict, get_args

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from captionary.files.atomic import write_atomically
from captionary.schemas.arrays import LabelMap, Mask, Rgb
from captionary.schemas.dictionary import Exemplar
from captionary.schemas.errors import WrongInput
from captionary.schemas.labels import pack_labels
from captionary.schemas.segmentation import Evidence, LabelledRegion, Segmentation
from captionary.segmenter.drawing.overlay import draw_overlay
from captionary.segmenter.drawing.palette import class_colours

Format: TypeAlias = Literal["overlay", "png", "json", "coco"]


class Rle(TypedDict):
    """A mask in COCO's compressed run-length encoding; `size` is [height, width]."""

    size: list[int]
    counts: str


def parse_formats(text: str) -> tuple[Format, ...]:
    """Read a comma-separated list of formats, as in `overlay,png`.

    Raises:
        WrongInput: it is empty, or names something else.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known: tuple[Format, ...] = get_args(Format)
    if not names or (unknown := set(names) - set(known)):
        wrong = ", ".join(sorted(unknown)) if names else "nothing"
        raise WrongInput(f"the format list names {wrong}; it may hold {', '.join(known)}")
    return tuple(name for name in known if name in names)


def write_outputs(
    segmentation: Segmentation,
    image: Rgb,
    *,
    source: Path,
    folder: Path,
    formats: Sequence[Format],
) -> list[Path]:
    """Write the formats asked for into a folder, named after the picture's file.

    NAME.overlay.jpg, NAME.png (with classes.txt, one class a line), NAME.json, NAME.coco.json.

    Args:
        segmentation: what to write.
        image:        the picture, (H, W, 3) uint8.
        source:       the picture's file.
        folder:       where to write; made if need be.
        formats:      what to write.

    Returns:
        The files written, `classes.txt` left out.

    Raises:
        WrongInput: the folder cannot be written, has PNGs of other classes, or a file would replace
            the picture itself.
    """
    makers: Mapping[Format, tuple[str, Callable[[], bytes]]] = {
        "overlay": (".overlay.jpg", lambda: overlay_jpeg(segmentation, image)),
        "png": (".png", lambda: class_map_png(segmentation.class_map, segmentation.classes)),
        "json": (".json", lambda: _json_bytes(segmentation_json(segmentation))),
        "coco": (".coco.json", lambda: _json_bytes(coco_json(segmentation, source.name))),
    }
    targets = {name: folder / f"{source.stem}{makers[name][0]}" for name in formats}
    if clash := {path.resolve() for path in targets.values()} & {source.resolve()}:
        raise WrongInput(f"{clash.pop()} would be overwritten; give another --out folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if "png" in targets:
            _write_classes(segmentation.classes, folder / "classes.txt")
        for name, path in targets.items():
            write_atomically(path, makers[name][1]())
    except OSError as error:
        raise WrongInput(f"cannot write into {folder}: {error}") from error
    return list(targets.values())


def _write_classes(classes: Sequence[str], path: Path) -> None:
    """Write the class list that all PNGs of a folder share, never over another one."""
    names = "".join(f"{name}\n" for name in classes).encode()
    if path.exists() and path.read_bytes() != names:
        raise WrongInput(
            f"{path} lists other classes, and the PNGs beside it need it; give another --out folder"
        )
    write_atomically(path, names)


def overlay_jpeg(segmentation: Segmentation, image: Rgb) -> bytes:
    """The overlay with its legend as JPEG bytes; `image` is (H, W, 3) uint8."""
    drawn = draw_overlay(image, segmentation.class_map, segmentation.classes)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def class_map_png(class_map: LabelMap, classes: Sequence[str]) -> bytes:
    """PNG bytes, pixel value = class index: with a palette, or 16-bit above 255 classes.

    Raises:
        WrongInput: there are more classes than 16 bits can tell apart.
    """
    values = pack_labels(class_map, count=len(classes))
    picture = Image.fromarray(values)
    if values.dtype == np.uint8:
        picture.putpalette(class_colours(tuple(classes)).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def read_class_map(png: bytes) -> LabelMap:
    """The class indices of `class_map_png`, (H, W) int32."""
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture).astype(np.int32)


def encode_mask(mask: Mask) -> Rle:
    """A mask, (H, W) bool, in run-length encoding."""
    encoded = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return Rle(size=[int(side) for side in encoded["size"]], counts=encoded["counts"].decode())


def decode_mask(rle: Rle) -> Mask:
    """The mask, (H, W) bool, of a run-length encoding."""
    decoded = coco_mask.decode({"size": rle["size"], "counts": rle["counts"].encode()})
    return np.asarray(decoded, dtype=bool)


def segmentation_json(segmentation: Segmentation) -> dict[str, Any]:
    """JSON data: `masks` of the classes present, `regions`, and the `prototypes` they name."""
    return {
        "size": list(segmentation.class_map.shape),
        "classes": list(segmentation.classes),
        "masks": [
            {
                "class": segmentation.classes[class_id],
                "rle": encode_mask(mask),
                "area": int(mask.sum()),
                "score": float(segmentation.scores[class_id]),
            }
            for class_id, mask in _masks(segmentation)
        ],
        "regions": [_region_json(region, segmentation.classes) for region in segmentation.regions],
        "prototypes": _prototypes_json(segmentation),
        "revision": segmentation.revision,
    }


def coco_json(segmentation: Segmentation, file_name: str) -> dict[str, Any]:
    """A segmentation as a COCO annotation file: one annotation a class present.

    A category's id is the class's index; each annotation has the class's score besides.
    """
    height, width = segmentation.class_map.shape
    annotations = []
    for number, (class_id, mask) in enumerate(_masks(segmentation), start=1):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        annotations.append(
            {
                "id": number,
                "image_id": 1,
                "category_id": class_id,
                "segmentation": encode_mask(mask),
                "area": int(mask.sum()),
                "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
                "iscrowd": 0,
                "score": float(segmentation.scores[class_id]),
            }
        )
    return {
        "images": [{"id": 1, "file_name": file_name, "height": height, "width": width}],
        "categories": [
            {"id": index, "name": name} for index, name in enumerate(segmentation.classes)
        ],
        "annotations": annotations,
    }


def _masks(segmentation: Segmentation) -> Iterator[tuple[int, Mask]]:
    """The classes present and their masks, one at a time: of a large picture each takes much."""
    for class_id in np.unique(segmentation.class_map).tolist():
        yield class_id, segmentation.class_map == class_id


def _region_json(region: LabelledRegion, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "box": [int(edge) for edge in region.box_xyxy],
        "area": float(region.area),
        "class": classes[region.class_id],
        "score": float(region.score),
        "text": float(region.text),
        "prototype": None if region.prototype is None else float(region.prototype),
        "evidence": [_evidence_json(evidence) for evidence in region.evidence],
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    return {
        "noun": evidence.noun,
        "number": evidence.number,
        "similarity": float(evidence.similarity),
    }


def _prototypes_json(segmentation: Segmentation) -> list[dict[str, Any]]:
    """The prototypes that any region names as evidence, each once, with their exemplars."""
    named = {
        (evidence.noun, evidence.number): evidence.exemplars
        for region in segmentation.regions
        for evidence in region.evidence
    }
    return [
        {
            "noun": noun,
            "number": number,
            "exemplars": [exemplar_json(exemplar) for exemplar in named[noun, number]],
        }
        for noun, number in sorted(named)
    ]


def exemplar_json(exemplar: Exemplar) -> dict[str, Any]:
    """JSON data of a region behind a prototype."""
    return {
        "image_id": exemplar.image_id,
        "index": exemplar.index,
        "box": list(exemplar.box_xyxy),
        "caption": exemplar.caption,
        "source": exemplar.source,
        "similarity": float(exemplar.similarity),
        "thumbnail": base64.b64encode(exemplar.thumbnail).decode(),
    }


def _json_bytes(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode() + b"\n"
