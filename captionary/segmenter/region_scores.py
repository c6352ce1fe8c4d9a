"""Scores of regions against a class list, and each region's label with the evidence for it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Scores, Vectors
from captionary.schemas.options import Fusion
from captionary.schemas.regions import RegionTable
from captionary.schemas.segmentation import Evidence, LabelledRegion
from captionary.segmenter.class_vectors import ClassVectors
from captionary.segmenter.scoring import (
    complete_with_text,
    fuse,
    max_over_prompts,
    softmax,
    vote,
)
from captionary.vocabulary.centring import centred


@dataclass(frozen=True, slots=True)
class RegionScores:
    """Probabilities of the classes for each region, (R, C) each.

    similarity: (R, P) cosine to each prototype, centred; no columns without a dictionary.
    """

    fused: Scores
    text: Scores
    prototypes: Scores | None
    similarity: Scores


def score_regions(
    vectors: Vectors,
    classes: ClassVectors,
    *,
    fusion: Fusion,
    weight: float,
    scale: float,
    text_scale: float,
) -> RegionScores:
    """Score regions against a class list.

    Args:
        vectors:    (R, D) unit vectors of the regions, as the extractor makes them.
        classes:    the class list.
        fusion:     what scores them.
        weight:     share of prototypes in fusion `both`, in [0, 1].
        scale:      sharpness of prototype votes, > 0.
        text_scale: what cosines to text are multiplied with.
    """
    owner, count = classes.owner, len(classes.classes)
    # Prototypes are centred, and text compares better with centred regions, too; but without a
    # dictionary nothing is known of what regions have in common.
    own = vectors if fusion == "text" else centred(vectors, classes.common)
    similarity_to_text = max_over_prompts(
        own @ classes.prompts.T, classes.prompt_owner, classes=count
    )
    text = softmax(text_scale * similarity_to_text)
    if fusion in ("text", "calibrated"):
        none = np.zeros((len(vectors), 0), dtype=np.float32)
        return RegionScores(text, text, None, none)
    similarity = own @ classes.vectors.T
    logits = vote(similarity[:, classes.column], owner, classes.weight, classes=count, scale=scale)
    prototypes = complete_with_text(logits, text)
    if fusion == "prototypes":
        fused = prototypes
    else:
        fused = fuse(text, prototypes, owner, classes.trust, weight=weight)
    return RegionScores(fused, text, prototypes if len(classes.column) else None, similarity)


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
        prototype = None
        # A class without prototypes has text's probability there: none of prototypes.
        if scores.prototypes is not None and class_id in classes.owner:
            prototype = float(scores.prototypes[row, class_id])
        labelled.append(
            LabelledRegion(
                box_xyxy=(left, top, right, bottom),
                area=float(table.areas[row]),
                class_id=class_id,
                score=float(painted[row, class_id]),
                text=float(scores.text[row, class_id]),
                prototype=prototype,
                evidence=_nearest_prototypes(
                    scores.similarity[row], class_id, classes, limit=max_evidence
                ),
            )
        )
    return tuple(labelled)


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
