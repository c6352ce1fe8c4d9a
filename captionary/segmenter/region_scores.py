"""Scores of regions against a class list, and each region's label with the evidence for it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Scores, Vectors
from captionary.schemas.options import Fusion, Witness, witnesses_of
from captionary.schemas.regions import RegionTable
from captionary.schemas.segmentation import Evidence, LabelledRegion
from captionary.segmenter.class_vectors import ClassVectors
from captionary.segmenter.scoring import (
    caption_vote,
    complete_with_text,
    fuse,
    held_down,
    max_over_prompts,
    softmax,
    trusted_text,
    vote,
)
from captionary.vocabulary.centring import centred
from captionary.vocabulary.neighbours import Neighbours

PROTOTYPE_SCALE = 10.0
"""Sharpness of prototype votes, for cosines of centred regions."""

PROTOTYPE_WEIGHT = 0.9
CAPTION_WEIGHT = 0.2
"""How witnesses are weighed. All were chosen on one half of MSRC (docs/results.md)."""


@dataclass(frozen=True, slots=True)
class RegionScores:
    """Probabilities of the classes for each region, (R, C) each, by all witnesses and by each.

    similarity: (R, P) cosine to each prototype, centred; no columns where none was asked.
    """

    fused: Scores
    by_witness: Mapping[Witness, Scores]
    similarity: Scores


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each witness counts, and how sharply it compares.

    prototypes: share of prototypes where there is text beside them, in [0, 1]; text, by itself and
        through neighbours, has the rest.
    captions:   weight of the captions' vote beside these, which are 1 together; >= 0.
    scale:      sharpness of prototype votes, > 0.
    text_scale: what cosines to text are multiplied with.
    """

    text_scale: float
    prototypes: float = PROTOTYPE_WEIGHT
    captions: float = CAPTION_WEIGHT
    scale: float = PROTOTYPE_SCALE


def score_regions(
    table: RegionTable,
    classes: ClassVectors,
    neighbours: Neighbours | None,
    *,
    fusion: Fusion,
    weights: Weights,
) -> RegionScores:
    """Score regions against a class list.

    Args:
        table:      the R regions, as the extractor makes them.
        classes:    the class list.
        neighbours: of the regions; None where no witness of the fusion needs them.
        fusion:     what scores them.
        weights:    how much each witness counts.
    """
    witnesses = witnesses_of(fusion)
    # Prototypes are centred, and text compares better with centred regions, too; but without a
    # dictionary nothing is known of what regions have in common.
    own = table.vectors if fusion == "text" else centred(table.vectors, classes.common.vector)
    text = _by_words(own, classes, weights)
    said: dict[Witness, Scores] = {"text": text}
    similarity = np.zeros((len(table), 0), dtype=np.float32)
    if neighbours is not None:
        said["neighbours"] = _by_words(neighbours.words, classes, weights)
        said["captions"] = _by_captions(neighbours, classes, text)
    if "prototypes" in witnesses:
        similarity = centred(table.looks, classes.common.look) @ classes.looks.T
        said["prototypes"] = said_by_prototypes(similarity, classes, text, weights.scale)
    return RegionScores(fused_scores(said, witnesses, classes, weights), said, similarity)


def said_by_prototypes(
    similarity: Scores, classes: ClassVectors, text: Scores, scale: float
) -> Scores:
    """Probabilities (R, C) by prototypes, of the similarity (R, P) to each.

    Args:
        text:  (R, C) probabilities by text, which classes without prototypes keep.
        scale: sharpness of the votes, > 0.
    """
    logits = vote(
        similarity[:, classes.column],
        classes.owner,
        classes.weight,
        classes=len(classes.classes),
        scale=scale,
    )
    if len(classes.against):
        logits = held_down(
            logits,
            similarity[:, classes.column],
            similarity[:, classes.against],
            classes.owner,
            classes.against_owner,
            scale=scale,
        )
    return complete_with_text(logits, text)


def _by_words(vectors: Vectors, classes: ClassVectors, weights: Weights) -> Scores:
    similarity = max_over_prompts(
        vectors @ classes.prompts.T, classes.prompt_owner, classes=len(classes.classes)
    )
    return softmax(weights.text_scale * similarity)


def _by_captions(neighbours: Neighbours, classes: ClassVectors, text: Scores) -> Scores:
    named = np.zeros((len(neighbours.nouns), len(classes.nouns)), np.bool_)
    # By noun, not by class: a picture has few nouns, and a list may have a thousand classes.
    classes_of: defaultdict[str, list[int]] = defaultdict(list)
    for class_id, nouns in enumerate(classes.nouns):
        for noun in nouns:
            classes_of[noun].append(class_id)
    for row, said in enumerate(neighbours.nouns):
        for noun in said & classes_of.keys():
            named[row, classes_of[noun]] = True
    return complete_with_text(caption_vote(neighbours.weight, named, classes.sampled), text)


def fused_scores(
    said: Mapping[Witness, Scores],
    witnesses: Sequence[Witness],
    classes: ClassVectors,
    weights: Weights,
) -> Scores:
    """What the witnesses of a fusion say together.

    A class of which only text knows anything keeps what text gives it.
    """
    asked = [said[witness] for witness in ("text", "neighbours") if witness in witnesses]
    words = _mean(asked or [said["text"]])
    # Text and prototypes weigh 1 together, also where one of them is not asked.
    share = weights.prototypes if "prototypes" in witnesses else 0.0
    shares: list[tuple[Scores, float]] = []
    if asked:
        trusted = words
        if "prototypes" in witnesses:
            trusted = trusted_text(words, said["prototypes"], classes.owner, classes.trust)
        shares.append((trusted, 1 - share))
    if "prototypes" in witnesses:
        shares.append((said["prototypes"], share if asked else 1.0))
    if "captions" in witnesses:
        votes = said["captions"]
        # Captions that were not asked say nothing against what prototypes know.
        silent = np.setdiff1d(classes.owner, np.flatnonzero(classes.sampled))
        if shares and len(silent):
            votes = votes.copy()
            votes[:, silent] = fuse(shares)[:, silent]
        shares.append((votes, weights.captions))
    if len(shares) == 1:
        return shares[0][0]
    known = np.array([bool(nouns) for nouns in classes.nouns])
    known[classes.owner] = True
    logits = np.where(known, np.log(fuse(shares)), -np.inf).astype(np.float32)
    return complete_with_text(logits, words)


def _mean(scores: Sequence[Scores]) -> Scores:
    """The mean of one or several, (R, C) each; of one itself, bit for bit."""
    return sum(scores[1:], scores[0]) / np.float32(len(scores))


def label_regions(
    table: RegionTable,
    painted: Scores,
    scores: RegionScores,
    classes: ClassVectors,
    *,
    max_evidence: int,
) -> tuple[LabelledRegion, ...]:
    """Label each region with its best class, and name the prototypes that are evidence for it.

    Args:
        table:        the R regions.
        painted:      (R, C) the fused scores, after the background's threshold.
        scores:       the scores before it.
        classes:      the class list.
        max_evidence: prototypes named for each region, at most.
    """
    labelled = []
    for row, class_id in enumerate(painted.argmax(axis=1).tolist()):
        left, top, right, bottom = (int(edge) for edge in table.boxes_xyxy[row])
        labelled.append(
            LabelledRegion(
                box_xyxy=(left, top, right, bottom),
                area=float(table.areas[row]),
                class_id=class_id,
                score=float(painted[row, class_id]),
                by_witness=_said_of(class_id, scores, row, classes),
                evidence=_nearest_prototypes(
                    scores.similarity[row], class_id, classes, limit=max_evidence
                ),
            )
        )
    return tuple(labelled)


def _said_of(
    class_id: int, scores: RegionScores, row: int, classes: ClassVectors
) -> dict[Witness, float]:
    """What each witness says of a class of a region; those that know nothing of it say nothing."""
    silent = {
        # A class without prototypes, or in no caption asked, has text's probability there.
        "prototypes": class_id not in classes.owner,
        "captions": not classes.sampled[class_id],
    }
    return {
        witness: float(said[row, class_id])
        for witness, said in scores.by_witness.items()
        if not silent.get(witness)
    }


def _nearest_prototypes(
    similarity: NDArray[np.float32], class_id: int, classes: ClassVectors, *, limit: int
) -> tuple[Evidence, ...]:
    """The prototypes of a class that are nearest to a region, nearest first.

    similarity: (P,) of the region to each prototype, or (0,) where none was compared.
    """
    if not len(similarity):
        return ()
    columns = classes.column[classes.owner == class_id]
    nearest = columns[np.argsort(-similarity[columns], kind="stable")[:limit]]
    return tuple(
        Evidence(
            noun=classes.prototypes[column].noun,
            number=classes.prototypes[column].number,
            similarity=float(similarity[column]),
            exemplars=classes.prototypes[column].exemplars,
        )
        for column in nearest
    )
