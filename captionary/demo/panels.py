"""What there is to see of the story: rows of panels, each a picture with a title and some words.

Scenes are chosen by what stands in them, not by how well they came out.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from captionary.demo.story import Asked, Told
from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.world import Scene
from captionary.schemas.arrays import LabelMap, Rgb
from captionary.schemas.dictionary import Exemplar
from captionary.schemas.options import Fusion
from captionary.schemas.regions import Region
from captionary.segmenter.drawing.overlay import draw_classes
from captionary.segmenter.drawing.palette import GREY, class_colours

SIDE = 384
"""Pixels of a panel's side."""
TEXT_SIZE = 20
IN_A_ROW = 4
SHOWN = 5
"""Held-out scenes that are shown."""
LEAST = 0.03
"""Share of its scene that every noun of a shown scene has."""
FITS = 0.4
"""IoU with a noun's true pixels from which on a region can stand for it."""
DIMMED = 0.35
"""What remains of the light beside a spotlight."""
AROUND = 1.8
"""Side of what is shown around a region, as a multiple of the region's longer side."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A square picture; title: what it is; text: what is said of it."""

    picture: Image.Image
    title: str
    text: str


Row: TypeAlias = tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The rows of panels.

    captioned: some scenes of the dictionary, with a caption each.
    shown:     scene, truth, text alone, with prototypes; of some held-out scenes.
    evidence:  a region and the exemplars behind its label; empty where none came out right.
    taught:    some scenes that taught the newcomer, with a caption each.
    grown:     scene, text alone, before, after.
    lesson:    evidence for the newcomer; may be empty.
    """

    captioned: Row
    shown: tuple[Row, ...]
    evidence: Row
    taught: Row
    grown: Row
    lesson: Row


def hang(told: Told, folder: Path) -> Gallery:
    """Draw everything. folder: where the story's scenes lie."""
    cast, growth = told.cast, told.growth
    newcomer = len(cast.classes) - 1
    novel = cast.novel_ids
    chosen = choose_shown([item.scene for item in told.held_out], novel)
    shown = [told.held_out[index] for index in chosen]
    best = int(np.argmax([_right(item) for item in growth.after]))
    return Gallery(
        captioned=tuple(map(_captioned, told.captioned[:IN_A_ROW])),
        shown=tuple(_shown(item, novel) for item in shown),
        evidence=_evidence(shown, novel, folder),
        taught=tuple(map(_captioned, growth.taught[:IN_A_ROW])),
        grown=_grown(growth.before[best], growth.after[best], of=len(growth.after)),
        lesson=_evidence(growth.after[best : best + 1], [newcomer], folder),
    )


def choose_shown(scenes: Sequence[Scene], novel: Collection[int]) -> list[int]:
    """Indices of scenes of two to four nouns, a novel one among them, none tiny; grounds differ.

    Where too few are like that, others follow.
    """
    grounds: set[int] = set()
    fit, others = [], []
    for index, scene in enumerate(scenes):
        labels, pixels = np.unique(scene.labels, return_counts=True)
        ground, *nouns = labels.tolist()
        if (
            2 <= len(nouns) <= 4
            and not set(nouns).isdisjoint(novel)
            and pixels.min() >= LEAST * scene.labels.size
            and ground not in grounds
        ):
            grounds.add(ground)
            fit.append(index)
        else:
            others.append(index)
    return [*fit, *others][:SHOWN]


def _captioned(scene: Scene) -> Panel:
    return Panel(_enlarged(scene.picture), "", scene.captions[0])


def _shown(asked: Asked, novel: Collection[int]) -> Row:
    classes = asked.answers["both"].classes
    labels = np.unique(asked.scene.labels).tolist()
    named = ", ".join(classes[label] + " (novel)" * (label in novel) for label in labels)
    return (
        Panel(_enlarged(asked.scene.picture), "scene", ""),
        Panel(_labelled(asked.scene, asked.scene.labels, classes), "truth", named),
        _answer(asked, "text", "text alone"),
        _answer(asked, "both", "with prototypes"),
    )


def _grown(before: Asked, after: Asked, *, of: int) -> Row:
    return (
        Panel(_enlarged(before.scene.picture), "scene", f"the best named of {of}"),
        _answer(before, "text", "text alone"),
        _answer(before, "both", "before"),
        _answer(after, "both", "after"),
    )


def _answer(asked: Asked, fusion: Fusion, title: str) -> Panel:
    answer = asked.answers[fusion]
    picture = _labelled(asked.scene, answer.class_map, answer.classes)
    return Panel(picture, title, f"{100 * _right(asked, fusion):.0f} % of the pixels right")


def _right(asked: Asked, fusion: Fusion = "both") -> float:
    """Share of the pixels that are rightly named."""
    return float((asked.answers[fusion].class_map == asked.scene.labels).mean())


def _labelled(scene: Scene, class_map: LabelMap, classes: Sequence[str]) -> Image.Image:
    """A scene under a class map: nouns that it shows in colours, others grey, grounds dimmed."""
    shown = [label for label in np.unique(scene.labels).tolist() if label >= len(GROUNDS)]
    others = sorted({*np.unique(class_map).tolist()} - {*shown})
    names = tuple(classes[label] for label in (*shown, *others))
    colours = class_colours(names)
    colours[len(shown) :] = GREY
    place = np.zeros(len(classes), np.int32)
    place[[*shown, *others]] = np.arange(len(names))
    return draw_classes(
        scene.picture,
        place[class_map],
        names,
        colours=colours,
        size=(SIDE, SIDE),
        text_size=TEXT_SIZE,
        plain=[place[label] for label in others if label < len(GROUNDS)],
    )


def _evidence(asked: Sequence[Asked], nouns: Collection[int], folder: Path) -> Row:
    """The region that fits one of the nouns best and is rightly named, and what named it so."""
    found = [(fit, item, row) for item in asked for fit, row in _right_regions(item, nouns)]
    if not found:
        return ()
    _, item, row = max(found, key=lambda candidate: candidate[0])
    answer = item.answers["both"]
    region = answer.regions[row]
    named = Panel(
        _spotlight(item.scene.picture, item.regions[row]),
        answer.classes[region.class_id],
        f"{100 * region.score:.0f} % sure of it; text alone {100 * region.text:.0f} %",
    )
    exemplars = region.evidence[0].exemplars[: IN_A_ROW - 1]
    return (named, *(_exemplar(exemplar, folder) for exemplar in exemplars))


def _right_regions(asked: Asked, nouns: Collection[int]) -> Iterator[tuple[float, int]]:
    """IoU and row of the regions that are rightly given one of the nouns, on evidence."""
    for row, (region, labelled) in enumerate(
        zip(asked.regions, asked.answers["both"].regions, strict=True)
    ):
        if labelled.class_id in nouns and labelled.evidence:
            truth = asked.scene.labels == labelled.class_id
            iou = float((truth & region.mask).sum() / (truth | region.mask).sum())
            if iou >= FITS:
                yield iou, row


def _exemplar(exemplar: Exemplar, folder: Path) -> Panel:
    """The surroundings of an exemplar in its picture, with light on its box."""
    with Image.open(folder / exemplar.image_id) as file:
        picture = np.asarray(file.convert("RGB"))
    left, top, right, bottom = exemplar.box_xyxy
    box = np.zeros(picture.shape[:2], np.bool_)
    box[top:bottom, left:right] = True
    return Panel(_spotlight(picture, Region(box)), "", exemplar.caption)


def _enlarged(picture: Rgb) -> Image.Image:
    return Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _spotlight(picture: Rgb, region: Region) -> Image.Image:
    """A square around a region, with light on the region."""
    left, top, right, bottom = region.box_xyxy
    side = min(AROUND * max(right - left, bottom - top), *region.mask.shape)
    x = min(max(left + right - side, 0) / 2, region.mask.shape[1] - side)
    y = min(max(top + bottom - side, 0) / 2, region.mask.shape[0] - side)
    lit, size = (x, y, x + side, y + side), (SIDE, SIDE)
    square = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, lit)
    light = Image.fromarray(region.mask.astype(np.uint8) * 255)
    light = light.resize(size, Image.Resampling.BILINEAR, lit)
    return Image.composite(square, square.point(lambda value: value * DIMMED), light)
