"""Scores by which a noun chooses its region in a picture: association without masks.

Two witnesses. Text: the encoder's similarity of region and word. It is the better one where the
encoder knows the word, and says nothing where it does not. Consistency: what the pictures that
have the word in their captions share, and the others lack. It needs no text tower, only a few
pictures. How far either is believed is decided for each noun (`text_trust`, `consistency_trust`).

All vectors here are centred (`vocabulary.centring.centred`), unit length.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from captionary.schemas.arrays import Vectors

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

NEIGHBOURS = 5
"""How many of the nearest regions of other pictures speak for a region."""

FARTHEST = 64
"""Regions of pictures without the noun that a region is compared with, at most."""

TEXT_SHARE = 0.3
"""Weight of text where the word is surely known; consistency has the rest once it is reliable."""

FEW_PICTURES = 5
"""With so many other pictures, consistency is believed by half."""

KNOWN_AUC, KNOWN_SPREAD, KNOWN_PRIOR = 0.75, 0.12, 0.8
"""Of words that a CLIP knows: mean and spread over words of the AUC of `text_trust`, and their
share of all caption words. Measured on Flickr8k, where made-up words lie at 0.51."""


def mean_and_spread(background: Floats) -> tuple[float, float]:
    """Mean and standard deviation, above zero, of scores; of none, those that change nothing."""
    if not len(background):
        return 0.0, 1.0
    return float(background.mean()), max(float(background.std()), 1e-6)


def standardised(scores: Floats, mean: float, spread: float) -> Floats:
    """Scores in standard deviations above a mean, (n,) -> (n,)."""
    result: Floats = ((scores - mean) / spread).astype(np.float32)
    return result


def largest(similarity: Floats, count: int) -> Floats:
    """The `count` largest values of each row, or all, falling, (n, m) -> (n, k)."""
    count = min(count, similarity.shape[1])
    # Of what is put apart, the order is left to chance; a mean of it would differ in its last bit.
    apart = np.partition(-similarity, count - 1, axis=1)[:, :count] if count else similarity[:, :0]
    return -np.sort(apart, axis=1)


def consistency(
    vectors: Vectors,
    picture: Ints,
    *,
    having: Vectors,
    having_picture: Ints,
    far: Floats,
    lacking: int,
) -> Floats:
    """How much better a region is matched by other pictures with the noun than by those without.

    mean of the k largest cosines to `having`, other pictures only, minus the same for pictures
    without the noun; where these have m times as many regions, their k m largest stand for the k
    largest of a sample of equal size, without the noise of drawing one.

    Args:
        vectors: (n, D) regions to judge; picture: (n,) the picture of each.
        having: (p, D) regions of pictures with the noun; having_picture: (p,).
        far: (n, <= FARTHEST) the largest cosines to regions of pictures without it, falling.
        lacking: how many regions these pictures have.

    Returns:
        (n,) float32; zeros where there is nothing to compare with.
    """
    pictures = len(np.unique(having_picture))
    if pictures < 2 or not lacking:
        return np.zeros(len(vectors), dtype=np.float32)
    neighbours = min(NEIGHBOURS, pictures - 1)
    far_neighbours = max(1, round(neighbours * lacking / len(having)))
    near = vectors @ having.T
    # A region is always nearest to itself and its own picture, which tells nothing.
    near[picture[:, None] == having_picture[None, :]] = -1.0
    difference: Floats = largest(near, neighbours).mean(axis=1)
    difference -= far[:, :far_neighbours].mean(axis=1)
    return difference


def separation(positive: Floats, negative: Floats) -> float:
    """Chance that a positive outranks a negative (area under the ROC curve), in [0, 1]."""
    # Not scikit-learn's roc_auc_score: its sum over thresholds differs in the last bit, which would
    # change stores, and it takes twelve times as long.
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    pairs = len(positive) * len(negative)
    return float((ranks.sum() - len(positive) * (len(positive) + 1) / 2) / pairs)


def text_trust(having: Floats, lacking: Floats) -> float:
    """Posterior probability that the encoder knows a word, in (0, 1).

    A known word's best text score in a picture tells pictures with the word from those without; an
    unknown word's cannot. The AUC of that test is compared with what known and unknown words show,
    each widened by the standard error that so few pictures leave.

    Args:
        having, lacking: best text score in each picture with, and without, the word.
    """
    if not len(having) or not len(lacking):
        return KNOWN_PRIOR
    auc = separation(having, lacking)
    error = (1 / len(having) + 1 / len(lacking)) / 12
    # No AUC above that of known words, or below chance, speaks for the other side.
    known = _normal(min(auc, KNOWN_AUC), KNOWN_AUC, KNOWN_SPREAD**2 + error)
    unknown = _normal(max(auc, 0.5), 0.5, error)
    return KNOWN_PRIOR * known / (KNOWN_PRIOR * known + (1 - KNOWN_PRIOR) * unknown)


def _normal(value: float, mean: float, variance: float) -> float:
    density = np.exp(-((value - mean) ** 2) / (2 * variance)) / np.sqrt(variance)
    return float(max(density, 1e-12))


def consistency_trust(pictures: int) -> float:
    """How reliable consistency is with so many pictures of the noun, in [0, 1)."""
    return (pictures - 1) / (pictures - 1 + FEW_PICTURES)


def blended(
    text: Floats, shared: Floats, *, spread: float, text_weight: float, shared_weight: float
) -> Floats:
    """Weigh the two witnesses: standardised text scores, and consistency by its spread."""
    scores: Floats = (text_weight * text + shared_weight * shared / max(spread, 1e-6)).astype(
        np.float32
    )
    return scores


def one_to_one(rows: Sequence[Floats]) -> Ints:
    """Give each noun of a caption a region of its own, maximising the sum of scores.

    rows: for each of N nouns its (R,) scores over the picture's regions.

    Returns:
        (N,) int64 region of each noun; -1 for nouns left over when N > R.
    """
    taken = np.full(len(rows), -1, dtype=np.int64)
    nouns, regions = linear_sum_assignment(-np.stack(rows))
    taken[nouns] = regions
    return taken
