"""Trials: what each witness says of a left-out picture, kept so that many weights can be tried.

A trial asks about the nouns of a picture's captions and about some that they lack, as a user asks
about a class list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Scores
from captionary.schemas.options import WITNESSES, Witness
from captionary.schemas.regions import RegionTable
from captionary.segmenter.class_vectors import ClassVectors
from captionary.segmenter.painting import LARGENESS
from captionary.segmenter.quality.left_out import of_some
from captionary.segmenter.region_scores import (
    Weights,
    fused_scores,
    said_by_prototypes,
    score_regions,
)
from captionary.segmenter.scoring import LEAST, Floats, Ints
from captionary.vocabulary.candidates import large_enough
from captionary.vocabulary.neighbours import Neighbours

NAMED, ABSENT = 10, 15
"""Nouns of a trial, at most: that the captions name, and that they do not."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What each witness says of the regions of a left-out picture, those of some size.

    chosen:     (C,) which of the frequent nouns are asked about; the first `named` are named.
    area:       (R,) what each region counts, 1 in all: large ones for less than their area, as in
                painting.
    said:       (R, C) by every witness but the prototypes.
    similarity: (R, P) to the prototypes.
    classes:    the nouns as a class list; without vectors, which are used up.
    """

    chosen: Ints
    named: int
    area: Floats
    said: Mapping[Witness, Scores]
    similarity: Scores
    classes: ClassVectors

    def by_prototypes(self, scale: float) -> Scores:
        """What the prototypes say, (R, C), at a sharpness."""
        return said_by_prototypes(self.similarity, self.classes, self.said["text"], scale)

    def scores(self, by_prototypes: Scores, weights: Weights) -> Scores:
        """Of all witnesses together, (R, C)."""
        said = {**self.said, "prototypes": by_prototypes}
        return fused_scores(said, WITNESSES, self.classes, weights)


def make_trial(
    table: RegionTable,
    classes: ClassVectors,
    near: Neighbours,
    named: NDArray[np.bool_],
    weights: Weights,
    random: np.random.Generator,
) -> Trial:
    """A trial of a picture; at least one noun must be named, and one not.

    Args:
        table:   its regions; classes, near: without it.
        named:   (N,) whether its captions name each of the classes.
        random:  draws the nouns.
    """
    own, others = np.flatnonzero(named), np.flatnonzero(~named)
    first = random.choice(own, min(len(own), NAMED), replace=False)
    chosen = np.concatenate([first, random.choice(others, min(len(others), ABSENT), replace=False)])
    some = of_some(classes, chosen.tolist(), weights.text_scale)
    rows = large_enough(table)
    part = RegionTable(
        table.vectors[rows],
        table.boxes_xyxy[rows],
        table.areas[rows],
        None if table.look_vectors is None else table.look_vectors[rows],
    )
    nearby = Neighbours(near.words[rows], near.weight[rows], near.nouns)
    scores = score_regions(part, some, nearby, fusion="all", weights=weights)
    area = part.areas / (1 + LARGENESS * part.areas)
    return Trial(
        chosen=chosen,
        named=len(first),
        area=(area / area.sum()).astype(np.float32),
        said={who: said for who, said in scores.by_witness.items() if who != "prototypes"},
        similarity=scores.similarity,
        classes=replace(some, prompts=some.prompts[:0], looks=some.looks[:0], prototypes=()),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of T trials of N nouns with one set of weights.

    share:  (T,) of the area, won by nouns that the captions name.
    order:  (T,) how often a named noun is more probable than one that is not, each in its best
            region.
    won, missed, wrong: (T, N) area that each noun won where it is named; that other nouns won there
            which are not (shared among those named); that it won where it is not. Weighted so that
            frequent nouns count no more than rare ones.
    """

    share: Floats
    order: Floats
    won: Floats
    missed: Floats
    wrong: Floats

    def measures(self, rows: Ints | slice = slice(None)) -> Floats:
        """Of all trials or some: share, order and the mean IoU over the nouns, (3,) in [0, 1]."""
        won, missed, wrong = (
            part[rows].sum(axis=0) for part in (self.won, self.missed, self.wrong)
        )
        asked = won + missed > 0
        iou = won[asked] / (won + missed + wrong)[asked]
        return np.array([self.share[rows].mean(), self.order[rows].mean(), iou.mean()], np.float32)


def outcome(
    trials: Sequence[Trial], by_prototypes: Sequence[Scores], weights: Weights, *, nouns: int
) -> Outcome:
    """Try one set of weights.

    Args:
        by_prototypes: of each trial, what the prototypes say at the weights' scale.
        nouns:         N, how many there are in all.
    """
    often = np.bincount(
        np.concatenate([one.chosen[: one.named] for one in trials]), minlength=nouns
    )
    share, order = np.zeros(len(trials), np.float32), np.zeros(len(trials), np.float32)
    won, missed, wrong = np.zeros((3, len(trials), nouns), np.float32)
    for row, (one, said) in enumerate(zip(trials, by_prototypes, strict=True)):
        scores = one.scores(said, weights)
        area = np.bincount(scores.argmax(axis=1), weights=one.area, minlength=len(one.chosen))
        best = np.maximum(scores.max(axis=0), LEAST)
        own, others = one.chosen[: one.named], one.chosen[one.named :]
        share[row] = area[: one.named].sum()
        order[row] = (best[: one.named, None] > best[None, one.named :]).mean()
        counts = (1 / often[own]).mean()
        won[row, own] = counts * area[: one.named]
        missed[row, own] = counts * (1 - share[row]) / one.named
        wrong[row, others] = counts * area[one.named :]
    return Outcome(share, order, won, missed, wrong)
