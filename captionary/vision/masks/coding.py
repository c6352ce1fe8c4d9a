"""What the values of masks mean: which class is which number, found from all masks of a dataset."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import LabelMap
from captionary.schemas.errors import WrongInput
from captionary.schemas.labels import IGNORE
from captionary.schemas.notes import Note

Values: TypeAlias = frozenset[int]
"""The different values of a mask."""

NO_CLASS = (255, 65535)
"""Values of pixels that belong to no class; from 256 classes on, 255 is a class of 16-bit masks."""

NO_CLASS_NAMES = frozenset(
    {"background", "_background_", "bg", "unlabeled", "unlabelled", "void", "none", "other"}
)
"""Names of a first class, in lower case, that 0 evidently stands for."""

FEW = 3
"""Masks that are too few to tell a stray value in one of them from the rule."""


@dataclass(frozen=True, slots=True)
class Coding:
    """What values mean.

    kind:    "from 0": the place in the class list. "from 1": one more, and 0 is no class.
             "spread": the places are spread over 0..255, as in masks that are meant to be seen.
    classes: how many there are.
    """

    kind: Literal["from 0", "from 1", "spread"]
    classes: int

    def class_of(self, value: int) -> int | None:
        """The place in the class list, or IGNORE; None: the value has no meaning."""
        if self.kind == "spread":
            return _spread(self.classes).get(value)
        if value < 0 or value in _no_class(self.classes):
            return IGNORE
        place = value - (self.kind == "from 1")
        return place if place < self.classes else None

    def decode(self, values: NDArray[Any]) -> LabelMap:
        """Convert values that all have a meaning to a label map, (H, W) int32."""
        used, places = np.unique(values, return_inverse=True)
        # An eight-bit 255 is no class, however many classes there are.
        no_class = 255 if values.dtype.itemsize == 1 and self.kind != "spread" else None
        meanings = [
            IGNORE if value == no_class else self.class_of(value) for value in used.tolist()
        ]
        labels: LabelMap = np.array(meanings, np.int32)[places.reshape(values.shape)]
        return labels

    def find_stranger(self, values: Values) -> int | None:
        """The largest value that has no meaning."""
        return max((value for value in values if self.class_of(value) is None), default=None)


def _no_class(classes: int) -> tuple[int, ...]:
    """Values of pixels that belong to no class, in masks of 16 bits."""
    return NO_CLASS if classes <= 255 else NO_CLASS[1:]


def values_of(values: NDArray[Any]) -> Values:
    """The different values of a mask."""
    return frozenset(np.unique(values).tolist())


def find_coding(masks: Mapping[Path, Values], classes: Sequence[str]) -> tuple[Coding, Note | None]:
    """Find out what the values of all masks of a dataset mean, and what is to be said of it.

    What cannot be told for sure means the place in the class list, as is documented.

    Args:
        masks:   the values of each mask that could be read; at least one.
        classes: names, in their order.

    Raises:
        WrongInput: there is one class only, and masks tell it from something else.
    """
    count = len(classes)
    seen = frozenset().union(*masks.values())
    real = {value for value in seen if value >= 0 and value not in NO_CLASS}
    two_toned = real == {0} and not seen.isdisjoint(_no_class(count))
    if count == 1 and (two_toned or max(real, default=0) > 0):
        raise WrongInput(
            f"masks hold the values {_listed(seen)} but classes.txt has one class, "
            f"{classes[0]!r}; name what the other is, as in 'background' in the first line"
        )

    def note(what: str, having: Values | set[int]) -> Note:
        found = [path for path, values in masks.items() if values & having]
        return Note(what, str(found[0]), count=len(found))

    top, inner = seen & set(NO_CLASS), real - {0}
    if 0 in real and _is_spread(masks.values(), inner, count):
        return Coding("spread", count), note(
            f"masks of {_listed(seen)}, in which 0 was taken for {classes[0]!r} and "
            f"{min(inner & _spread(count).keys() or top)} for {classes[1]!r}",
            inner | top,
        )
    holding = sum(count in values for values in masks.values())
    named = classes[0].casefold() in NO_CLASS_NAMES
    if count in real and (0 not in real or (not named and (holding > 1 or len(masks) <= FEW))):
        return Coding("from 1", count), note(
            f"masks that count classes from 1, in which 1 was taken for {classes[0]!r}, {count} "
            f"for {classes[-1]!r} and 0 for no class",
            real - {0},
        )
    if two_toned:
        return Coding("from 0", count), note(
            f"masks of {_listed(seen)} alone, in which {max(top)} was taken for no class",
            top,
        )
    return Coding("from 0", count), None


def _is_spread(masks: Iterable[Values], inner: set[int], count: int) -> bool:
    """Whether classes are spread over 0..255: where no value is a place in the list, save 0."""
    steps = _spread(count).keys()
    # Two classes have no steps between; of more, one must be seen: 0 and 255 alone may be no class.
    telling = inner if count > 2 else NO_CLASS
    fit = any(values <= steps and not values.isdisjoint(telling) for values in masks)
    return fit and min(inner, default=count) >= count


def _spread(count: int) -> dict[int, int]:
    """What values mean if classes are spread over 0..255, rounded either way."""
    steps = {65535: count - 1}
    for place in range(count):
        exact = 255 * place / max(1, count - 1)
        steps |= {int(exact): place, round(exact): place}
    return steps


def _listed(values: Values) -> str:
    """A few values in words."""
    shown = [str(value) for value in sorted(values)]
    if len(shown) > 5:
        shown = [*shown[:4], "..."]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else shown[0]
