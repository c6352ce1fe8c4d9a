"""Which prototypes speak for each class of a list, how much each counts, and which speak against.

A link says that a prototype speaks for a class; one may speak for several. Nouns of a class count
alike, and a prototype by the share of its noun's regions that it stands for. What someone pointed
at counts by number: one region as much as all that captions taught, once these are GUESSED of them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np

from captionary.schemas.dictionary import Prototype
from captionary.segmenter.scoring import Floats, Ints

GUESSED = 8
"""Regions chosen by captions that count as much as one that someone pointed at; more of them count
no more (docs/results.md)."""

NounWeights: TypeAlias = Sequence[Mapping[str, float]]
"""For each class the nouns that speak for it, and how much."""


def speaking(weights: NounWeights, prototypes: Sequence[Prototype]) -> tuple[Ints, Ints, Floats]:
    """Prototype, class and weight of every link, (L,) each."""
    columns = _columns(prototypes, refused=False)
    regions: Counter[str] = Counter()
    for prototype in prototypes:
        if prototype.kind == "guessed":
            regions[prototype.noun] += prototype.size
    links: list[tuple[int, int, float]] = []
    for class_id, of_class in enumerate(weights):
        own = sorted((column, noun) for noun in of_class for column in columns[noun])
        links += _weighed(class_id, own, of_class, prototypes, regions)
    linked, owners, shares = zip(*links, strict=True) if links else ((), (), ())
    return (
        np.array(linked, dtype=np.int64),
        np.array(owners, dtype=np.int64),
        np.array(shares, dtype=np.float32),
    )


def _weighed(
    class_id: int,
    own: Sequence[tuple[int, str]],
    of_class: Mapping[str, float],
    prototypes: Sequence[Prototype],
    regions: Mapping[str, int],
) -> list[tuple[int, int, float]]:
    pointed = {column for column, _ in own if prototypes[column].kind == "pointed"}
    shares = {
        column: of_class[noun] * (prototypes[column].size / regions[noun])
        for column, noun in own
        if column not in pointed
    }
    if pointed and shares:
        known = sum(regions[noun] for noun in of_class)
        scale = min(1.0, known / GUESSED) / sum(shares.values())
        shares = {column: scale * share for column, share in shares.items()}
    for column in pointed:
        noun = prototypes[column].noun
        # Of several the prototypes are one of all and one of each, which count half each.
        half = 0.5 if sum(prototypes[other].noun == noun for other in pointed) > 1 else 1.0
        shares[column] = of_class[noun] * prototypes[column].size * half
    return [(column, class_id, shares[column]) for column, _ in own]


def against(weights: NounWeights, prototypes: Sequence[Prototype]) -> tuple[Ints, Ints]:
    """Prototype and class of everything that someone said is not a class, (A,) each."""
    columns = _columns(prototypes, refused=True)
    links = [
        (column, class_id)
        for class_id, of_class in enumerate(weights)
        for noun in sorted(of_class)
        for column in columns[noun]
    ]
    linked, owners = zip(*links, strict=True) if links else ((), ())
    return np.array(linked, dtype=np.int64), np.array(owners, dtype=np.int64)


def _columns(prototypes: Sequence[Prototype], *, refused: bool) -> Mapping[str, list[int]]:
    columns: defaultdict[str, list[int]] = defaultdict(list)
    for column, prototype in enumerate(prototypes):
        if (prototype.kind == "refused") == refused:
            columns[prototype.noun].append(column)
    return columns
