"""The report on a dictionary: which nouns and pictures to doubt, and what to do next."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from captionary.schemas.arrays import Box
from captionary.segmenter.quality.leave_one_out import Asked, Examination
from captionary.segmenter.quality.separation import (
    DOUBTED_PICTURE,
    confusions,
    separation,
    support,
    support_of_pictures,
    unsupported,
)
from captionary.segmenter.scoring import LEAST, Floats, Ints

DOUBT = 2.0
"""A noun is doubtful whose separation is so many standard errors below the middle one."""

CONFUSED, MISFITS, TO_POINT_AT, NEXT = 3, 3, 3, 20
"""What is named at most: nouns that a noun is taken for, regions that fit it least, pictures to
point in, and things to do next."""


@dataclass(frozen=True, slots=True)
class Place:
    """A region of a picture.

    score: what it was chosen for, by where it stands in the report.
    """

    image_id: str
    box_xyxy: Box
    size_hw: tuple[int, int]
    score: float


@dataclass(frozen=True, slots=True)
class NounReport:
    """How good a noun is.

    pictures, regions, prototypes: how many it has; spread: mean of 1 - cosine of its regions to
        their prototype.
    asked:      pictures with it that were left out and asked.
    separation: the share of pairs of a picture with it and one without in which the one with it has
        the higher score (AUC): 0.5 is chance, 1 is perfect.
    error:      standard error of this.
    doubtful:   it is clearly worse than the dictionary's other nouns.
    confused:   nouns that were found in its place, and in how many pictures.
    misfits:    its regions that are least like its others, by cosine.
    """

    noun: str
    pictures: int
    regions: int
    prototypes: int
    spread: float
    asked: int
    separation: float
    error: float
    doubtful: bool
    confused: Mapping[str, int]
    misfits: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class PictureReport:
    """A picture whose captions nothing supports.

    support: of its nouns on average, the share of pictures without a noun in which it scores less;
        0.5 is what captions of another picture have.
    """

    image_id: str
    captions: tuple[str, ...]
    nouns: tuple[str, ...]
    support: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A noun of which more captions, or pointing, should help.

    lacking: its share, in [0, 1], of all that the dictionary lacks of perfect separation, each noun
           counting as often as captions name it.
    gain:  estimate: how much the separation, averaged over all that captions name, would rise if
           the noun had twice as many regions; 0 where the dictionary gives no reason to hope so.
    point: where to point: the regions that may be the noun, and for which it is least certain; by
           the log of how many times as probable as its rival it is.
    """

    noun: str
    lacking: float
    gain: float
    point: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """How good a dictionary is.

    separation:  mean of the nouns', of those that could be asked; 0 without any.
    asked:       pictures that were left out and asked.
    falls:       share of a noun's lacking separation that goes when its support doubles, as nouns
                 of more and of less support differ in this dictionary; 0 where they do not.
    nouns:       doubtful ones first, then by rising separation.
    pictures:    the worst first.
    next:        by what is lacking, falling.
    unsupported: nouns of captions that nothing supports, with the picture.
    thumbnails:  JPEG bytes of the pictures that are named above; not in the JSON.
    """

    separation: float
    asked: int
    falls: float
    nouns: tuple[NounReport, ...]
    pictures: tuple[PictureReport, ...]
    next: tuple[Suggestion, ...]
    unsupported: tuple[tuple[str, str], ...]
    thumbnails: Mapping[str, bytes]

    def to_json(self) -> dict[str, Any]:
        """All but the thumbnails, as plain values."""
        plain: dict[str, Any] = _plain(
            {key: value for key, value in asdict(self).items() if key != "thumbnails"}
        )
        return plain


def report_of(examination: Examination) -> Report:
    """Make the report of what was found."""
    shares = support(examination)
    auc, error = separation(shares)
    asked = np.isfinite(auc)
    nouns = _nouns(examination, shares, auc, error)
    pictures = _pictures(examination, shares)
    falls = lacking_falls(auc[asked], examination.regions[asked])
    suggestions = _next(examination, auc, falls)
    places = [place for item in nouns for place in item.misfits]
    places += [place for item in suggestions for place in item.point]
    shown = {place.image_id for place in places} | {item.image_id for item in pictures}
    return Report(
        separation=float(auc[asked].mean()) if asked.any() else 0.0,
        asked=len(examination.asked),
        falls=falls,
        nouns=nouns,
        pictures=pictures,
        next=suggestions,
        unsupported=tuple(unsupported(examination)),
        thumbnails={
            one.picture.id: one.picture.thumbnail
            for one in examination.asked
            if one.picture.id in shown
        },
    )


def lacking_falls(auc: Floats, regions: Ints) -> float:
    """Share of what a noun lacks of perfect separation that goes when its regions double.

    From the straight line through log(1 - AUC) against log2(regions) of the nouns, (n,) each.
    """
    if len(auc) < 3 or np.ptp(regions) == 0:
        return 0.0
    lacking = np.log(np.maximum(1 - auc, 1e-3))
    slope = float(np.polyfit(np.log2(np.maximum(regions, 1)), lacking, 1)[0])
    return max(0.0, 1 - math.exp(slope))


def _nouns(
    examination: Examination, shares: Floats, auc: Floats, error: Floats
) -> tuple[NounReport, ...]:
    middle = np.nanmedian(auc) if np.isfinite(auc).any() else 0.0
    confused = confusions(examination)
    found = [
        NounReport(
            noun=noun,
            pictures=int(examination.pictures[number]),
            regions=int(examination.regions[number]),
            prototypes=int(examination.prototypes[number]),
            spread=float(examination.spread[number]),
            asked=int(np.isfinite(shares[:, number]).sum()),
            separation=float(auc[number]),
            error=float(error[number]),
            doubtful=bool(auc[number] + DOUBT * error[number] < middle),
            confused=dict(list(confused[number].items())[:CONFUSED]),
            misfits=_misfits(examination, noun),
        )
        for number, noun in enumerate(examination.nouns)
        if np.isfinite(auc[number])
    ]
    return tuple(sorted(found, key=lambda item: (not item.doubtful, item.separation, item.noun)))


def _misfits(examination: Examination, noun: str) -> tuple[Place, ...]:
    """The regions that carry a noun and are least like what other pictures make of it."""
    fits = [
        (cosine, one.picture.id, region, one)
        for one in examination.asked
        for region, cosine in one.fits.get(noun, ())
    ]
    worst = sorted(fits, key=lambda item: item[:3])[:MISFITS]
    return tuple(_place(one, region, cosine) for cosine, _, region, one in worst)


def _pictures(examination: Examination, shares: Floats) -> tuple[PictureReport, ...]:
    means = support_of_pictures(shares)
    found = [
        PictureReport(
            image_id=one.picture.id,
            captions=one.picture.captions,
            nouns=tuple(examination.nouns[noun] for noun in np.flatnonzero(one.named)),
            support=float(mean),
        )
        for one, mean in zip(examination.asked, means, strict=True)
        if mean < DOUBTED_PICTURE
    ]
    return tuple(sorted(found, key=lambda item: (item.support, item.image_id)))


def _next(examination: Examination, auc: Floats, falls: float) -> tuple[Suggestion, ...]:
    """What to caption or point at: nouns by what they lack, how often they occur, what helps."""
    often = examination.pictures / max(int(examination.pictures.sum()), 1)
    lacking = np.nan_to_num((1 - auc) * often)
    order = np.argsort(-lacking, kind="stable")[:NEXT]
    return tuple(
        Suggestion(
            examination.nouns[noun],
            float(lacking[noun] / lacking.sum()),
            float(lacking[noun] * falls),
            _uncertain(examination, int(noun)),
        )
        for noun in order
        if lacking[noun] > LEAST
    )


def _uncertain(examination: Examination, noun: int) -> tuple[Place, ...]:
    """The places in pictures with a noun for which it and its rival are most nearly equal."""
    having = [one for one in examination.asked if one.named[noun]]
    nearest = sorted(having, key=lambda one: (abs(float(one.lead[noun])), one.picture.id))
    return tuple(
        _place(one, int(one.region[noun]), float(one.lead[noun])) for one in nearest[:TO_POINT_AT]
    )


def _place(one: Asked, region: int, score: float) -> Place:
    left, top, right, bottom = (int(edge) for edge in one.boxes_xyxy[region])
    return Place(one.picture.id, (left, top, right, bottom), one.picture.size_hw, score)


def _plain(value: Any) -> Any:
    """Tuples as lists, and numbers of few digits, as JSON reads them back."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value
