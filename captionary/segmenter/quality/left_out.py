"""A class list without one picture: prototypes as they would be had it not been indexed.

A prototype is the direction of the sum of its members, and the store tells how long that sum is:
its members' cosines to it, `1 - spread` on average, add up to it. So a picture's own regions are
subtracted, and no other member is read.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Vectors
from captionary.schemas.vectors import unit
from captionary.segmenter.class_vectors import ClassVectors
from captionary.segmenter.scoring import max_over_prompts, softmax, trust_in_text

CANCELLED = 1e-3
"""Length of what is left of a sum of unit vectors, below which it is nothing but rounding."""


def without_members(
    classes: ClassVectors, members: Mapping[str, Vectors], *, image_id: str
) -> ClassVectors:
    """A class list whose prototypes lack the regions of a picture; one without any has no link.

    Each region that a noun chose is taken from the prototype of the noun that is nearest to it;
    what was pointed at in the picture, and refused there, is left out. Trust in text stays as it
    was: a class's, not a picture's.

    Args:
        members: by noun the looks, centred, (n, L), of regions of the picture that it chose.
    """
    looks = classes.looks.copy()
    before = np.array([prototype.size for prototype in classes.prototypes], np.float64)
    after = before.copy()
    for noun, rows in members.items():
        columns = np.array(
            [
                n
                for n, prototype in enumerate(classes.prototypes)
                if prototype.noun == noun and prototype.kind == "guessed"
            ],
            np.int64,
        )
        if not len(columns):
            continue
        nearest = columns[(rows @ classes.looks[columns].T).argmax(axis=1)]
        for column in np.unique(nearest):
            own = rows[nearest == column]
            size, spread = before[column], classes.prototypes[column].spread
            total = size * (1 - spread) * classes.looks[column].astype(np.float64)
            left = total - own.sum(axis=0, dtype=np.float64)
            after[column] = size - len(own) if np.linalg.norm(left) > CANCELLED else 0
            looks[column] = unit(left.astype(np.float32))
    told = _told_in(classes, image_id)
    after = np.where(told, 0, np.maximum(after, 0))
    kept = after[classes.column] > 0
    share = _shares(classes, after)[classes.column] / _shares(classes, before)[classes.column]
    return replace(
        classes,
        looks=looks,
        column=classes.column[kept],
        owner=classes.owner[kept],
        weight=(classes.weight * share).astype(np.float32)[kept],
        against=classes.against[~told[classes.against]],
        against_owner=classes.against_owner[~told[classes.against]],
    )


def _told_in(classes: ClassVectors, image_id: str) -> NDArray[np.bool_]:
    """Which of P prototypes are of what someone pointed at in a picture, (P,)."""
    return np.array(
        [
            item.kind != "guessed" and {one.image_id for one in item.exemplars} == {image_id}
            for item in classes.prototypes
        ],
        np.bool_,
    )


def _shares(classes: ClassVectors, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the regions that its noun chose, how many each of P prototypes stands for, (P,).

    What was pointed at stands for itself.
    """
    regions: Counter[str] = Counter()
    for prototype, size in zip(classes.prototypes, sizes.tolist(), strict=True):
        if prototype.kind == "guessed":
            regions[prototype.noun] += size
    total = np.array(
        [
            regions[prototype.noun] if prototype.kind == "guessed" else 1
            for prototype in classes.prototypes
        ],
        np.float64,
    )
    shares: NDArray[np.float64] = np.divide(sizes, total, out=np.zeros_like(sizes), where=total > 0)
    return shares


def of_some(classes: ClassVectors, chosen: Sequence[int], text_scale: float) -> ClassVectors:
    """Some of the classes of a list, in another order, as if no others had been asked for.

    Args:
        chosen:     indices of the classes, none twice.
        text_scale: what cosines to text are multiplied with, to judge text anew.
    """
    place = np.full(len(classes.classes), -1, np.int64)
    place[list(chosen)] = np.arange(len(chosen))
    asked = place[classes.prompt_owner] >= 0
    linked, opposed = place[classes.owner] >= 0, place[classes.against_owner] >= 0
    prompts, prompt_owner = classes.prompts[asked], place[classes.prompt_owner[asked]]
    own = classes.column[linked]
    columns, found = np.unique(np.concatenate([own, classes.against[opposed]]), return_inverse=True)
    column, against = found[: len(own)], found[len(own) :]
    prototypes = tuple(classes.prototypes[number] for number in columns)
    owner, weight = place[classes.owner[linked]], classes.weight[linked]
    words = np.array([prototype.vector for prototype in prototypes], np.float32)
    similarity = max_over_prompts(
        words.reshape(len(prototypes), prompts.shape[1]) @ prompts.T,
        prompt_owner,
        classes=len(chosen),
    )
    by_text = softmax(text_scale * similarity)[column]
    return replace(
        classes,
        classes=tuple(classes.classes[number] for number in chosen),
        prompts=prompts,
        prompt_owner=prompt_owner,
        prototypes=prototypes,
        looks=classes.looks[columns],
        column=column,
        owner=owner,
        weight=weight,
        against=against,
        against_owner=place[classes.against_owner[opposed]],
        trust=trust_in_text(by_text, owner, weight, classes=len(chosen)),
        nouns=tuple(classes.nouns[number] for number in chosen),
        sampled=classes.sampled[list(chosen)],
        without_noun=(),
        kinds=tuple(classes.kinds[number] for number in chosen),
    )
