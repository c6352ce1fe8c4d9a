"""Lets each noun choose its region in each of its pictures, by the scores of `association`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captionary.indexer.association import (
    TEXT_SHARE,
    Floats,
    blended,
    consistency,
    consistency_trust,
    one_to_one,
    text_trust,
)
from captionary.indexer.candidate_regions import CandidateReader
from captionary.schemas.arrays import Vector
from captionary.schemas.dictionary import Picture, TaggedRegion
from captionary.vocabulary.candidates import Candidates

NEVER = -1e6
"""Score of a region that is not to be chosen: below all others, and finite."""

REFERENCE_PICTURES = 64
"""Pictures with the noun that consistency compares with, at most."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The region that a noun took in one picture.

    picture: which of the noun's pictures.
    row:     which of the candidates.
    score:   what it was chosen by; comparable within a noun.
    caption: the sentence that named it.
    """

    picture: int
    row: int
    score: float
    caption: str


def choose_regions(
    noun: str,
    pictures: Sequence[Picture],
    own: Candidates,
    *,
    words: Mapping[str, Vector],
    reader: CandidateReader,
    certain: Candidates | None = None,
    free: NDArray[np.bool_] | None = None,
    text_share: float = TEXT_SHARE,
) -> list[Choice]:
    """Choose the region that a noun names in each of its pictures, at most one.

    In every caption the noun competes with the others for regions, one to one; of what it wins in
    the captions of a picture it keeps the best. The others compete by text alone, so that what a
    noun gets depends on its own pictures and the sample, and on nothing else. A compound and its
    head ("fire hydrant", "hydrant") name the same thing and do not compete, and where there are
    fewer regions than nouns nobody does.

    Args:
        noun: the noun; pictures: its pictures; own: their candidates, in the same order.
        words: text vectors of all nouns of these pictures.
        reader: knows the sample.
        certain: regions of other pictures that are the noun, as someone said.
        free: (n,) which candidates it may choose; None: all.
        text_share: weight of text where the word is surely known, in [0, 1].
    """
    scores = _scores(
        noun, own, word=words[noun], reader=reader, certain=certain, text_share=text_share
    )
    if free is not None:
        scores = np.where(free, scores, np.float32(NEVER))
    choices = []
    for number, picture in enumerate(pictures):
        rows = own.rows_of(number)
        rivals = {
            other: text_share * reader.text_scores(words[other], own.vectors[rows])
            for other in sorted(picture.all_nouns - {noun})
            if not (_is_head(noun, other) or _is_head(other, noun))
        }
        won = []
        for caption, nouns in zip(picture.captions, picture.nouns, strict=True):
            if noun in nouns:
                competing = [other for other in nouns if other == noun or other in rivals]
                table = [scores[rows] if other == noun else rivals[other] for other in competing]
                if len(competing) > len(scores[rows]):  # too few regions to have one each
                    place = int(scores[rows].argmax())
                else:
                    place = int(one_to_one(table)[competing.index(noun)])
                won.append((float(scores[rows][place]), rows.start + place, caption))
        if won:
            # Of equal scores the first region: nothing else must decide.
            score, row, caption = max(won, key=lambda item: (item[0], -item[1]))
            if score <= NEVER:  # someone has refused all of them
                continue
            choices.append(Choice(number, row, score, caption))
    return choices


def _is_head(word: str, compound: str) -> bool:
    """Whether a compound, of words or with hyphens, ends in the word."""
    return compound.endswith((f" {word}", f"-{word}"))


def _scores(
    noun: str,
    own: Candidates,
    *,
    word: Vector,
    reader: CandidateReader,
    certain: Candidates | None,
    text_share: float,
) -> Floats:
    """How well each of its candidates fits a noun, (n,), by both witnesses."""
    lacking = reader.sample_without(noun)
    having = own.first(REFERENCE_PICTURES)
    text = reader.text_scores(word, own.vectors)
    known = text_trust(
        _best_of_each(text[: len(having.picture)], having),
        _best_of_each(reader.text_scores(word, lacking.vectors), lacking),
    )
    looks, picture, pictures = having.looks, having.picture, len(np.unique(own.picture))
    if certain is not None and len(certain.index):
        # What is certain speaks beside what the pictures share, numbered as other pictures.
        looks = np.concatenate([certain.looks, looks])
        picture = np.concatenate([-1 - certain.picture, picture])
        pictures += len(certain.index)
    shared = consistency(
        own.looks, own.picture, having=looks, having_picture=picture, lacking=lacking.looks
    )
    return blended(
        text,
        shared,
        text_weight=text_share * known,
        shared_weight=(1 - text_share) * consistency_trust(pictures),
    )


def _best_of_each(scores: Floats, candidates: Candidates) -> Floats:
    """The best score in each picture, (n,) -> (pictures,)."""
    if not len(scores):
        return scores
    starts = np.flatnonzero(np.diff(candidates.picture, prepend=-1))
    best: Floats = np.maximum.reduceat(scores, starts)
    return best


def tag_regions(
    noun: str, choices: Sequence[Choice], pictures: Sequence[Picture], own: Candidates
) -> list[TaggedRegion]:
    """The regions that a noun chose, as the dictionary keeps them."""
    return [
        TaggedRegion(noun, pictures[item.picture].id, int(own.index[item.row]), item.score)
        for item in choices
    ]
