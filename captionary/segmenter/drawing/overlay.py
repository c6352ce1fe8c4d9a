"""Overlay: the picture under translucent class colours, with borders, names and a legend."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from captionary.schemas.arrays import LabelMap, Mask, Rgb
from captionary.segmenter.background import BACKGROUND
from captionary.segmenter.drawing.legend import LegendEntry, draw_legend
from captionary.segmenter.drawing.lettering import Lettering, shown_names
from captionary.segmenter.drawing.palette import class_colours

SHORTEST, LONGEST = 800, 1600
"""Bounds on an overlay's longer side, in pixels."""

TINT = 0.55
"""How much of a class's colour lies over the photograph."""

LIFT = 50.0
"""Black under a tint becomes this grey, in [0, 255]: colours match the legend in shadows too."""


def draw_overlay(image: Rgb, class_map: LabelMap, classes: Sequence[str]) -> Rgb:
    """Draw the overlay of a class map.

    Classes are tinted, separated by thin lines, named where there is room, and listed below with
    their share of the picture, largest first. Where no font has the letters of a name, its number
    stands for it (`lettering.shown_names`).

    Args:
        image:     (H, W, 3) uint8.
        class_map: (H, W) int32, indices into `classes`.
        classes:   all class names; their order decides the colours.

    Returns:
        (H', W', 3) uint8: the picture, its longer side 800 to 1600 pixels, and under it the legend.
    """
    height, width = class_map.shape
    longest = max(height, width)
    # Names and lines need some pixels, and a very large JPEG helps nobody.
    scale = min(max(longest, SHORTEST), LONGEST) / longest
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    colours = class_colours(tuple(classes))
    background = [index for index, name in enumerate(classes) if name.casefold() == BACKGROUND]
    text_size = min(max(round(math.sqrt(size[0] * size[1]) / 38) + 2, 14), 34)
    names = shown_names(tuple(classes))
    # Of all classes, not of those present: fonts are then chosen once for all pictures.
    lettering = Lettering(names, size=text_size)
    picture = draw_classes(
        image, class_map, names, colours=colours, size=size, lettering=lettering, plain=background
    )
    shares = np.bincount(class_map.ravel(), minlength=len(classes)) / class_map.size
    entries = [
        LegendEntry(names[index], tuple(colours[index].tolist()), float(shares[index]))
        for index in np.argsort(-shares, kind="stable")
        if shares[index] > 0
    ]
    return _stack(picture, draw_legend(entries, width=max(size[0], 400), lettering=lettering))


def draw_classes(
    image: Rgb,
    class_map: LabelMap,
    classes: Sequence[str],
    *,
    colours: NDArray[np.uint8],
    size: tuple[int, int],
    lettering: Lettering,
    plain: Sequence[int] = (),
) -> Image.Image:
    """Draw the picture under translucent colours, with borders and names but without a legend.

    Args:
        image:     (H, W, 3) uint8.
        class_map: (H, W) int32, indices into `classes`.
        colours:   (C, 3) uint8, of each class.
        size:      width and height to draw at.
        lettering: draws the names.
        plain:     classes that are dimmed instead of coloured, and named only once.
    """
    labels = _resize_labels(class_map, size)
    photograph = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    tinted = _tint(photograph, labels, colours, plain=plain)
    picture = Image.fromarray(_draw_borders(tinted, labels, width=max(size) / 500))
    _draw_names(picture, labels, classes, lettering=lettering, once=plain)
    return picture


def _resize_labels(class_map: LabelMap, size: tuple[int, int]) -> LabelMap:
    """Class map at the overlay's (width, height); enlarged, its borders become smooth."""
    if size[0] <= class_map.shape[1]:
        nearest = Image.fromarray(class_map).resize(size, Image.Resampling.NEAREST)
        return np.asarray(nearest, np.int32)
    # Softened masks are enlarged one by one, and the largest wins: nearest pixels would be stairs.
    soften = ImageFilter.GaussianBlur(0.6)
    best = np.zeros(size[::-1], np.uint8)
    labels = np.full(size[::-1], class_map[0, 0], np.int32)
    for label in np.unique(class_map):
        mask = Image.fromarray((class_map == label).astype(np.uint8) * 255)
        share = np.asarray(mask.filter(soften).resize(size, Image.Resampling.BILINEAR))
        labels[share > best] = label
        np.maximum(best, share, out=best)
    return labels


def _tint(
    photograph: Rgb, labels: LabelMap, colours: NDArray[np.uint8], *, plain: Sequence[int]
) -> Rgb:
    """Lay the colours over the photograph, half drained of its own; `plain` classes are dimmed."""
    # Luma of ITU-R BT.601; half of the picture's own colour would mix with the class's.
    grey = photograph @ np.array([0.299, 0.587, 0.114], np.float32)
    drained = 0.5 * photograph + 0.5 * grey[..., None]
    tinted = (1 - TINT) * (LIFT + (1 - LIFT / 255) * drained) + TINT * colours[labels]
    dimmed = np.isin(labels, plain)
    tinted[dimmed] = 0.65 * drained[dimmed]
    return tinted.clip(0, 255).astype(np.uint8)


def _draw_borders(picture: Rgb, labels: LabelMap, *, width: float) -> Rgb:
    """Draw light lines, `width` pixels wide and soft at the edge, between classes."""
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    # By the distance to the nearest edge the line is equally wide in all directions.
    away = ndimage.distance_transform_edt(~edge) if edge.any() else np.full(labels.shape, np.inf)
    line = (width / 2 + 0.5 - away).clip(0, 1)[..., None] * 0.9
    drawn: Rgb = (picture * (1 - line) + 255 * line).astype(np.uint8)
    return drawn


def _draw_names(
    picture: Image.Image,
    labels: LabelMap,
    classes: Sequence[str],
    *,
    lettering: Lettering,
    once: Sequence[int],
) -> None:
    """Write each class's name in its parts where it fits; those of `once` in the largest only."""
    step = 4  # places for names are searched on a coarse grid, for speed
    coarse = labels[step // 2 :: step, step // 2 :: step]
    for label in np.unique(coarse):
        name = classes[label]
        half_w, half_h = (lettering.getlength(name) / 2 + 4) / step, lettering.size * 0.75 / step
        places = _places(coarse == label, half_h=half_h, half_w=half_w)
        for row, column in places[:1] if label in once else places:
            lettering.draw(
                picture,
                ((column + 0.5) * step, (row + 0.5) * step),
                name,
                (255, 255, 255),
                anchor="mm",
                outline=max(1, round(lettering.size / 9)),
                outline_colour=(20, 22, 26),
            )


def _places(mask: Mask, *, half_h: float, half_w: float) -> list[tuple[int, int]]:
    """Row and column, per connected part, where a box of that half height and width has room.

    The largest part comes first. Of the places with enough of it the one nearest to the part's
    centre is taken. The part is squeezed along the text, so that the box becomes a square.
    """
    # A distance transform of the squeezed part tells how large a box fits around each place.
    parts, _ = ndimage.label(mask)
    boxes = ndimage.find_objects(parts)
    places = []
    for index in np.argsort(-np.bincount(parts.ravel())[1:], kind="stable"):
        box = boxes[index]
        part = parts[box] == index + 1
        if part.sum() < 6 * half_h * half_w:
            continue
        room = ndimage.distance_transform_edt(np.pad(part, 1), sampling=(1 / half_h, 1 / half_w))[
            1:-1, 1:-1
        ]
        if (most := room.max()) >= 1:
            roomy = np.argwhere(room >= min(most, 2.2))
            off_centre = np.hypot(*((roomy - ndimage.center_of_mass(part)) / (half_h, half_w)).T)
            row, column = roomy[off_centre.argmin()]
            places.append((int(row) + box[0].start, int(column) + box[1].start))
    return places


def _stack(picture: Image.Image, legend: Image.Image) -> Rgb:
    """The picture above its legend, centred where the legend is wider."""
    page = Image.new("RGB", (legend.width, picture.height + legend.height), legend.getpixel((0, 0)))
    page.paste(picture, ((legend.width - picture.width) // 2, 0))
    page.paste(legend, (0, picture.height))
    return np.asarray(page)
