"""A dictionary asked about its own pictures, each as if it had not been indexed.

Captions are weak labels: a noun of a picture's captions should be found in it, among all nouns
that are frequent, by what the other pictures teach. No mask is needed.

The cost is bounded, however large the dictionary is: at most MOST_NOUNS nouns are looked for in at
most MOST_PICTURES pictures. What stays of the picture itself are its share in what all regions have
in common (centring) and in how far text is trusted.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captionary.schemas.arrays import Vectors
from captionary.schemas.classes import ClassName
from captionary.schemas.dictionary import Picture
from captionary.schemas.regions import RegionTable
from captionary.segmenter.class_vectors import (
    ClassVectors,
    ScaledTextEncoder,
    encode_classes_by_dictionary,
)
from captionary.segmenter.kinds.table import KindRules
from captionary.segmenter.quality.left_out import without_members
from captionary.segmenter.quality.trials import Trial, make_trial
from captionary.segmenter.region_scores import Weights, score_regions
from captionary.segmenter.scoring import LEAST, Floats, Ints
from captionary.vocabulary.candidates import large_enough
from captionary.vocabulary.centring import centred
from captionary.vocabulary.neighbours import Neighbours
from captionary.vocabulary.records.paging import pages
from captionary.vocabulary.records.regions import read_tags
from captionary.vocabulary.retrieval import Retriever

MOST_NOUNS, FEWEST_PICTURES = 200, 5
"""Nouns that are looked for: the most frequent ones, of so many pictures at least."""

MOST_PICTURES, PICTURES_A_NOUN = 1000, 8
"""Pictures that are asked: the sample, and more of nouns that are in fewer than so many of it."""

MOST_TRIED, TRIALS_A_PICTURE = 400, 3
"""Pictures that weights are tried on, at most, and with how many lists of nouns each."""

PAGE = 64
"""Pictures that are read at a time."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A picture, and what the dictionary without it knows of its regions.

    members: by noun the regions of the picture that carry it.
    looks:   (R, L), centred.
    classes: the frequent nouns, their prototypes without this picture.
    near:    the neighbours of its regions in other pictures.
    named:   (N,) whether its captions name each of the frequent nouns.
    """

    picture: Picture
    table: RegionTable
    members: Mapping[str, Sequence[int]]
    looks: Vectors
    classes: ClassVectors
    near: Neighbours
    named: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was found in one picture without itself, of N nouns.

    named:  (N,) whether its captions name the noun.
    region: (N,) the region in which the noun is most probable, of those of some size.
    score:  (N,) log of its probability there, among all N.
    rival:  (N,) which other noun is most probable in that region.
    lead:   (N,) log of how many times as probable as its rival the noun is there.
    fits:   by noun, for each region that carries it, its number and its cosine to the nearest of
            the noun's prototypes.
    boxes_xyxy: (R, 4) of all its regions, pixels.
    """

    picture: Picture
    named: NDArray[np.bool_]
    region: Ints
    score: Floats
    rival: Ints
    lead: Floats
    fits: Mapping[str, Sequence[tuple[int, float]]]
    boxes_xyxy: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Examination:
    """What a dictionary finds of its own captions.

    nouns:      the N nouns, most frequent first.
    pictures:   (N,) in how many pictures of the whole dictionary each is; regions: likewise.
    prototypes, spread: (N,) how many each has, and how far its regions are from them on average.
    asked:      the pictures.
    trials:     of some of the pictures, several of each, for trying weights (calibration.py).
    text_scale: what cosines to text are multiplied with.
    """

    nouns: tuple[str, ...]
    pictures: Ints
    regions: Ints
    prototypes: Ints
    spread: Floats
    asked: tuple[Asked, ...]
    trials: tuple[tuple[Trial, ...], ...]
    text_scale: float


def examine(
    retriever: Retriever,
    text: ScaledTextEncoder,
    *,
    weights: Weights | None = None,
    report: Callable[[int, int], None] = lambda _done, _of: None,
) -> Examination:
    """Ask a dictionary about its own pictures.

    Args:
        retriever: reads it; text: its own encoder.
        weights:   how much each witness counts; None: the defaults.
        report:    called after each picture with how many are done, of how many.

    Returns:
        Of a dictionary without any noun that is frequent enough, one without nouns and pictures.
    """
    if not frequent_nouns(retriever):
        none = np.zeros(0, np.int64)
        return Examination((), none, none, none, none.astype(np.float32), (), (), text.logit_scale)
    classes = frequent_classes(retriever, text)
    ids = choose_pictures(retriever, classes.nouns)
    usual = Weights(text.logit_scale) if weights is None else weights
    asked: list[Asked] = []
    trials: list[tuple[Trial, ...]] = []
    random = np.random.default_rng(0)
    for done, one in enumerate(leave_out(retriever, classes, ids), start=1):
        asked.append(_ask(one, usual))
        if len(trials) < MOST_TRIED and one.named.any() and not one.named.all():
            trials.append(
                tuple(
                    make_trial(one.table, one.classes, one.near, one.named, usual, random)
                    for _ in range(TRIALS_A_PICTURE)
                )
            )
        report(done, len(ids))
    entries = {entry.noun: entry for entry in retriever.entries()}
    nouns = tuple(item.name for item in classes.classes)
    own = [[entries[noun] for noun in sorted(spellings)] for spellings in classes.nouns]
    return Examination(
        nouns=nouns,
        pictures=np.array([sum(item.pictures for item in of) for of in own], np.int64),
        regions=np.array([sum(item.regions for item in of) for of in own], np.int64),
        prototypes=np.bincount(classes.owner, minlength=len(nouns)).astype(np.int64),
        spread=_spread(classes),
        asked=tuple(asked),
        trials=tuple(trials),
        text_scale=text.logit_scale,
    )


def frequent_nouns(retriever: Retriever) -> list[str]:
    """The frequent nouns, the most frequent first; of several spellings of one the first."""
    frequent = sorted(
        (-entry.pictures, entry.noun)
        for entry in retriever.entries()
        if entry.pictures >= FEWEST_PICTURES and entry.prototypes
    )
    index, taken, nouns = retriever.noun_index(), set[str](), list[str]()
    for _, noun in frequent:
        spellings = {noun, *index.find(noun)}
        if not spellings & taken:
            nouns.append(noun)
        taken |= spellings
    return nouns[:MOST_NOUNS]


def frequent_classes(retriever: Retriever, text: ScaledTextEncoder) -> ClassVectors:
    """The frequent nouns as a class list, without kinds; there must be one at least."""
    classes = [ClassName(noun, (noun,)) for noun in frequent_nouns(retriever)]
    return encode_classes_by_dictionary(classes, text, retriever, KindRules(exact=True))


def choose_pictures(retriever: Retriever, nouns: Sequence[frozenset[str]]) -> list[str]:
    """Ids of the pictures to be asked: the sample, and more of nouns that are rare in it.

    nouns: for each noun its spellings.
    """
    stored = retriever.dictionary
    chosen: dict[str, None] = {}
    count: Counter[str] = Counter()
    for picture in stored.as_called(stored.sample()):
        chosen[picture.id] = None
        count.update(picture.all_nouns)
    for spellings in nouns:
        for noun in sorted(spellings):
            if sum(count[other] for other in spellings) >= PICTURES_A_NOUN:
                break
            for picture in stored.first_pictures(noun, limit=PICTURES_A_NOUN):
                if picture.id not in chosen and len(chosen) < MOST_PICTURES:
                    chosen[picture.id] = None
                    count.update(picture.all_nouns)
    return list(chosen)


def leave_out(retriever: Retriever, classes: ClassVectors, ids: Sequence[str]) -> Iterator[LeftOut]:
    """Each of some pictures, left out of a class list; those that lost regions are passed over."""
    stored = retriever.dictionary
    regions = stored.engine.collection("regions")
    common = retriever.common_parts().look
    for page in pages(ids, PAGE):
        pictures, tables = stored.whole_tables(stored.as_called(page))
        members_of = read_tags(regions, [picture.id for picture in pictures])
        for picture, table in zip(pictures, tables, strict=True):
            looks = centred(table.looks, common)
            # Without regions that were pointed at, which are no rows of the table.
            chosen = {
                noun: [row for row in rows if row < len(table)]
                for noun, rows in members_of[picture.id].items()
            }
            members = {noun: rows for noun, rows in chosen.items() if rows}
            own = {noun: looks[sorted(rows)] for noun, rows in members.items()}
            yield LeftOut(
                picture=picture,
                table=table,
                members=members,
                looks=looks,
                classes=without_members(classes, own, image_id=picture.id),
                near=retriever.neighbours(table, without=picture.id),
                named=np.array(
                    [bool(said & picture.all_nouns) for said in classes.nouns], np.bool_
                ),
            )


def _ask(one: LeftOut, weights: Weights) -> Asked:
    scores = score_regions(one.table, one.classes, one.near, fusion="all", weights=weights)
    large = large_enough(one.table)
    logs = np.log(np.maximum(scores.fused[large], LEAST))
    best = logs.argmax(axis=0)
    noun = np.arange(len(best))
    there = logs[best].copy()
    score = there[noun, noun]
    there[noun, noun] = -np.inf
    # With one noun there is no rival; it is its own then, and leads by nothing.
    rival = there.argmax(axis=1) if len(best) > 1 else noun
    return Asked(
        picture=one.picture,
        named=one.named,
        region=large[best],
        score=score,
        rival=rival,
        lead=score - logs[best, rival],
        fits=_fits(one),
        boxes_xyxy=one.table.boxes_xyxy,
    )


def _fits(one: LeftOut) -> dict[str, list[tuple[int, float]]]:
    """How well the regions that carry a noun fit what other pictures make of it."""
    fits = {}
    for number, spellings in enumerate(one.classes.nouns):
        columns = one.classes.column[one.classes.owner == number]
        for noun in spellings & one.members.keys():
            if len(columns):
                rows = sorted(one.members[noun])
                cosine = (one.looks[rows] @ one.classes.looks[columns].T).max(axis=1)
                fits[one.classes.classes[number].name] = list(
                    zip(rows, cosine.tolist(), strict=True)
                )
    return fits


def _spread(classes: ClassVectors) -> Floats:
    """Mean of 1 - cosine of the regions of each class to their prototype, (N,)."""
    count = len(classes.classes)
    spread = np.array([item.spread for item in classes.prototypes], np.float64)[classes.column]
    total = np.bincount(classes.owner, classes.weight, minlength=count)
    mean = np.bincount(classes.owner, classes.weight * spread, minlength=count)
    return (mean / np.maximum(total, LEAST)).astype(np.float32)
