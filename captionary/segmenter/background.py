"""Background: what becomes of pixels that belong to none of the classes.

Modes: `none` (every pixel gets one of the classes), `names` (a class "background" that stands for
common surroundings), `threshold` (a region that no class fits well), `auto` (both).
"""

from collections.abc import Iterable

import numpy as np

from captionary.schemas.arrays import Scores
from captionary.schemas.classes import ClassName
from captionary.schemas.nouns import forms
from captionary.schemas.options import BackgroundMode

BACKGROUND = "background"

SURROUNDINGS = (
    "sky",
    "wall",
    "tree",
    "wood",
    "grass",
    "road",
    "sea",
    "river",
    "mountain",
    "sands",
    "desk",
    "bed",
    "building",
    "cloud",
    "lamp",
    "door",
    "window",
    "wardrobe",
    "ceiling",
    "shelf",
    "curtain",
    "stair",
    "floor",
    "hill",
    "rail",
    "fence",
)
"""Prompts of the background class (the list in use for VOC and COCO-Object)."""


def add_background(
    classes: tuple[ClassName, ...], mode: BackgroundMode
) -> tuple[tuple[ClassName, ...], int | None]:
    """Add the background class that a mode needs to the class list.

    A class named "background" in the list is the background; otherwise one is appended,
    in mode `threshold` without prompts. In `names` and `auto` its prompts are the synonyms the user
    gave it and the surroundings that no other class names (in any spelling and number).

    Returns:
        The classes, and the index of the background; None in mode `none`.
    """
    if mode == "none":
        return classes, None
    names = [item.name.casefold() for item in classes]
    index = names.index(BACKGROUND) if BACKGROUND in names else len(classes)
    others = (*classes[:index], *classes[index + 1 :])
    own = classes[index] if index < len(classes) else ClassName(BACKGROUND, ())
    if mode != "threshold":
        synonyms = tuple(word for word in own.prompts if word.casefold() != BACKGROUND)
        taken = {
            *_all_forms(synonyms),
            *_all_forms(word for item in others for word in item.prompts),
        }
        free = tuple(word for word in SURROUNDINGS if not _all_forms([word]) & taken)
        own = ClassName(own.name, synonyms + free or (BACKGROUND,), own.written_out)
    return (*classes[:index], own, *classes[index + 1 :]), index


def apply_threshold(scores: Scores, background_id: int, threshold: float) -> Scores:
    """Let the background win where no class reaches the threshold, (R, C) -> (R, C).

    The background's score is raised to the threshold everywhere, so the rule also holds for the
    blend of overlapping regions. Rows need not sum to one afterwards.
    """
    # A copy, because the scores before the threshold are shown as well.
    raised = scores.copy()
    np.maximum(raised[:, background_id], threshold, out=raised[:, background_id])
    return raised


def _all_forms(words: Iterable[str]) -> set[str]:
    return {form for word in words for form in forms(word)}
