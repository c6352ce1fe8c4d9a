"""Weights for one dictionary, chosen by its own captions.

Captions do not name all that a picture shows, so every measure of them has a bias of its own: the
share of area that named nouns win likes captions as witnesses, which favour what is frequent; the
mean IoU of nouns likes sharp prototypes and no captions; the order of nouns likes dull ones. Where
all three gain, masks agree; where one does not, they need not (docs/results.md). So a set of
weights is as good as the measure that gains least by it, and the defaults stay unless all gain
clearly.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from captionary.segmenter.quality.leave_one_out import Examination
from captionary.segmenter.quality.trials import Outcome, Trial, outcome
from captionary.segmenter.region_scores import (
    CAPTION_WEIGHT,
    PROTOTYPE_SCALE,
    PROTOTYPE_WEIGHT,
    Weights,
)
from captionary.segmenter.scoring import LEAST, Ints

PROTOTYPES = (0.3, 0.5, 0.7, PROTOTYPE_WEIGHT, 1.0)
CAPTIONS = (0.0, CAPTION_WEIGHT, 0.4, 0.8)
SCALES = (5.0, PROTOTYPE_SCALE, 20.0, 30.0)
"""What is tried: every combination."""

LEAST_GAIN = 0.02
"""Share of what is wrong with the defaults, by each measure, that other weights must put right."""

RESAMPLES, SURE = 200, 0.95
"""Drawings of the pictures, with replacement, and in what share of them all measures must gain."""

FEWEST_PICTURES = 30
"""With fewer pictures nothing is changed."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The weights that suit a dictionary.

    weights:      the chosen ones, or the defaults.
    score_before: mean of the three measures with the defaults, in [0, 1]; 0 without any trial.
    score_after:  the same with the chosen ones.
    gain:         share of what was wrong that is put right, by the measure that gains least.
    changed:      whether they are others than the defaults.
    pictures:     how many pictures they were tried on.
    """

    weights: Weights
    score_before: float
    score_after: float
    gain: float
    changed: bool
    pictures: int

    def to_store(self) -> dict[str, float]:
        """What the dictionary keeps: empty where the defaults are to stay."""
        kept = ("prototypes", "captions", "scale")
        return {name: getattr(self.weights, name) for name in kept} if self.changed else {}


def calibrate(examination: Examination) -> Calibration:
    """Choose weights; the defaults where no others are clearly better."""
    usual, pictures = Weights(examination.text_scale), len(examination.trials)
    trials = [one for of_picture in examination.trials for one in of_picture]
    nouns = len(examination.nouns)
    if pictures < FEWEST_PICTURES:
        return Calibration(usual, 0.0, 0.0, 0.0, changed=False, pictures=pictures)
    before = _try(trials, [usual], nouns)[0][1]
    chosen, after, gain = usual, before, 0.0
    for scale in SCALES:
        tried = [
            replace(usual, prototypes=share, captions=captions, scale=scale)
            for share, captions in product(PROTOTYPES, CAPTIONS)
        ]
        for weights, result in _try(trials, tried, nouns):
            agreed = agreed_gain(before, result)
            if agreed > gain:
                chosen, after, gain = weights, result, agreed
    if gain < LEAST_GAIN or not _is_sure(before, after, pictures):
        chosen, after, gain = usual, before, 0.0
    return Calibration(
        weights=chosen,
        score_before=float(before.measures().mean()),
        score_after=float(after.measures().mean()),
        gain=gain,
        changed=chosen != usual,
        pictures=pictures,
    )


def agreed_gain(before: Outcome, after: Outcome, rows: Ints | slice = slice(None)) -> float:
    """The share of what was wrong that is put right, by the measure that gains least."""
    usual = before.measures(rows)
    gains = (after.measures(rows) - usual) / np.maximum(1 - usual, LEAST)
    return float(gains.min())


def _try(trials: list[Trial], tried: list[Weights], nouns: int) -> list[tuple[Weights, Outcome]]:
    """The outcome of each of some weights, all of one scale."""
    said = [one.by_prototypes(tried[0].scale) for one in trials]
    return [(weights, outcome(trials, said, weights, nouns=nouns)) for weights in tried]


def _is_sure(before: Outcome, after: Outcome, pictures: int) -> bool:
    """Whether all measures gain in nearly all drawings of the pictures, each with its trials."""
    random = np.random.default_rng(0)
    rows = np.arange(len(before.share)).reshape(pictures, -1)
    drawn = (rows[random.integers(0, pictures, pictures)].ravel() for _ in range(RESAMPLES))
    gains = [agreed_gain(before, after, trials) > 0 for trials in drawn]
    return float(np.mean(gains)) >= SURE
