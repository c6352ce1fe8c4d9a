"""The rules of rival systems on Captionary's vectors, written from their formulas.

Regions, captions and tags are the same for all; only what is made of them differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Scores, Vectors
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import unit
from captionary.segmenter.class_vectors import ClassVectors
from captionary.segmenter.scoring import max_over_prompts, softmax
from captionary.vocabulary.centring import centred
from captionary.vocabulary.engines.engine import Where
from captionary.vocabulary.neighbours import SHARPNESS, Neighbours
from captionary.vocabulary.retrieval import Retriever

NEAREST = 20
LOCAL = 0.8
"""FreeDA's share of the region; the picture's text score has the rest."""


@dataclass(frozen=True, slots=True)
class Bank:
    """The tagged regions of a class list's nouns.

    looks: (N, L) float32, as they are stored.
    nouns: of each.
    """

    looks: Vectors
    nouns: tuple[frozenset[str], ...]

    def of_class(self, nouns: frozenset[str]) -> NDArray[np.bool_]:
        """Which of them carry one of some nouns, (N,)."""
        return np.array([bool(own & nouns) for own in self.nouns], np.bool_)


def read_bank(retriever: Retriever, classes: ClassVectors) -> Bank:
    """Read the tagged regions of a class list's nouns."""
    wanted = sorted({noun for nouns in classes.nouns for noun in nouns})
    regions = retriever.dictionary.engine.collection("regions")
    points = list(
        regions.scroll(Where(any_of={"noun": wanted}), fields=["noun"], with_vectors=True)
    )
    looks = [p.vector if p.look_vector is None else p.look_vector for p in points]
    return Bank(np.array(looks, np.float32), tuple(frozenset(p.payload["noun"]) for p in points))


class Rule(Protocol):
    """Scores the regions of a picture."""

    def __call__(
        self,
        table: RegionTable,
        near: Neighbours,
        classes: ClassVectors,
        bank: Bank,
        text_scale: float,
    ) -> Scores:
        """Scores, (R, C), in (0, 1]."""
        ...


def _to_text(vectors: Vectors, classes: ClassVectors) -> Scores:
    similarity = vectors @ classes.prompts.T
    return max_over_prompts(similarity, classes.prompt_owner, classes=len(classes.classes))


def freeda(
    table: RegionTable, near: Neighbours, classes: ClassVectors, bank: Bank, text_scale: float
) -> Scores:
    """One mean prototype a class: 0.8 sigmoid(cosine) + 0.2 the picture's text similarity."""
    del near, text_scale
    whole = int(table.areas.argmax())
    local = np.full((len(table), len(classes.nouns)), 0.5, np.float32)
    for column, nouns in enumerate(classes.nouns):
        own = bank.looks[bank.of_class(nouns)]
        if len(own):
            cosine = table.looks @ unit(own.mean(axis=0))
            local[:, column] = 1 / (1 + np.exp(-cosine))
    score: Scores = LOCAL * local + (1 - LOCAL) * _to_text(table.vectors[[whole]], classes)
    return np.maximum(score, 1e-6)


def corrclip(
    table: RegionTable, near: Neighbours, classes: ClassVectors, bank: Bank, text_scale: float
) -> Scores:
    """CorrCLIP's second version: half the region's own logits, half those of its neighbours."""
    del bank
    own = centred(table.vectors, classes.common.vector)
    logits = (_to_text(own, classes) + _to_text(near.words, classes)) / 2
    return softmax((text_scale * logits).astype(np.float32))


def nearest_tagged(
    table: RegionTable, near: Neighbours, classes: ClassVectors, bank: Bank, text_scale: float
) -> Scores:
    """The nearest tagged regions vote for the classes of their nouns."""
    del near, text_scale
    common = classes.common.look
    cosine = centred(table.looks, common) @ centred(bank.looks, common).T
    count = min(NEAREST, cosine.shape[1])
    rows = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
    best = np.take_along_axis(cosine, rows, axis=1)
    weight = np.exp(SHARPNESS * (best - best.max(axis=1, keepdims=True)))
    named = np.stack([bank.of_class(nouns) for nouns in classes.nouns], axis=1)
    votes = np.einsum("rn,rnc->rc", weight, named[rows].astype(np.float32))
    shares: Scores = (votes / weight.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares + np.float32(1e-3)


RIVALS: Mapping[str, Rule] = {
    "FreeDA's rule": freeda,
    "CorrCLIP v2's rule": corrclip,
    "vote of nearest tagged regions": nearest_tagged,
}
