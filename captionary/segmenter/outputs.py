"""Segmentations as files: overlay picture, indexed PNG, JSON, COCO annotations.

`docs/formats.md` describes them for users. Files appear whole or not at all.
"""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from PIL import Image

from captionary.files.atomic import write_atomically
from captionary.files.free_space import disk_full
from captionary.schemas.arrays import LabelMap, Rgb
from captionary.schemas.errors import WrongInput
from captionary.schemas.labels import pack_labels
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.drawing.lettering import shown_names
from captionary.segmenter.drawing.overlay import draw_overlay
from captionary.segmenter.drawing.palette import class_colours
from captionary.segmenter.result import Result
from captionary.vision.pictures.loading import file_name

Format: TypeAlias = Literal["overlay", "png", "json", "coco"]


def parse_formats(text: str) -> tuple[Format, ...]:
    """Parse a comma-separated list of formats, as in `overlay,png`.

    Raises:
        WrongInput: it is empty, or names something else.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    known: tuple[Format, ...] = get_args(Format)
    if not names or (unknown := set(names) - set(known)):
        wrong = ", ".join(sorted(unknown)) if names else "nothing"
        raise WrongInput(f"the format list names {wrong}; it may hold {', '.join(known)}")
    return tuple(name for name in known if name in names)


def write_outputs(result: Result, folder: Path, formats: Sequence[Format]) -> list[Path]:
    """Write a result in some formats into a folder, named after the picture.

    NAME.overlay.jpg, NAME.png (with classes.txt, one class a line), NAME.json, NAME.coco.json.
    The folder is made if need be. An overlay for which no font has the names has classes.txt too.

    Returns:
        The files written, `classes.txt` left out.

    Raises:
        WrongInput: there is no such format, the folder cannot be written, has PNGs of other
            classes, or a file would replace the picture itself.
    """
    if isinstance(formats, str) or not set(formats) <= set(get_args(Format)):
        raise WrongInput(f"formats are {formats!r}; give a list of {', '.join(get_args(Format))}")
    segmentation = result.segmentation
    encoders: Mapping[Format, tuple[str, Callable[[], bytes]]] = {
        "overlay": (".overlay.jpg", lambda: overlay_jpeg(segmentation, result.pixels)),
        "png": (".png", lambda: class_map_png(segmentation.class_map, segmentation.classes)),
        "json": (".json", lambda: _json_bytes(result.to_json())),
        "coco": (".coco.json", lambda: _json_bytes(result.to_coco())),
    }
    # Checked before anything is written: `a.png` in its own folder would become its class map.
    stem = PurePath(file_name(result.name)).stem
    targets = {name: folder / f"{stem}{encoders[name][0]}" for name in formats}
    if clash := {path.resolve() for path in targets.values()} & {Path(result.name).resolve()}:
        raise WrongInput(f"{clash.pop()} would be overwritten; give another --out folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Where a picture calls classes by their numbers, their names stand beside it.
        numbered = (
            "overlay" in targets and shown_names(segmentation.classes) != segmentation.classes
        )
        if "png" in targets or numbered:
            _write_classes(segmentation.classes, folder / "classes.txt")
        for name, path in targets.items():
            write_atomically(path, encoders[name][1](), durable=False)
    except OSError as error:
        wrong = WrongInput(f"cannot write into {folder}: {error}")
        raise disk_full(error, folder) or wrong from error
    return list(targets.values())


def _write_classes(classes: Sequence[str], path: Path) -> None:
    """Write the class list that all PNGs of a folder share, never over another one."""
    names = "".join(f"{name}\n" for name in classes).encode()
    if path.exists() and path.read_bytes() != names:
        raise WrongInput(
            f"{path} lists other classes, and the PNGs beside it need it; give another --out folder"
        )
    write_atomically(path, names, durable=False)


def overlay_jpeg(segmentation: Segmentation, pixels: Rgb) -> bytes:
    """The overlay with its legend as JPEG bytes; `pixels` is the picture, (H, W, 3) uint8."""
    drawn = draw_overlay(pixels, segmentation.class_map, segmentation.classes)
    buffer = io.BytesIO()
    # Subsampled colours would bleed over the thin lines between classes.
    Image.fromarray(drawn).save(buffer, "JPEG", quality=90, subsampling=0)
    return buffer.getvalue()


def class_map_png(class_map: LabelMap, classes: Sequence[str]) -> bytes:
    """PNG bytes, pixel value = class index: with a palette, or 16-bit above 255 classes.

    Raises:
        WrongInput: there are more classes than 16 bits can tell apart.
    """
    values = pack_labels(class_map, count=len(classes))
    # Pillow makes a palette picture of an 8-bit one when it is given a palette.
    picture = Image.fromarray(values)
    if values.dtype == np.uint8:
        picture.putpalette(class_colours(tuple(classes)).tobytes())
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _json_bytes(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, allow_nan=False).encode() + b"\n"
