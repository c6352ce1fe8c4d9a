"""Lets each noun choose its region in each of its pictures, by the scores of `association`."""

from collections.abc import Mapping, Sequence

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

REFERENCE_PICTURES = 32
"""Pictures with the noun that consistency compares with, at most."""

SPREAD_PICTURES = 8
"""Of these, those that tell how far consistency spreads among regions."""


class RegionChooser:
    """Lets one noun choose its region in pictures, one at a time, at most one region in each.

    What it chooses depends on the picture, on the noun's first pictures and on the sample, and on
    nothing else; so a choice stays as it is until one of these changes.

    Args:
        noun:       the noun.
        words:      its text vector, and those of all nouns of the pictures.
        references: the noun's first pictures, REFERENCE_PICTURES at most, and their candidates.
        reader:     knows the sample.
        certain:    regions of other pictures that are the noun, as someone said.
        text_share: weight of text where the word is surely known, in [0, 1].
    """

    def __init__(
        self,
        noun: str,
        words: Mapping[str, Vector],
        references: tuple[Sequence[Picture], Candidates],
        reader: CandidateReader,
        *,
        certain: Candidates | None = None,
        text_share: float = TEXT_SHARE,
    ) -> None:
        self._noun, self._words, self._reader = noun, words, reader
        pictures, having = references
        self._number = {picture.id: number for number, picture in enumerate(pictures)}
        lacking = reader.sample_without(noun)
        self._lacking = len(lacking.index)
        word = words[noun]
        known = text_trust(
            _best_of_each(reader.text_scores(word, having.vectors), having),
            _best_of_each(reader.text_scores(word, lacking.vectors), lacking),
        )
        count = len(np.unique(having.picture))
        self._looks, self._picture = having.looks, having.picture
        if certain is not None and len(certain.index):
            # What is certain speaks beside what the pictures share, numbered as other pictures.
            self._looks = np.concatenate([certain.looks, self._looks])
            self._picture = np.concatenate([-1 - certain.picture, self._picture])
            count += len(certain.index)
        self._text_share = text_share
        self._text_weight = text_share * known
        self._shared_weight = (1 - text_share) * consistency_trust(count)
        self._few = {
            item.id: self._consistency(item, having.of_rows(having.rows_of(number)))
            for number, item in enumerate(pictures[:SPREAD_PICTURES])
        }
        shared = np.concatenate([np.zeros(0, np.float32), *self._few.values()])
        self._spread = float(shared.std()) if len(shared) else 0.0

    def choose(
        self, picture: Picture, own: Candidates, *, free: NDArray[np.bool_] | None = None
    ) -> TaggedRegion | None:
        """Choose the region that the noun names in a picture; None where all are refused.

        In every caption the noun competes with the others for regions, one to one; of what it wins
        in the captions it keeps the best. The others compete by text alone. A compound and its head
        ("fire hydrant", "hydrant") name the same thing and do not compete, and where there are
        fewer regions than nouns nobody does.

        Args:
            own:  the candidates of this picture alone.
            free: (n,) which of them it may choose; None: all.
        """
        scores = self._scores(picture, own)
        if free is not None:
            scores = np.where(free, scores, np.float32(NEVER))
        rivals = {
            other: self._text_share * self._reader.text_scores(self._words[other], own.vectors)
            for other in sorted(picture.all_nouns - {self._noun})
            if not (_is_head(self._noun, other) or _is_head(other, self._noun))
        }
        best: tuple[float, int, int] | None = None
        for caption, nouns in enumerate(picture.nouns):
            if self._noun not in nouns:
                continue
            competing = [other for other in nouns if other == self._noun or other in rivals]
            table = [scores if other == self._noun else rivals[other] for other in competing]
            if len(competing) > len(scores):  # too few regions to have one each
                place = int(scores.argmax())
            else:
                place = int(one_to_one(table)[competing.index(self._noun)])
            won = (float(scores[place]), -place, -caption)
            # Of equal scores the first region and caption: nothing else must decide.
            best = won if best is None else max(best, won)
        if best is None or best[0] <= NEVER:
            return None
        score, place, caption = best
        return TaggedRegion(self._noun, picture.id, int(own.index[-place]), score, -caption)

    def _scores(self, picture: Picture, own: Candidates) -> Floats:
        """How well each candidate of a picture fits the noun, (n,), by both witnesses."""
        shared = self._few.get(picture.id)
        return blended(
            self._reader.text_scores(self._words[self._noun], own.vectors),
            self._consistency(picture, own) if shared is None else shared,
            spread=self._spread,
            text_weight=self._text_weight,
            shared_weight=self._shared_weight,
        )

    def _consistency(self, picture: Picture, own: Candidates) -> Floats:
        # One picture at a time: in a matrix of more rows the last bits of a product may differ.
        number = np.full(len(own.index), self._number.get(picture.id, len(self._number)))
        return consistency(
            own.looks,
            number,
            having=self._looks,
            having_picture=self._picture,
            far=self._reader.far(self._noun, picture, own),
            lacking=self._lacking,
        )


def _is_head(word: str, compound: str) -> bool:
    """Whether a compound, of words or with hyphens, ends in the word."""
    return compound.endswith((f" {word}", f"-{word}"))


def _best_of_each(scores: Floats, candidates: Candidates) -> Floats:
    """The best score in each picture, (n,) -> (pictures,)."""
    if not len(scores):
        return scores
    starts = np.flatnonzero(np.diff(candidates.picture, prepend=-1))
    best: Floats = np.maximum.reduceat(scores, starts)
    return best
