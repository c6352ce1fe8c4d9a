"""Draws the pictures of the demo: rows of panels, each a picture with a title and a text.

Scenes are chosen by their content, not by how well they were segmented.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from captionary.demo.story import SegmentedScene, Story
from captionary.pictograms.grounds import GROUNDS
from captionary.pictograms.world import Scene
from captionary.schemas.arrays import LabelMap, Rgb
from captionary.schemas.dictionary import Exemplar
from captionary.schemas.options import Fusion
from captionary.schemas.regions import Region
from captionary.segmenter.drawing.lettering import Lettering
from captionary.segmenter.drawing.overlay import draw_classes
from captionary.segmenter.drawing.palette import GREY, class_colours

SIDE = 384
"""Pixels of a panel's side."""
TEXT_SIZE = 20
ROW_LENGTH = 4
SHOWN_SCENES = 5
"""Held-out scenes that are shown."""
LEAST_AREA = 0.03
"""Least share of its scene that every noun of a shown scene has."""
LEAST_IOU = 0.4
"""Least IoU of a region that is shown for a noun with the noun's true pixels."""
DIMMED = 0.35
"""Brightness beside a spotlight, as a share."""
SPOTLIGHT_SIDE = 1.8
"""Side of the crop around a region, as a multiple of the region's longer side."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A square picture with its title and a text about it."""

    picture: Image.Image
    title: str
    text: str


Row: TypeAlias = tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The rows of panels.

    captioned: some scenes of the dictionary, with a caption each.
    shown:     scene, truth, text alone, with prototypes; of some held-out scenes.
    evidence:  a region and the exemplars behind its label; empty if none was correct.
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


def draw_gallery(story: Story, folder: Path) -> Gallery:
    """Draw all panels of a story. folder: where its scenes lie."""
    cast, growth = story.cast, story.growth
    newcomer = len(cast.classes) - 1
    novel = cast.novel_ids
    chosen = choose_scenes([item.scene for item in story.held_out], novel)
    shown = [story.held_out[index] for index in chosen]
    best = int(np.argmax([_pixel_accuracy(item) for item in growth.after]))
    return Gallery(
        captioned=tuple(map(_caption_panel, story.captioned[:ROW_LENGTH])),
        shown=tuple(_comparison_row(item, novel) for item in shown),
        evidence=_evidence_row(shown, novel, folder),
        taught=tuple(map(_caption_panel, growth.taught[:ROW_LENGTH])),
        grown=_growth_row(growth.before[best], growth.after[best], of=len(growth.after)),
        lesson=_evidence_row(growth.after[best : best + 1], [newcomer], folder),
    )


def choose_scenes(scenes: Sequence[Scene], novel: Collection[int]) -> list[int]:
    """Indices of scenes with two to four nouns, a novel one among them, none tiny, on many grounds.

    Where there are too few of them, others follow.
    """
    grounds_shown: set[int] = set()
    suitable, others = [], []
    for index, scene in enumerate(scenes):
        labels, pixels = np.unique(scene.labels, return_counts=True)
        ground, *nouns = labels.tolist()
        if (
            2 <= len(nouns) <= 4
            and not set(nouns).isdisjoint(novel)
            and pixels.min() >= LEAST_AREA * scene.labels.size
            and ground not in grounds_shown
        ):
            grounds_shown.add(ground)
            suitable.append(index)
        else:
            others.append(index)
    return [*suitable, *others][:SHOWN_SCENES]


def _caption_panel(scene: Scene) -> Panel:
    return Panel(_enlarge(scene.picture), "", scene.captions[0])


def _comparison_row(segmented: SegmentedScene, novel: Collection[int]) -> Row:
    classes = segmented.segmentations["both"].classes
    labels = np.unique(segmented.scene.labels).tolist()
    named = ", ".join(classes[label] + " (novel)" * (label in novel) for label in labels)
    return (
        Panel(_enlarge(segmented.scene.picture), "scene", ""),
        Panel(_draw_labels(segmented.scene, segmented.scene.labels, classes), "truth", named),
        _segmentation_panel(segmented, "text", "text alone"),
        _segmentation_panel(segmented, "both", "with prototypes"),
    )


def _growth_row(before: SegmentedScene, after: SegmentedScene, *, of: int) -> Row:
    return (
        Panel(_enlarge(before.scene.picture), "scene", f"the best named of {of}"),
        _segmentation_panel(before, "text", "text alone"),
        _segmentation_panel(before, "both", "before"),
        _segmentation_panel(after, "both", "after"),
    )


def _segmentation_panel(segmented: SegmentedScene, fusion: Fusion, title: str) -> Panel:
    segmentation = segmented.segmentations[fusion]
    picture = _draw_labels(segmented.scene, segmentation.class_map, segmentation.classes)
    return Panel(
        picture, title, f"{100 * _pixel_accuracy(segmented, fusion):.0f} % of the pixels right"
    )


def _pixel_accuracy(segmented: SegmentedScene, fusion: Fusion = "both") -> float:
    """Share of the pixels that have their true class."""
    return float((segmented.segmentations[fusion].class_map == segmented.scene.labels).mean())


def _draw_labels(scene: Scene, class_map: LabelMap, classes: Sequence[str]) -> Image.Image:
    """A scene under a class map: nouns that it shows in colours, others grey, grounds dimmed."""
    shown = [label for label in np.unique(scene.labels).tolist() if label >= len(GROUNDS)]
    others = sorted({*np.unique(class_map).tolist()} - {*shown})
    names = tuple(classes[label] for label in (*shown, *others))
    colours = class_colours(names)
    colours[len(shown) :] = GREY
    # Only the classes that occur have a colour and a name on the picture.
    new_id = np.zeros(len(classes), np.int32)
    new_id[[*shown, *others]] = np.arange(len(names))
    return draw_classes(
        scene.picture,
        new_id[class_map],
        names,
        colours=colours,
        size=(SIDE, SIDE),
        lettering=Lettering(names, size=TEXT_SIZE),
        plain=[new_id[label] for label in others if label < len(GROUNDS)],
    )


def _evidence_row(segmented: Sequence[SegmentedScene], nouns: Collection[int], folder: Path) -> Row:
    """The region that overlaps one of the nouns best and is labelled with it, and its exemplars."""
    candidates = [
        (iou, item, row) for item in segmented for iou, row in _correct_regions(item, nouns)
    ]
    if not candidates:
        return ()
    _, item, row = max(candidates, key=lambda candidate: candidate[0])
    segmentation = item.segmentations["both"]
    region = segmentation.regions[row]
    region_panel = Panel(
        _draw_spotlight(item.scene.picture, item.regions[row]),
        segmentation.classes[region.class_id],
        f"{100 * region.score:.0f} % sure of it; "
        f"text alone {100 * region.by_witness['text']:.0f} %",
    )
    exemplars = region.evidence[0].exemplars[: ROW_LENGTH - 1]
    return (region_panel, *(_exemplar_panel(exemplar, folder) for exemplar in exemplars))


def _correct_regions(
    segmented: SegmentedScene, nouns: Collection[int]
) -> Iterator[tuple[float, int]]:
    """IoU and row of the regions that are labelled correctly with one of the nouns, on evidence."""
    for row, (region, labelled) in enumerate(
        zip(segmented.regions, segmented.segmentations["both"].regions, strict=True)
    ):
        if labelled.class_id in nouns and labelled.evidence:
            truth = segmented.scene.labels == labelled.class_id
            iou = float((truth & region.mask).sum() / (truth | region.mask).sum())
            if iou >= LEAST_IOU:
                yield iou, row


def _exemplar_panel(exemplar: Exemplar, folder: Path) -> Panel:
    """An exemplar in its picture, cropped around its box and dimmed outside of it."""
    with Image.open(folder / exemplar.image_id) as file:
        picture = np.asarray(file.convert("RGB"))
    left, top, right, bottom = exemplar.box_xyxy
    box = np.zeros(picture.shape[:2], np.bool_)
    box[top:bottom, left:right] = True
    return Panel(_draw_spotlight(picture, Region(box)), "", exemplar.caption)


def _enlarge(picture: Rgb) -> Image.Image:
    return Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def _draw_spotlight(picture: Rgb, region: Region) -> Image.Image:
    """A square crop around a region, dimmed outside of it."""
    left, top, right, bottom = region.box_xyxy
    side = min(SPOTLIGHT_SIDE * max(right - left, bottom - top), *region.mask.shape)
    x = min(max(left + right - side, 0) / 2, region.mask.shape[1] - side)
    y = min(max(top + bottom - side, 0) / 2, region.mask.shape[0] - side)
    lit, size = (x, y, x + side, y + side), (SIDE, SIDE)
    square = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, lit)
    light = Image.fromarray(region.mask.astype(np.uint8) * 255)
    light = light.resize(size, Image.Resampling.BILINEAR, lit)
    return Image.composite(square, square.point(lambda value: value * DIMMED), light)
