"""The dictionary grows: a thing that it cannot name is learnt from captions, then segmented."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from captionary.indexer.nouns import NounExtractor
from captionary.schemas.classes import parse_classes
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.pictures.loading import load_picture
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.indexer.planted import (
    COLOURS,
    EXTRACTOR,
    KNOWN,
    SCENES,
    ColourText,
    draw,
    index,
    indexer,
    opened,
    pairs,
)

NEW = "kite"
CLASSES = parse_classes("apple, banana, leaf, lake, kite")


@dataclass(frozen=True)
class ScaledColourText(ColourText):
    """As a CLIP compares."""

    logit_scale: float = 20.0


def segmenter(dictionary: StoredDictionary) -> Segmenter:
    return Segmenter(EXTRACTOR, ScaledColourText(), Retriever(dictionary))


def share_found(answer: Segmentation, picture: Path, noun: str) -> float:
    """The share of a thing's pixels that got its name."""
    pixels = load_picture(picture).pixels.astype(int)
    thing = np.abs(pixels - np.array(COLOURS[noun])).max(axis=2) < 8
    found: np.floating[np.typing.NBitBase] = np.mean(
        answer.class_map[thing] == answer.classes.index(noun)
    )
    return float(found)


@pytest.fixture(scope="module")
def extractor() -> NounExtractor:
    return NounExtractor()


def test_a_new_noun_is_learnt_from_captions(tmp_path: Path, extractor: NounExtractor) -> None:
    assert NEW not in KNOWN
    picture = draw(tmp_path / "asked.png", (NEW, "apple"), seed=77)
    loaded, both = load_picture(picture), Settings(fusion="both", evidence=2)
    store = tmp_path / "store"
    index(store, pairs(tmp_path / "first", SCENES), extractor)
    with opened(store) as dictionary:
        clever = segmenter(dictionary)
        before = clever.segment(loaded, CLASSES, both)
        assert NEW not in Retriever(dictionary).nouns()
        assert before.without_noun == (NEW,)
        assert share_found(before, picture, "apple") > 0.8

        scenes = [(NEW, other) for other in ("apple", "banana", "leaf", "lake") * 2]
        job = indexer(dictionary, extractor).index(pairs(tmp_path / "second", scenes, first=100))
        assert job.added == len(scenes)

        after = clever.segment(loaded, CLASSES, both)
        assert after.without_noun == ()
        assert share_found(after, picture, NEW) > 0.8
        assert share_found(after, picture, "apple") > 0.8
        assert before.revision is not None
        assert after.revision is not None
        assert after.revision > before.revision
        named = [region for region in after.regions if region.class_id == 4]
        assert {evidence.noun for region in named for evidence in region.evidence} == {NEW}
        captions = {
            exemplar.caption
            for region in named
            for evidence in region.evidence
            for exemplar in evidence.exemplars
        }
        assert captions
        assert all(NEW in caption for caption in captions)


def test_a_new_noun_forgotten_is_new_again(tmp_path: Path, extractor: NounExtractor) -> None:
    store = tmp_path / "store"
    index(store, pairs(tmp_path / "first", SCENES), extractor)
    more = pairs(tmp_path / "second", [(NEW, "apple")] * 4, source="kites", first=100)
    index(store, more, extractor)
    with opened(store) as dictionary:
        retriever = Retriever(dictionary)
        assert NEW in retriever.nouns()
        dictionary.retire([picture.id for picture in dictionary.pictures(source="kites")])
        indexer(dictionary, extractor).index([])
        assert NEW not in retriever.nouns()
        assert retriever.matrix([NEW]).prototypes == ()
