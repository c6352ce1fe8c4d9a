"""Class lists as vectors: prompts, the prototypes that speak for each class, and their weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from threading import Condition
from typing import Any, Protocol

import numpy as np
from cachetools import LRUCache, cachedmethod
from numpy.typing import NDArray

from captionary.schemas.arrays import Vectors
from captionary.schemas.classes import ClassName
from captionary.schemas.dictionary import Prototype
from captionary.schemas.errors import WrongInput
from captionary.schemas.nouns import NounIndex
from captionary.schemas.options import Fusion
from captionary.segmenter.kinds.choice import MIN_REGIONS, kinds_in_dictionary
from captionary.segmenter.kinds.table import BY_LEXICON, KindRules
from captionary.segmenter.links import against, speaking
from captionary.segmenter.scoring import (
    Floats,
    Ints,
    max_over_prompts,
    related_nouns,
    softmax,
    trust_in_text,
)
from captionary.vision.clip.protocols import TextEncoder
from captionary.vocabulary.centring import CommonParts
from captionary.vocabulary.retrieval import Retriever

CACHED_LISTS = 16
"""Class lists whose vectors are kept in memory."""


class ScaledTextEncoder(TextEncoder, Protocol):
    """A text encoder that knows how sharply it compares."""

    @property
    def logit_scale(self) -> float:
        """What it multiplies cosines with before its softmax, learned in its training."""
        ...


NAMES_AT_ONCE = 128
"""Names between two reports: as many as the encoder takes at once."""


class ReportingEncoder:
    """A text encoder that says how many of the names it was given are encoded."""

    def __init__(self, text: ScaledTextEncoder, report: Callable[[int, int], None]) -> None:
        self._text = text
        self._report = report
        self._done = self._asked = 0

    @property
    def dim(self) -> int:
        """Length of its vectors."""
        return self._text.dim

    @property
    def logit_scale(self) -> float:
        """As of the encoder."""
        return self._text.logit_scale

    def encode_texts(self, names: Sequence[str], *, templates: str | None = None) -> Vectors:
        """Encode N names to (N, D), and report after every few of them."""
        self._asked += len(names)
        parts = [np.empty((0, self.dim), dtype=np.float32)]
        for start in range(0, len(names), NAMES_AT_ONCE):
            part = names[start : start + NAMES_AT_ONCE]
            parts.append(self._text.encode_texts(part, templates=templates))
            self._done += len(part)
            self._report(self._done, self._asked)
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class ClassVectors:
    """A class list as vectors.

    prompts:      (Q, D) text vectors of all names; prompt_owner: (Q,) class of each.
    prototypes:   the P prototypes of all nouns that speak for a class; looks: (P, L), of each.
    column, owner, weight: (L,) each: prototype, class and weight of every link.
    against, against_owner: (A,) each: prototypes of what is not a class, and the class of each.
    trust:        (C,) how far text is believed about each class, in [0, 1].
    nouns:        (C,) the nouns of the dictionary that each class takes; none: it has none.
    sampled:      (C,) whether captions of the dictionary's sample name the class.
    without_noun: indices of the classes that have neither a noun by name nor kinds.
    kinds:        for each class the nouns that are kinds of it, with how many pictures each has.
    common:       what the dictionary's regions have in common; zeros without a dictionary.
    revision:     of the dictionary; None without.
    """

    classes: tuple[ClassName, ...]
    prompts: Vectors
    prompt_owner: Ints
    prototypes: tuple[Prototype, ...]
    looks: Vectors
    column: Ints
    owner: Ints
    weight: Floats
    against: Ints
    against_owner: Ints
    trust: Floats
    nouns: tuple[frozenset[str], ...]
    sampled: NDArray[np.bool_]
    without_noun: tuple[int, ...]
    kinds: tuple[tuple[tuple[str, int], ...], ...]
    common: CommonParts
    revision: int | None


class ClassEncoder:
    """Encodes class lists, and caches the last few; may be shared by threads.

    retriever: reads the dictionary; None: by text alone.
    """

    def __init__(self, text: ScaledTextEncoder, retriever: Retriever | None) -> None:
        self._text = text
        self._retriever = retriever
        self._cache: LRUCache[Any, ClassVectors] = LRUCache(CACHED_LISTS)
        self._condition = Condition()

    def encode(
        self,
        classes: tuple[ClassName, ...],
        fusion: Fusion,
        report: Callable[[int, int], None] | None = None,
        rules: KindRules = BY_LEXICON,
    ) -> ClassVectors:
        """The vectors of a class list that a fusion needs.

        Args:
            rules:  which nouns become kinds of a class.
            report: called with how many names are encoded, and of how many that are known by then.

        Raises:
            WrongInput: the fusion needs a dictionary and there is none.
        """
        text = self._text if report is None else ReportingEncoder(self._text, report)
        if fusion == "text":
            return self._encode(classes, None, text, BY_LEXICON)
        if self._retriever is None:
            raise WrongInput(
                f"fusion {fusion!r} reads a dictionary; name one, or use fusion 'text'"
            )
        return self._encode(classes, self._retriever.revision, text, rules)

    # With a condition, a class list that many threads want at once is encoded by one of them.
    @cachedmethod(
        attrgetter("_cache"),
        key=lambda _self, classes, revision, _text, rules: (classes, revision, rules),
        condition=attrgetter("_condition"),
    )
    def _encode(
        self,
        classes: tuple[ClassName, ...],
        revision: int | None,
        text: ScaledTextEncoder,
        rules: KindRules,
    ) -> ClassVectors:
        if revision is None or self._retriever is None:
            return encode_classes_by_text(classes, text)
        return encode_classes_by_dictionary(classes, text, self._retriever, rules)


def encode_classes_by_text(classes: Sequence[ClassName], text: TextEncoder) -> ClassVectors:
    """Encode a class list without a dictionary."""
    names = [prompt for item in classes for prompt in item.prompts]
    owner = [number for number, item in enumerate(classes) for _ in item.prompts]
    return ClassVectors(
        classes=tuple(classes),
        prompts=text.encode_texts(names),
        prompt_owner=np.array(owner, dtype=np.int64),
        prototypes=(),
        looks=np.zeros((0, text.dim), dtype=np.float32),
        column=np.zeros(0, dtype=np.int64),
        owner=np.zeros(0, dtype=np.int64),
        weight=np.zeros(0, dtype=np.float32),
        against=np.zeros(0, dtype=np.int64),
        against_owner=np.zeros(0, dtype=np.int64),
        trust=np.ones(len(classes), dtype=np.float32),
        nouns=tuple(frozenset[str]() for _ in classes),
        sampled=np.zeros(len(classes), dtype=np.bool_),
        without_noun=(),
        kinds=((),) * len(classes),
        common=CommonParts(np.zeros(text.dim, dtype=np.float32)),
        revision=None,
    )


def encode_classes_by_dictionary(
    classes: Sequence[ClassName],
    text: ScaledTextEncoder,
    retriever: Retriever,
    rules: KindRules = BY_LEXICON,
) -> ClassVectors:
    """Encode a class list with the prototypes that speak for each class.

    A class takes the nouns that are among its names or kinds of it, each alike. A class that has
    none takes the nouns that are nearest to it by text, weighted by how near.
    """
    plain = encode_classes_by_text(classes, text)
    # Read first: a change of the dictionary meanwhile is then taken up the next time.
    revision = retriever.revision
    by_name = [_nouns_by_name(item, retriever.noun_index()) for item in classes]
    kinds = kinds_in_dictionary(classes, by_name, retriever, rules)
    own = [
        names | dict.fromkeys(dict(more), 1.0) for names, more in zip(by_name, kinds, strict=True)
    ]
    weights = _noun_weights(classes, own, text, retriever)
    sampled = retriever.sampled_nouns()
    matrix = retriever.matrix({noun for of_class in weights for noun in of_class})
    prototypes = matrix.prototypes
    column, owner, weight = speaking(weights, prototypes)
    against_column, against_owner = against(weights, prototypes)
    similarity = max_over_prompts(
        matrix.vectors @ plain.prompts.T, plain.prompt_owner, classes=len(classes)
    )
    # Text is judged by what it makes of the prototypes, whose class is known.
    by_text = softmax(text.logit_scale * similarity)[column]
    return ClassVectors(
        classes=plain.classes,
        prompts=plain.prompts,
        prompt_owner=plain.prompt_owner,
        prototypes=prototypes,
        looks=matrix.looks,
        column=column,
        owner=owner,
        weight=weight,
        against=against_column,
        against_owner=against_owner,
        trust=trust_in_text(by_text, owner, weight, classes=len(classes)),
        nouns=tuple(map(frozenset, own)),
        sampled=np.array([bool(sampled & nouns.keys()) for nouns in own], np.bool_),
        without_noun=tuple(index for index, nouns in enumerate(own) if not nouns),
        kinds=kinds,
        common=retriever.common_parts(),
        revision=revision,
    )


def _noun_weights(
    classes: Sequence[ClassName],
    own: list[dict[str, float]],
    text: TextEncoder,
    retriever: Retriever,
) -> list[dict[str, float]]:
    """The nouns that speak for each class, and how much.

    A noun that speaks for one class of the list stands in for no other.
    """
    if all(own):
        return own
    taken = {noun for of_class in own for noun in of_class}
    candidates = [
        entry.noun
        for entry in retriever.entries()
        if entry.regions >= MIN_REGIONS and entry.noun not in taken
    ]
    # Without sentences around them: nouns are compared with words, not with pictures.
    vectors = text.encode_texts(candidates, templates="plain")
    # All at once: name by name, each would take a whole pass of the encoder.
    wanted = [item for item, nouns in zip(classes, own, strict=True) if not nouns]
    text.encode_texts([prompt for item in wanted for prompt in item.prompts], templates="plain")
    return [
        nouns or _nouns_by_text(item, candidates, vectors, text)
        for item, nouns in zip(classes, own, strict=True)
    ]


def _nouns_by_name(item: ClassName, index: NounIndex) -> dict[str, float]:
    """The dictionary's nouns among the names of a class, all of one weight."""
    return {noun: 1.0 for prompt in item.prompts for noun in index.find(prompt)}


def _nouns_by_text(
    item: ClassName, nouns: Sequence[str], vectors: Vectors, text: TextEncoder
) -> dict[str, float]:
    """Nouns that stand in for a class that the dictionary lacks, with weights; maybe none."""
    indices, weights = related_nouns(text.encode_texts(item.prompts, templates="plain"), vectors)
    return {nouns[index]: float(weight) for index, weight in zip(indices, weights, strict=True)}
