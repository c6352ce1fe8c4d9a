"""The pipeline with a look model, which may fail at a picture as an encoder may."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.refresh import Refresher
from captionary.schemas.arrays import Vectors
from captionary.schemas.jobs import Job
from captionary.schemas.regions import Region
from captionary.schemas.vectors import half, unit
from captionary.vision.extraction import RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.exact_engine import ExactEngine
from tests.indexer.planted import DIM, EXTRACTOR, SCENES, ColourRegions, ColourText, pairs

RED = np.array([225, 20, 25])
"""Of an apple."""


@dataclass(frozen=True)
class ColourLooks(ColourRegions):
    """The histogram of colours, backwards, and wrong numbers where something is red.

    wrong: what one of the numbers is in such a picture; None: none is wrong.
    """

    wrong: float | None = None
    fingerprint: str = "looks-colour"

    def embed(self, picture: LoadedPicture, regions: Sequence[Region]) -> Vectors:
        looks = half(unit(super().embed(picture, regions)[:, ::-1]))
        if self.wrong is not None and has_red(picture):
            looks[0, 0] = self.wrong
        return looks


def has_red(picture: LoadedPicture) -> bool:
    near = np.abs(picture.pixels.astype(int) - RED).max(axis=2) < 8
    return bool(near.any())


def run(looks: ColourLooks, folder: Path, nouns: NounExtractor) -> tuple[Job, StoredDictionary]:
    extractor: RegionExtractor = replace(EXTRACTOR, looks=looks)
    dictionary = StoredDictionary(
        ExactEngine(), fingerprint=extractor.fingerprint, dim=DIM, look_dim=extractor.look_dim
    )
    refresher = Refresher(dictionary, ColourText())
    indexer = Indexer(dictionary, extractor, nouns, refresher, workers=2)
    return indexer.index(pairs(folder, SCENES)), dictionary


def test_regions_and_prototypes_have_both_vectors(tmp_path: Path, nouns: NounExtractor) -> None:
    job, dictionary = run(ColourLooks(), tmp_path / "pictures", nouns)
    assert (job.added, job.nouns, job.failures) == (len(SCENES), 4, ())
    for table in dictionary.region_tables(list(dictionary.pictures())):
        assert np.array_equal(table.looks, half(unit(table.vectors[:, ::-1])))
    (apple,) = dictionary.prototypes(["apple"])
    # Of mirrored vectors the mean is mirrored, too.
    assert float(apple.look @ apple.vector[::-1]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.9])
def test_a_pair_that_the_look_model_fails_at_is_refused_and_not_the_store(
    wrong: float, tmp_path: Path, nouns: NounExtractor
) -> None:
    job, dictionary = run(ColourLooks(wrong=wrong), tmp_path / "pictures", nouns)
    apples = [number for number, things in enumerate(SCENES) if "apple" in things]
    assert [failure.where for failure in job.failures] == [f"made:{number}" for number in apples]
    assert all("the look model is at fault" in failure.reason for failure in job.failures)
    assert (job.pairs, job.added, job.nouns) == (len(SCENES), len(SCENES) - len(apples), 3)
    pictures = list(dictionary.pictures())
    assert not any("apple" in picture.all_nouns for picture in pictures)
    for table in dictionary.region_tables(pictures):
        assert np.isfinite(table.looks).all()
    assert {one.noun for one in dictionary.entries()} == {"banana", "lake", "leaf"}
