"""Segments a picture: a class for every pixel out of any class names, with the evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from captionary.schemas.classes import ClassName
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import DEFAULT_THRESHOLD, BackgroundMode, Fusion
from captionary.schemas.regions import CutPicture
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.background import add_background, apply_threshold
from captionary.segmenter.class_vectors import ClassEncoder, ClassVectors, ScaledTextEncoder
from captionary.segmenter.painting import paint_picture
from captionary.segmenter.region_scores import label_regions, score_regions
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vocabulary.retrieval import Retriever

PROTOTYPE_SCALE = 10.0
"""Sharpness of prototype votes, for cosines of centred regions."""

PROTOTYPE_WEIGHT = 0.7
"""Share of prototypes in `both`. These two were chosen on one half of MSRC (docs/results.md)."""


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

    def __post_init__(self) -> None:
        """Check what is not checked elsewhere.

        Raises:
            WrongInput: an option has no such value.
        """
        for option, value, known in (
            ("fusion", self.fusion, get_args(Fusion)),
            ("background", self.background, get_args(BackgroundMode)),
        ):
            if value not in known:
                raise WrongInput(f"unknown {option} {value!r}; choose one of {', '.join(known)}")
        if not 0 <= self.threshold <= 1:
            raise WrongInput(f"the threshold is {self.threshold}; it must be in 0..1")
        if self.evidence < 0:
            raise WrongInput(f"evidence is {self.evidence}; it must be 0 or more")


class Segmenter:
    """Labels pictures with any class names; may be shared by threads.

    extractor: cuts pictures into regions and embeds them.
    text:      encodes class names.
    retriever: reads the dictionary; None: by text alone.
    """

    def __init__(
        self,
        extractor: RegionExtractor,
        text: ScaledTextEncoder,
        retriever: Retriever | None = None,
    ) -> None:
        self.extractor = extractor
        self.text = text
        self.retriever = retriever
        self._class_encoder = ClassEncoder(text, retriever)

    def encode_classes(
        self, classes: Sequence[ClassName], settings: Settings, report: Callable[[int, int], None]
    ) -> None:
        """Encode a class list now; without it, the first picture that needs it waits for that.

        Args:
            report: called with how many names are encoded, and of how many that are known by then.

        Raises:
            WrongInput: the fusion needs a dictionary and there is none.
        """
        named, _ = add_background(tuple(classes), settings.background)
        self._class_encoder.encode(named, settings.fusion, report)

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
        """Label every pixel of a picture that the extractor has cut, as `segment` does.

        The forward pass of one cut serves any number of class lists, settings and revisions.
        """
        named, background_id = add_background(tuple(classes), settings.background)
        class_vectors = self._class_encoder.encode(named, settings.fusion)
        scores = score_regions(
            cut.table.vectors,
            class_vectors,
            fusion=settings.fusion,
            weight=settings.weight,
            scale=settings.scale,
            text_scale=self.text.logit_scale,
        )
        painted = scores.fused
        if background_id is not None and settings.background in ("threshold", "auto"):
            painted = apply_threshold(painted, background_id, settings.threshold)
        class_map, class_scores = paint_picture(cut, painted, refine=settings.refine)
        return Segmentation(
            class_map=class_map,
            scores=class_scores,
            classes=tuple(item.name for item in named),
            regions=label_regions(
                cut.table, painted, scores, class_vectors, max_evidence=settings.evidence
            ),
            revision=class_vectors.revision,
            without_noun=_names_without_noun(class_vectors, background_id),
        )

    def without_noun(
        self, classes: Sequence[ClassName], settings: Settings = Settings()
    ) -> tuple[str, ...]:
        """The classes that the dictionary has no noun for, as `Segmentation.without_noun`.

        Raises:
            WrongInput: the fusion needs a dictionary and there is none.
        """
        named, background_id = add_background(tuple(classes), settings.background)
        return _names_without_noun(
            self._class_encoder.encode(named, settings.fusion), background_id
        )


def _names_without_noun(vectors: ClassVectors, background_id: int | None) -> tuple[str, ...]:
    """Their names, but for the background, which need not be in a dictionary."""
    return tuple(
        vectors.classes[index].name for index in vectors.without_noun if index != background_id
    )
