"""Segments a picture: a class for every pixel out of any class names, with the evidence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import get_args

from captionary.schemas.classes import ClassName
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import (
    DEFAULT_FUSION,
    DEFAULT_THRESHOLD,
    BackgroundMode,
    Fusion,
    witnesses_of,
)
from captionary.schemas.regions import CutPicture, RegionTable
from captionary.schemas.segmentation import Kinds, Segmentation
from captionary.segmenter.background import add_background, apply_threshold
from captionary.segmenter.class_vectors import ClassEncoder, ClassVectors, ScaledTextEncoder
from captionary.segmenter.kinds.table import KindRules, KindTable
from captionary.segmenter.painting import paint_picture
from captionary.segmenter.region_scores import Weights, label_regions, score_regions
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vocabulary.neighbours import Neighbours
from captionary.vocabulary.retrieval import Retriever


@dataclass(frozen=True, slots=True)
class Settings:
    """How to segment.

    fusion:     what scores regions (schemas.options).
    background: what becomes of pixels that belong to no class (segmenter.background).
    threshold:  in modes `threshold` and `auto`, probability below which a region is background.
    evidence:   prototypes named for each region, at most.
    refine:     move borders to where the picture's colours change (segmenter.refinement).
    exact:      a class takes the nouns that it names, and no kinds of it.
    kinds:      the user's own table of kinds, which goes before the lexicon.
    """

    fusion: Fusion = DEFAULT_FUSION
    background: BackgroundMode = "none"
    threshold: float = DEFAULT_THRESHOLD
    evidence: int = 0
    refine: bool = False
    exact: bool = False
    kinds: KindTable = ()

    @property
    def kind_rules(self) -> KindRules:
        """Which nouns become kinds of a class."""
        return KindRules(exact=True) if self.exact else KindRules(table=self.kinds)

    def __post_init__(self) -> None:
        """Check what is not checked elsewhere.

        Raises:
            WrongInput: an option has no such value.
        """
        witnesses_of(self.fusion)
        if self.background not in get_args(BackgroundMode):
            raise WrongInput(
                f"unknown background {self.background!r}; "
                f"choose one of {', '.join(get_args(BackgroundMode))}"
            )
        if not 0 <= self.threshold <= 1:
            raise WrongInput(f"the threshold is {self.threshold}; it must be in 0..1")
        if self.evidence < 0:
            raise WrongInput(f"evidence is {self.evidence}; it must be 0 or more")
        if self.exact and self.kinds:
            raise WrongInput("exact names take no kinds; leave out either exact or the kinds")


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

    @property
    def weights(self) -> Weights:
        """How much each witness counts: as was chosen for this dictionary, or as for all."""
        chosen = self.retriever.dictionary.weights if self.retriever is not None else {}
        return Weights(self.text.logit_scale, **chosen)

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
        self._class_encoder.encode(named, settings.fusion, report, settings.kind_rules)

    def class_vectors(
        self, classes: Sequence[ClassName], settings: Settings = Settings()
    ) -> ClassVectors:
        """The vectors of a class list, as pictures are labelled by them."""
        named, _ = add_background(tuple(classes), settings.background)
        return self._encode(named, settings)

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
        class_vectors = self._encode(named, settings)
        scores = score_regions(
            cut.table,
            class_vectors,
            self._neighbours(cut.table, settings.fusion),
            fusion=settings.fusion,
            weights=self.weights,
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
            kinds=_kinds_by_name(class_vectors),
        )

    def _neighbours(self, table: RegionTable, fusion: Fusion) -> Neighbours | None:
        """The neighbours of regions, where a witness asks for them."""
        if self.retriever is None or not {"neighbours", "captions"} & set(witnesses_of(fusion)):
            return None
        return self.retriever.neighbours(table)

    def without_noun(
        self, classes: Sequence[ClassName], settings: Settings = Settings()
    ) -> tuple[str, ...]:
        """The classes that the dictionary has no noun for, as `Segmentation.without_noun`.

        Raises:
            WrongInput: the fusion needs a dictionary and there is none.
        """
        named, background_id = add_background(tuple(classes), settings.background)
        return _names_without_noun(self._encode(named, settings), background_id)

    def kinds(self, classes: Sequence[ClassName], settings: Settings = Settings()) -> Kinds:
        """The nouns that are kinds of each class, as `Segmentation.kinds`.

        Raises:
            WrongInput: the fusion needs a dictionary and there is none.
        """
        named, _ = add_background(tuple(classes), settings.background)
        return _kinds_by_name(self._encode(named, settings))

    def _encode(self, named: tuple[ClassName, ...], settings: Settings) -> ClassVectors:
        return self._class_encoder.encode(named, settings.fusion, rules=settings.kind_rules)


def _names_without_noun(vectors: ClassVectors, background_id: int | None) -> tuple[str, ...]:
    """Their names, but for the background, which need not be in a dictionary."""
    return tuple(
        vectors.classes[index].name for index in vectors.without_noun if index != background_id
    )


def _kinds_by_name(vectors: ClassVectors) -> Kinds:
    """The kinds of the classes that have any, by the names of these."""
    return {
        item.name: kinds
        for item, kinds in zip(vectors.classes, vectors.kinds, strict=True)
        if kinds
    }
