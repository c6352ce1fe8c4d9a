"""Picture and class names to a class for every pixel, with the evidence."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np

from captionary.schemas.arrays import Scores, Vectors
from captionary.schemas.classes import ClassName
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import DEFAULT_THRESHOLD, BackgroundMode, Fusion
from captionary.schemas.regions import CutPicture, RegionTable
from captionary.schemas.segmentation import Evidence, LabelledRegion, Segmentation
from captionary.segmenter.background import add_background, apply_threshold
from captionary.segmenter.class_vectors import (
    ClassReading,
    ScaledTextEncoder,
    read_classes_by_dictionary,
    read_classes_by_text,
)
from captionary.segmenter.painting import paint
from captionary.segmenter.refinement import refined
from captionary.segmenter.scoring import (
    best_prompt,
    fuse,
    softmax,
    vote,
    with_text_for_the_rest,
)
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vision.pictures.resizing import enlarged
from captionary.vocabulary.centring import centred
from captionary.vocabulary.retrieval import RecentlyUsed, Retriever

PROTOTYPE_SCALE = 10.0
"""Sharpness of prototype votes, for cosines of centred regions."""

PROTOTYPE_WEIGHT = 0.7
"""Share of prototypes in `both`. These two were chosen on one half of MSRC (docs/results.md)."""

CLASS_LISTS = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """How to segment.

    fusion:     text alone; text calibrated on the dictionary's regions; prototypes alone (text for
                classes that have none); or both.
    background: what becomes of pixels that belong to no class (segmenter.background).
    threshold:  in modes `threshold` and `auto`, probability below which a region is background.
    evidence:   prototypes named for each region, at most.
    weight:     share of prototypes in `both`, in [0, 1].
    scale:      sharpness of prototype votes, > 0.
    refine:     move borders to where the picture's colours change (segmenter.refinement).
    """

    fusion: Fusion = "both"
    background: BackgroundMode = "none"
    threshold: float = DEFAULT_THRESHOLD
    evidence: int = 0
    weight: float = PROTOTYPE_WEIGHT
    scale: float = PROTOTYPE_SCALE
    refine: bool = False


@dataclass(frozen=True, slots=True)
class RegionScores:
    """Probabilities of the classes for each region, (R, C) each.

    similarity: (R, P) cosine to each prototype, centred; no columns without a dictionary.
    """

    fused: Scores
    text: Scores
    prototypes: Scores | None
    similarity: Scores


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Labels pictures with any class names; may be shared by threads.

    retriever: reads the dictionary; None: by text alone.
    """

    extractor: RegionExtractor
    text: ScaledTextEncoder
    retriever: Retriever | None = None
    _readings: RecentlyUsed[ClassReading] = field(
        default_factory=lambda: RecentlyUsed(CLASS_LISTS), init=False, repr=False
    )
    _reading: Lock = field(default_factory=Lock, init=False, repr=False)

    def segment(
        self,
        picture: LoadedPicture,
        classes: Sequence[ClassName],
        settings: Settings = Settings(),
    ) -> Segmentation:
        """Label every pixel of a picture.

        Raises:
            WrongInput: the fusion needs a dictionary and there is none.
        """
        return self.label(self.extractor.extract(picture), classes, settings)

    def label(
        self,
        cut: CutPicture,
        classes: Sequence[ClassName],
        settings: Settings = Settings(),
    ) -> Segmentation:
        """Label every pixel of a picture that the extractor has looked at, as `segment` does.

        So one look serves any number of class lists, settings and states of the dictionary.
        """
        named, background_id = add_background(tuple(classes), settings.background)
        reading = self._read(named, settings)
        scores = score_regions(
            cut.table.vectors, reading, settings, text_scale=self.text.logit_scale
        )
        painted = scores.fused
        if background_id is not None and settings.background in ("threshold", "auto"):
            painted = apply_threshold(painted, background_id, settings.threshold)
        weights = np.ones(len(cut.regions), dtype=np.float32)
        class_map, confidence = paint(cut.regions, painted, weights)
        pixels = np.bincount(class_map.ravel(), minlength=len(named))
        total = np.bincount(class_map.ravel(), weights=confidence.ravel(), minlength=len(named))
        if settings.refine:
            class_map = refined(class_map, cut.pixels)
        return Segmentation(
            class_map=enlarged(class_map, cut.size_hw),
            scores=(total / np.maximum(pixels, 1)).astype(np.float32),
            classes=tuple(item.name for item in named),
            regions=tuple(
                _labelled(cut.table, row, painted, scores, reading, evidence=settings.evidence)
                for row in range(len(cut.regions))
            ),
            revision=reading.revision,
        )

    def _read(self, classes: tuple[ClassName, ...], settings: Settings) -> ClassReading:
        if settings.fusion == "text":
            return self._once((classes, None), lambda: read_classes_by_text(classes, self.text))
        if self.retriever is None:
            raise WrongInput(
                f"fusion {settings.fusion!r} reads a dictionary; name one, or use fusion 'text'"
            )
        retriever = self.retriever
        return self._once(
            (classes, retriever.revision),
            lambda: read_classes_by_dictionary(classes, self.text, retriever),
        )

    def _once(self, key: Hashable, read: Callable[[], ClassReading]) -> ClassReading:
        """A class list that many ask for at once is read by one; tokenizers want that too."""

        def alone() -> ClassReading:
            with self._reading:
                return self._readings.get(key, read)

        return self._readings.get(key, alone)


def score_regions(
    vectors: Vectors, reading: ClassReading, settings: Settings, *, text_scale: float
) -> RegionScores:
    """Score regions, (R, D) unit vectors as the extractor makes them, against a class list."""
    owner, weight, count = reading.owner, reading.weight, len(reading.classes)
    own = vectors if settings.fusion == "text" else centred(vectors, reading.common)
    near = best_prompt(own @ reading.prompts.T, reading.prompt_owner, classes=count)
    text = softmax(text_scale * near)
    if settings.fusion in ("text", "calibrated"):
        none = np.zeros((len(vectors), 0), dtype=np.float32)
        return RegionScores(text, text, None, none)
    similarity = own @ reading.vectors.T
    links = similarity[:, reading.column]
    logits = vote(links, owner, weight, classes=count, scale=settings.scale)
    prototypes = with_text_for_the_rest(logits, text)
    if settings.fusion == "prototypes":
        fused = prototypes
    else:
        fused = fuse(text, prototypes, owner, reading.trust, weight=settings.weight)
    return RegionScores(fused, text, prototypes if len(reading.column) else None, similarity)


def _labelled(
    table: RegionTable,
    row: int,
    painted: Scores,
    scores: RegionScores,
    reading: ClassReading,
    *,
    evidence: int,
) -> LabelledRegion:
    class_id = int(painted[row].argmax())
    left, top, right, bottom = (int(edge) for edge in table.boxes_xyxy[row])
    return LabelledRegion(
        box_xyxy=(left, top, right, bottom),
        area=float(table.areas[row]),
        class_id=class_id,
        score=float(painted[row, class_id]),
        text=float(scores.text[row, class_id]),
        prototype=float(scores.prototypes[row, class_id])
        if scores.prototypes is not None and class_id in reading.owner
        else None,
        evidence=_evidence(scores.similarity[row], class_id, reading, limit=evidence),
    )


def _evidence(
    similarity: np.ndarray[tuple[int], np.dtype[np.float32]],
    class_id: int,
    reading: ClassReading,
    *,
    limit: int,
) -> tuple[Evidence, ...]:
    """The prototypes of a class that are nearest to a region, nearest first."""
    if not len(similarity):
        return ()
    columns = reading.column[reading.owner == class_id]
    nearest = columns[np.argsort(-similarity[columns], kind="stable")[:limit]]
    return tuple(
        Evidence(
            noun=reading.prototypes[column].noun,
            number=reading.prototypes[column].number,
            similarity=float(similarity[column]),
            exemplars=reading.prototypes[column].exemplars,
        )
        for column in nearest
    )
