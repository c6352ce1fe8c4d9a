"""Scores of regions against classes: by text, by prototypes, and both. Arrays in, arrays out.

R regions, C classes, Q prompts (names and synonyms of classes), P prototypes, L links. A link says
that a prototype speaks for a class; one prototype may speak for several.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Scores, Vectors

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

TRUSTED_SHARE = 0.1
"""What text must give a prototype's own class, as a share of what it gives its favourite, to be
trusted fully about it."""

LEAST = 1e-6
"""Keeps divisions and logarithms in range."""

UNSAID = 0.02
"""Added to a class's share of the votes, as a caption need not say all that its picture shows."""

MAX_RELATED, RELATED_SHARE, RELATED_TEMPERATURE, OUTLIER = 5, 0.85, 0.02, 3.0
"""Which nouns stand in for a word that the dictionary lacks (`related_nouns`)."""


def softmax(logits: Scores) -> Scores:
    """Rows to probabilities, (R, C) -> (R, C); -inf becomes 0.

    Subtracting the row maximum keeps exp() in range without changing the result.
    """
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Scores = (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return probabilities


def max_over_prompts(similarity: Scores, owner: Ints, *, classes: int) -> Scores:
    """Similarity to each class: the maximum over its prompts, (R, Q) -> (R, C).

    owner: (Q,) class of each prompt. A class without any gets -inf.
    """
    # -inf and not 0, which a cosine can reach: softmax then gives such a class nothing.
    best = np.full((len(similarity), classes), -np.inf, dtype=np.float32)
    for class_id in np.unique(owner):
        best[:, class_id] = similarity[:, owner == class_id].max(axis=1)
    return best


def vote(similarity: Scores, owner: Ints, weight: Floats, *, classes: int, scale: float) -> Scores:
    """Let the prototypes of a class vote, (R, L) -> (R, C) logits.

    The weighted mean of exp(scale * similarity) over the links of a class, in the logarithm: with
    one prototype its similarity, with several a soft maximum in which each counts by its weight, so
    that a class gains nothing from having many.

    Args:
        similarity: cosine of each region to the prototype of each link.
        owner:      (L,) class of each link; a class without any gets -inf.
        weight:     (L,) > 0.
        scale:      sharpness, > 0.
    """
    logits = np.full((len(similarity), classes), -np.inf, dtype=np.float32)
    for class_id in np.unique(owner):
        own = owner == class_id
        # In the logarithm: exp(scale * similarity) alone could leave the range of float32.
        share = np.log(weight[own] / weight[own].sum())
        logits[:, class_id] = np.logaddexp.reduce(scale * similarity[:, own] + share, axis=1)
    return logits


def held_down(
    logits: Scores,
    looks: Scores,
    refused: Scores,
    owner: Ints,
    against_owner: Ints,
    *,
    scale: float,
) -> Scores:
    """Hold the vote for a class down where a region is nearer to what is not it, (R, C) -> (R, C).

    By scale * (its cosine to the nearest refused look - that to the nearest look of the class),
    where that is above zero.

    Args:
        looks:   (R, L) cosine to the prototype of each link; owner: (L,) class of each.
        refused: (R, A) cosine to each look that is not a class; against_owner: (A,) that class.
    """
    held = logits.copy()
    for class_id in np.unique(against_owner):
        far = refused[:, against_owner == class_id].max(axis=1)
        own = looks[:, owner == class_id]
        near = own.max(axis=1) if own.shape[1] else np.full(len(far), np.inf, np.float32)
        held[:, class_id] -= scale * np.maximum(far - near, 0)
    return held


def complete_with_text(logits: Scores, text: Scores) -> Scores:
    """Prototype votes as probabilities; classes without prototypes keep their text probability.

    The classes with prototypes share, by their votes, what text gives to all of them together; so
    a class is never punished for being new.

    Args:
        logits: (R, C) of `vote`; -inf where a class has no prototype.
        text:   (R, C) probabilities by text.
    """
    # A class without prototypes has -inf in all rows, so whole columns tell.
    known = np.isfinite(logits).all(axis=0)
    if not known.any():
        return text
    probabilities = text.copy()
    mass = np.minimum(text[:, known].sum(axis=1, keepdims=True), 1)  # but for rounding it is
    probabilities[:, known] = softmax(logits[:, known]) * mass
    return probabilities


def trust_in_text(text: Scores, owner: Ints, weight: Floats, *, classes: int) -> Floats:
    """How far text is to be believed about each class, (C,) in [0, 1].

    A class's own prototypes are shown to the text side. Where it all but rules their class out, it
    does not know the class's words, and would be sure of itself and wrong wherever the class is.

    Args:
        text:   (L, C) probabilities by text of the prototype of each link.
        owner:  (L,) class of each link; a class without any is trusted: nothing speaks against it.
        weight: (L,) > 0.
    """
    # The maximum starts at LEAST, which also holds without any class.
    share = text[np.arange(len(owner)), owner] / text.max(axis=1, initial=LEAST)
    total = np.bincount(owner, weight, minlength=classes)
    agreed = np.bincount(owner, weight * np.minimum(share / TRUSTED_SHARE, 1), minlength=classes)
    trust = np.divide(agreed, total, out=np.ones(classes), where=total > 0)
    return trust.astype(np.float32)


def trusted_text(text: Scores, prototypes: Scores, owner: Ints, trust: Floats) -> Scores:
    """Text's probabilities, with prototypes standing in where text is not trusted, (R, C) each.

    Args:
        owner: (L,) classes that have prototypes; the others keep their probability.
        trust: (C,) in [0, 1], as `trust_in_text`.
    """
    known = np.unique(owner)
    # Trust shifts probability between the classes with prototypes, and never to or from the others.
    corrected = text.copy()
    mixed = trust[known] * text[:, known] + (1 - trust[known]) * prototypes[:, known]
    mass = text[:, known].sum(axis=1, keepdims=True)
    corrected[:, known] = mixed * mass / np.maximum(mixed.sum(axis=1, keepdims=True), LEAST)
    return corrected


def caption_vote(weight: Scores, named: NDArray[np.bool_], known: NDArray[np.bool_]) -> Scores:
    """Let the captions of neighbours' pictures vote, (R, P) and (P, C) -> (R, C) logits.

    log(UNSAID + sum over pictures p of weight(k, p) [a caption of p names c]).

    Args:
        weight: how much each picture counts for a region; rows sum to 1, or to 0.
        named:  whether the captions of a picture name a class.
        known:  (C,) whether captions can name a class; one that they cannot gets -inf.
    """
    votes = weight @ named.astype(np.float32) + UNSAID
    logits: Scores = np.where(known, np.log(votes), -np.inf).astype(np.float32)
    return logits


def fuse(witnesses: Sequence[tuple[Scores, float]]) -> Scores:
    """Fuse what witnesses say of R regions by a weighted geometric mean, rows summing to 1.

    Args:
        witnesses: (R, C) probabilities and a weight >= 0 of each; the weights are not all 0.
    """
    total = sum(weight for _, weight in witnesses)
    logs = sum(weight / total * np.log(np.maximum(said, LEAST)) for said, weight in witnesses)
    return softmax(np.asarray(logs, dtype=np.float32))


def related_nouns(words: Vectors, nouns: Vectors) -> tuple[Ints, Floats]:
    """The nouns that stand in for words that the dictionary lacks (methods: Barsellotti et al.).

    At most 5 for each word, at least 0.85 times as near as its nearest, which must stand out: 3
    standard deviations above the mean of all nouns, or the word has no relative here.

    Args:
        words: (W, D) text vectors; nouns: (N, D) text vectors of the dictionary's nouns.

    Returns:
        Indices into nouns and their weights, softmax of cosine / 0.02; empty where none is near.
    """
    if not len(words) or not len(nouns):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    similarity = (words @ nouns.T).max(axis=0)
    # Stable sorting: equally near nouns keep the order of the dictionary on every machine.
    order = np.argsort(-similarity, kind="stable")[:MAX_RELATED]
    nearest = similarity[order[0]]
    if nearest <= max(0, similarity.mean() + OUTLIER * similarity.std()):
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    order = order[similarity[order] >= RELATED_SHARE * nearest]
    return order, softmax(similarity[None, order] / RELATED_TEMPERATURE)[0]
