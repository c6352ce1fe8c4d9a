"""How well nouns are told from each other in pictures that were left out; arrays in, arrays out.

A picture's score of a noun is that of the region in which it is most probable. P pictures, N nouns.
"""

import numpy as np
from numpy.typing import NDArray

from captionary.segmenter.quality.leave_one_out import Examination
from captionary.segmenter.scoring import Floats

ALONE, IN_DOUBT, DOUBTED_PICTURE = 0.3, 0.9, 0.65
"""A noun of a caption is unsupported below the first by itself, and below the second in a picture
whose nouns are below the third on average (docs/results.md)."""


def support(examination: Examination) -> Floats:
    """For each noun of a picture's captions, how many pictures without it it beats, (P, N).

    A share in [0, 1]: 0.5 is what a noun has that has nothing to do with the picture; NaN where
    the captions do not name it, or all pictures have it.
    """
    named, scores = _table(examination)
    shares = np.full(scores.shape, np.nan, np.float32)
    for noun in range(scores.shape[1]):
        own, others = scores[named[:, noun], noun], np.sort(scores[~named[:, noun], noun])
        if len(others):
            below = np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")
            shares[named[:, noun], noun] = below / (2 * len(others))
    return shares


def separation(shares: Floats) -> tuple[Floats, Floats]:
    """AUC of each noun, and its standard error, (N,) each; NaN where it could not be asked.

    shares: (P, N) of `support`, whose mean over a noun's pictures it is.
    """
    count = np.isfinite(shares).sum(axis=0)
    auc = np.nansum(shares, axis=0) / np.maximum(count, 1)
    # The wider of binomial and observed: a few equal shares would look certain.
    spread = np.nansum((shares - auc) ** 2, axis=0) / np.maximum(count - 1, 1)
    spread = np.maximum(spread, auc * (1 - auc) / 3)
    error = np.sqrt(spread / np.maximum(count, 1))
    asked = count > 0
    return (
        np.where(asked, auc, np.nan).astype(np.float32),
        np.where(asked, error, np.nan).astype(np.float32),
    )


def support_of_pictures(shares: Floats) -> Floats:
    """Mean support of the nouns of each picture, (P,); NaN where it has none."""
    count = np.isfinite(shares).sum(axis=1)
    mean = np.nansum(shares, axis=1) / np.maximum(count, 1)
    return np.where(count > 0, mean, np.nan).astype(np.float32)


def unsupported(examination: Examination) -> list[tuple[str, str]]:
    """The nouns of captions that nothing supports, as (noun, image id), sorted.

    One noun alone must look worse than most pictures that have nothing to do with it; in a picture
    all of whose nouns fit badly, as where it has another one's captions, less is enough.
    """
    shares = support(examination)
    doubted = support_of_pictures(shares) < DOUBTED_PICTURE
    found = (shares < ALONE) | ((shares < IN_DOUBT) & doubted[:, None])
    return sorted(
        (examination.nouns[noun], examination.asked[row].picture.id)
        for row, noun in np.argwhere(found)
    )


def confusions(examination: Examination) -> list[dict[str, int]]:
    """For each noun, which others are more probable where it is named, most often first.

    In how many of the pictures that name it; a noun that the same captions name is none.
    """
    found: list[dict[str, int]] = [{} for _ in examination.nouns]
    for one in examination.asked:
        for noun in np.flatnonzero(one.named):
            rival = int(one.rival[noun])
            if one.lead[noun] < 0 and not one.named[rival]:
                name = examination.nouns[rival]
                found[noun][name] = found[noun].get(name, 0) + 1
    return [dict(sorted(of.items(), key=lambda item: (-item[1], item[0]))) for of in found]


def _table(examination: Examination) -> tuple[NDArray[np.bool_], Floats]:
    """Which nouns are named, and how they score, (P, N) each."""
    shape = (len(examination.asked), len(examination.nouns))
    named = np.array([one.named for one in examination.asked], np.bool_).reshape(shape)
    scores = np.array([one.score for one in examination.asked], np.float32).reshape(shape)
    return named, scores
