"""The result of segmenting a picture: a class for every pixel, with scores and evidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from captionary.schemas.arrays import Box, LabelMap
from captionary.schemas.dictionary import Exemplar
from captionary.schemas.options import Witness

MOST_NAMED = 20
"""Classes that a line of text names, at most."""

KINDS_NAMED = 12
"""Kinds of a class that a line of text names, at most."""

Kinds: TypeAlias = Mapping[str, tuple[tuple[str, int], ...]]
"""By class, the nouns of a dictionary that are kinds of it, with how many pictures each has."""

ClassScores: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float32]]
"""(C,) float32, a number for each class."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A prototype behind a region's label.

    similarity: cosine of region and prototype, both centred on the dictionary's mean.
    """

    noun: str
    number: int
    similarity: float
    exemplars: tuple[Exemplar, ...]


@dataclass(frozen=True, slots=True)
class LabelledRegion:
    """One region of the picture with its scores.

    class_id:   index into `Segmentation.classes` of its best class.
    score:      fused probability of that class, in [0, 1].
    by_witness: its probability by each witness alone; a witness that knows nothing of the class is
        left out, and so is one that was not asked.
    evidence:   the nearest prototypes of that class, nearest first; as many as were requested.
    """

    box_xyxy: Box
    area: float
    class_id: int
    score: float
    by_witness: Mapping[Witness, float]
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Segmentation:
    """A class for every pixel.

    class_map: (H, W) int32, at the picture's own size, indices into `classes`.
    scores:    (C,) float32, mean fused probability of a class over the pixels it won, before
        borders were refined; 0 if none.
    classes:   the class names; where a background mode is on, "background" is among them.
    regions:   the regions the map was painted from.
    revision:  revision of the dictionary that was read; None by text alone.
    without_noun: the classes that have no noun of that dictionary, by name or as a kind: text
        judges them, or nouns that mean nearly the same.
    kinds:     of the classes that have any, the nouns that are kinds of it (segmenter.kinds), those
        of most pictures first; they speak for the class as its own name does.
    """

    class_map: LabelMap
    scores: ClassScores
    classes: tuple[str, ...]
    regions: tuple[LabelledRegion, ...]
    revision: int | None
    without_noun: tuple[str, ...] = ()
    kinds: Kinds = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.class_map.ndim != 2 or self.class_map.dtype != np.int32:
            raise ValueError(
                f"Segmentation.class_map must be (H, W) int32, "
                f"got {self.class_map.shape} {self.class_map.dtype}"
            )


def without_noun_line(names: Sequence[str]) -> str:
    """One line for users about the classes of `Segmentation.without_noun`, one at least."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return (
        f"the dictionary has no noun for {', '.join(names[:MOST_NAMED])}{more}: "
        "judged by text, or by near nouns"
    )


def kind_lines(kinds: Kinds) -> Iterator[str]:
    """A line for users about each class of `Segmentation.kinds`."""
    for name, nouns in kinds.items():
        listed = ", ".join(f"{noun} {pictures}" for noun, pictures in nouns[:KINDS_NAMED])
        rest = len(nouns) - KINDS_NAMED
        yield f"{name}: also by {listed}{f', and {rest} more' * (rest > 0)}"
