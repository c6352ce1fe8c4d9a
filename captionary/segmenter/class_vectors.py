"""What is known of a class list before any picture is seen: prompts, prototypes, links."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from captionary.schemas.arrays import Vector, Vectors
from captionary.schemas.classes import ClassName
from captionary.schemas.dictionary import Prototype
from captionary.segmenter.scoring import (
    Floats,
    Ints,
    best_prompt,
    near_nouns,
    softmax,
    trust_in_text,
)
from captionary.segmenter.word_forms import forms
from captionary.vision.clip.protocols import TextEncoder
from captionary.vocabulary.centring import common_part
from captionary.vocabulary.retrieval import Retriever

FEWEST_REGIONS = 3
"""A noun of fewer regions does not stand in for another word."""


class ScaledTextEncoder(TextEncoder, Protocol):
    """A text encoder that knows how sharply it compares."""

    @property
    def logit_scale(self) -> float:
        """What it multiplies cosines with before its softmax, learned in its training."""
        ...


@dataclass(frozen=True, slots=True)
class ClassReading:
    """A class list as vectors.

    prompts:      (Q, D) text vectors of all names; prompt_owner: (Q,) class of each.
    prototypes:   the P prototypes of all nouns that speak for a class; vectors: (P, D), of each.
    column, owner, weight: (L,) each: prototype, class and weight of every link.
    trust:        (C,) how far text is believed about each class, in [0, 1].
    common:       (D,) what the dictionary's regions have in common; zeros without a dictionary.
    revision:     of the dictionary; None without.
    """

    classes: tuple[ClassName, ...]
    prompts: Vectors
    prompt_owner: Ints
    prototypes: tuple[Prototype, ...]
    vectors: Vectors
    column: Ints
    owner: Ints
    weight: Floats
    trust: Floats
    common: Vector
    revision: int | None


def read_classes_by_text(classes: Sequence[ClassName], text: TextEncoder) -> ClassReading:
    """A class list where there is no dictionary."""
    names = [prompt for item in classes for prompt in item.prompts]
    owner = [number for number, item in enumerate(classes) for _ in item.prompts]
    return ClassReading(
        classes=tuple(classes),
        prompts=text.encode_texts(names),
        prompt_owner=np.array(owner, dtype=np.int64),
        prototypes=(),
        vectors=np.zeros((0, text.dim), dtype=np.float32),
        column=np.zeros(0, dtype=np.int64),
        owner=np.zeros(0, dtype=np.int64),
        weight=np.zeros(0, dtype=np.float32),
        trust=np.ones(len(classes), dtype=np.float32),
        common=np.zeros(text.dim, dtype=np.float32),
        revision=None,
    )


def read_classes_by_dictionary(
    classes: Sequence[ClassName], text: ScaledTextEncoder, retriever: Retriever
) -> ClassReading:
    """A class list with the prototypes that speak for each class.

    A class takes the nouns that are among its names. A class that has none takes the nouns that are
    nearest to it by text, weighted by how near.
    """
    plain = read_classes_by_text(classes, text)
    revision = retriever.revision
    weights = _weights(classes, text, retriever)
    wanted = sorted({noun for of_class in weights for noun in of_class})
    matrix = retriever.matrix(wanted)
    prototypes = matrix.prototypes
    column, owner, weight = _links(weights, prototypes)
    near = best_prompt(matrix.vectors @ plain.prompts.T, plain.prompt_owner, classes=len(classes))
    spoken = softmax(text.logit_scale * near)[column]
    sample = retriever.sample_vectors()
    return ClassReading(
        classes=plain.classes,
        prompts=plain.prompts,
        prompt_owner=plain.prompt_owner,
        prototypes=prototypes,
        vectors=matrix.vectors,
        column=column,
        owner=owner,
        weight=weight,
        trust=trust_in_text(spoken, owner, weight, classes=len(classes)),
        common=common_part(sample, pictures=len(retriever.dictionary.sample())),
        revision=revision,
    )


def _weights(
    classes: Sequence[ClassName], text: TextEncoder, retriever: Retriever
) -> list[dict[str, float]]:
    """The nouns that speak for each class, and how much.

    A noun that names one class of the list stands in for no other.
    """
    nouns = frozenset(retriever.nouns())
    named = [_named(item, nouns) for item in classes]
    if all(named):
        return named
    taken = {noun for of_class in named for noun in of_class}
    known = [
        entry.noun
        for entry in retriever.entries()
        if entry.regions >= FEWEST_REGIONS and entry.noun not in taken
    ]
    vectors = text.encode_texts(known, templates="plain")
    return [
        own or _near(item, known, vectors, text) for item, own in zip(classes, named, strict=True)
    ]


def _named(item: ClassName, nouns: frozenset[str]) -> dict[str, float]:
    """The dictionary's nouns among the names of a class, all of one weight."""
    found = (next((f for f in forms(prompt) if f in nouns), None) for prompt in item.prompts)
    return {noun: 1.0 for noun in found if noun is not None}


def _near(
    item: ClassName, nouns: Sequence[str], vectors: Vectors, text: TextEncoder
) -> dict[str, float]:
    """Nouns that stand in for a class that the dictionary lacks, with weights; maybe none."""
    found, weights = near_nouns(text.encode_texts(item.prompts, templates="plain"), vectors)
    return {nouns[index]: float(weight) for index, weight in zip(found, weights, strict=True)}


def _links(
    weights: Sequence[dict[str, float]], prototypes: Sequence[Prototype]
) -> tuple[Ints, Ints, Floats]:
    """Prototype, class and weight of every link, (L,) each."""
    links = [
        (column, class_id, of_class[prototype.noun] * _share(prototype, prototypes))
        for class_id, of_class in enumerate(weights)
        for column, prototype in enumerate(prototypes)
        if prototype.noun in of_class
    ]
    column, owner, weight = zip(*links, strict=True) if links else ((), (), ())
    return (
        np.array(column, dtype=np.int64),
        np.array(owner, dtype=np.int64),
        np.array(weight, dtype=np.float32),
    )


def _share(prototype: Prototype, prototypes: Sequence[Prototype]) -> float:
    """The share of its noun's regions that a prototype stands for, in (0, 1]."""
    total = sum(other.size for other in prototypes if other.noun == prototype.noun)
    return prototype.size / total
