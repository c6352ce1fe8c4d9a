"""The segmenter on pictogram scenes, with a small dictionary that the real indexer has made."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from PIL import Image

from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.readers import read_pairs
from captionary.indexer.refresh import Refresher
from captionary.schemas.classes import parse_classes
from captionary.schemas.dictionary import Prototype
from captionary.schemas.errors import WrongInput
from captionary.schemas.options import FUSIONS as NAMED
from captionary.schemas.options import Fusion, witnesses_of
from captionary.schemas.segmentation import Segmentation
from captionary.segmenter.class_vectors import encode_classes_by_dictionary
from captionary.segmenter.refinement import refine_borders
from captionary.segmenter.region_scores import Weights, score_regions
from captionary.segmenter.segmenter import Segmenter, Settings
from captionary.vision.clip.encoder import ClipEncoder
from captionary.vision.embedding.embedders import MaskedCrops
from captionary.vision.extraction import LONGEST, RegionExtractor
from captionary.vision.pictures.loading import LoadedPicture, load_picture
from captionary.vision.pictures.resizing import resize_labels
from captionary.vision.proposers.superpixels import Scale, Superpixels
from captionary.vocabulary.centring import centred
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.contract.exact_engine import ExactEngine

PICTURES = 24
CLASSES = parse_classes("person: man | woman, snow, sky, Apples, zeppelin")
FUSIONS: tuple[Fusion, ...] = (*NAMED, "neighbours", "text+captions")
Background = Literal["names", "threshold", "auto"]


@pytest.fixture(scope="module")
def encoder(mini: str) -> ClipEncoder:
    torch.set_num_threads(1)
    return ClipEncoder(mini, device="cpu")


@pytest.fixture(scope="module")
def extractor(encoder: ClipEncoder) -> RegionExtractor:
    """Large superpixels only: a dozen regions a picture."""
    return RegionExtractor(Superpixels(scales=(Scale(1000, 0.02),)), MaskedCrops(encoder))


@pytest.fixture(scope="module")
def captions(scenes: Path) -> Path:
    return scenes / "captions.jsonl"


@pytest.fixture(scope="module")
def dictionary(
    captions: Path,
    encoder: ClipEncoder,
    extractor: RegionExtractor,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StoredDictionary]:
    engine = EdgeEngine(tmp_path_factory.mktemp("segmenter") / "store")
    with StoredDictionary(
        engine, fingerprint=extractor.fingerprint, dim=extractor.dim
    ) as dictionary:
        indexer = Indexer(
            dictionary, extractor, NounExtractor(), Refresher(dictionary, encoder), workers=2
        )
        job = indexer.index(islice(read_pairs(str(captions)), PICTURES))
        assert (job.added, job.failures) == (PICTURES, ())
        yield dictionary


@pytest.fixture(scope="module")
def segmenter(
    dictionary: StoredDictionary, encoder: ClipEncoder, extractor: RegionExtractor
) -> Segmenter:
    return Segmenter(extractor, encoder, Retriever(dictionary))


@pytest.fixture(scope="module")
def picture(captions: Path) -> LoadedPicture:
    """A scene with somebody in it that the dictionary does not hold."""
    later = captions.read_text(encoding="utf-8").splitlines()[PICTURES:]
    row = next(row for row in map(json.loads, later) if "woman" in row["captions"][0])
    return load_picture(captions.parent / row["image"])


@pytest.fixture(scope="module")
def answers(segmenter: Segmenter, picture: LoadedPicture) -> dict[Fusion, Segmentation]:
    return {
        fusion: segmenter.segment(picture, CLASSES, Settings(fusion, evidence=2))
        for fusion in FUSIONS
    }


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_pixel_gets_a_class_asked_for(
    fusion: Fusion, answers: dict[Fusion, Segmentation], picture: LoadedPicture
) -> None:
    answer = answers[fusion]

    assert answer.classes == ("person", "snow", "sky", "Apples", "zeppelin")
    assert answer.class_map.shape == picture.size_hw
    assert set(np.unique(answer.class_map)) <= set(range(5))
    assert answer.scores.shape == (5,)
    present = np.isin(np.arange(5), answer.class_map)
    assert ((answer.scores > 0) == present).all()
    assert (answer.scores <= 1).all()


def test_a_large_picture_is_labelled_at_its_own_size(
    segmenter: Segmenter, picture: LoadedPicture
) -> None:
    times = 1 + LONGEST // max(picture.size_hw)
    large = replace(picture, pixels=picture.pixels.repeat(times, axis=0).repeat(times, axis=1))
    answer = segmenter.segment(large, CLASSES)
    assert answer.class_map.shape == large.size_hw
    small = segmenter.segment(large.at_most(LONGEST), CLASSES)
    assert (resize_labels(small.class_map, large.size_hw) == answer.class_map).all()
    assert answer.regions[0].box_xyxy == (0, 0, *large.size_hw[::-1])


def test_borders_are_refined_where_asked(
    answers: dict[Fusion, Segmentation], segmenter: Segmenter, picture: LoadedPicture
) -> None:
    answer = segmenter.segment(picture, CLASSES, Settings(refine=True))
    expected = refine_borders(answers["all"].class_map, picture.pixels)
    np.testing.assert_array_equal(answer.class_map, expected)
    assert (answer.class_map != answers["all"].class_map).any()
    np.testing.assert_array_equal(answer.scores, answers["all"].scores)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_regions_tell_their_probabilities(
    fusion: Fusion, answers: dict[Fusion, Segmentation], picture: LoadedPicture
) -> None:
    height, width = picture.size_hw
    for region in answers[fusion].regions:
        left, top, right, bottom = region.box_xyxy
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        assert 0 < region.area <= 1
        assert 1 / 5 - 1e-6 <= region.score <= 1
        assert all(0 <= said <= 1 for said in region.by_witness.values())
        asked = {"text", *witnesses_of(fusion)}
        if asked & {"neighbours", "captions"}:  # both come from the same regions
            asked |= {"neighbours", "captions"}
        if answers[fusion].classes[region.class_id] == "zeppelin":
            asked -= {"prototypes", "captions"}
        assert region.by_witness.keys() == asked


def test_the_regions_are_those_of_the_extractor(
    answers: dict[Fusion, Segmentation], extractor: RegionExtractor, picture: LoadedPicture
) -> None:
    regions = extractor.extract(picture).regions

    assert [item.box_xyxy for item in answers["both"].regions] == [
        region.box_xyxy for region in regions
    ]


def test_one_look_serves_every_setting(
    answers: dict[Fusion, Segmentation], segmenter: Segmenter, picture: LoadedPicture
) -> None:
    cut = segmenter.extractor.extract(picture)

    for fusion, answer in answers.items():
        labelled = segmenter.label(cut, CLASSES, Settings(fusion, evidence=2))
        assert (labelled.class_map == answer.class_map).all()
        assert labelled.regions == answer.regions


def test_evidence_names_what_captions_taught(
    answers: dict[Fusion, Segmentation], dictionary: StoredDictionary
) -> None:
    nouns = {"person": {"person", "man", "woman"}, "Apples": {"apple"}}
    shown = [
        (answers["both"].classes[region.class_id], region.evidence)
        for region in answers["both"].regions
    ]
    assert any(evidence for _, evidence in shown)
    for name, evidence in shown:
        assert len(evidence) <= 2
        similarities = [item.similarity for item in evidence]
        assert similarities == sorted(similarities, reverse=True)
        for item in evidence:
            assert item.noun in nouns.get(name, {name})
            assert item.exemplars
            for exemplar in item.exemplars:
                source = dictionary.picture(exemplar.image_id)
                assert source is not None
                assert exemplar.caption in source.captions
                with Image.open(io.BytesIO(exemplar.thumbnail)) as thumbnail:
                    assert max(thumbnail.size) <= 96
                    thumbnail.load()


@pytest.mark.parametrize("fusion", ["text", "calibrated"])
def test_what_reads_no_prototypes_shows_none(
    fusion: Fusion, answers: dict[Fusion, Segmentation]
) -> None:
    assert all(region.evidence == () for region in answers[fusion].regions)


def test_no_evidence_unless_asked_for(segmenter: Segmenter, picture: LoadedPicture) -> None:
    answer = segmenter.segment(picture, CLASSES)

    assert all(region.evidence == () for region in answer.regions)


def test_weights_that_were_chosen_for_the_dictionary_hold(
    segmenter: Segmenter, answers: dict[Fusion, Segmentation], picture: LoadedPicture
) -> None:
    """With all weight on prototypes both are as prototypes alone; without, as before."""
    assert segmenter.retriever is not None
    stored, alone = segmenter.retriever.dictionary, answers["prototypes"]
    stored.keep_weights({"prototypes": 1.0})
    try:
        assert stored.stats().weights == {"prototypes": 1.0}
        answer = segmenter.segment(picture, CLASSES, Settings("both"))
    finally:
        stored.keep_weights({})
    again = segmenter.segment(picture, CLASSES, Settings("both"))
    assert_allclose(again.scores, answers["both"].scores, rtol=1e-5)

    assert (answer.class_map == alone.class_map).all()
    assert_allclose(answer.scores, alone.scores, rtol=1e-5)
    for one, other in zip(answer.regions, alone.regions, strict=True):
        assert one.class_id == other.class_id


def test_a_class_without_prototypes_keeps_its_text_probability(
    segmenter: Segmenter, encoder: ClipEncoder, extractor: RegionExtractor, picture: LoadedPicture
) -> None:
    assert segmenter.retriever is not None
    vectors = encode_classes_by_dictionary(CLASSES, encoder, segmenter.retriever)
    table = extractor.extract(picture).table

    scores = score_regions(
        table, vectors, None, fusion="prototypes", weights=Weights(encoder.logit_scale)
    )

    text, prototypes = scores.by_witness["text"], scores.by_witness["prototypes"]
    assert_allclose(prototypes[:, 4], text[:, 4])
    assert_allclose(scores.fused, prototypes)
    assert_allclose(prototypes.sum(axis=1), 1, rtol=1e-5)
    assert np.abs(prototypes[:, 0] - text[:, 0]).max() > 0.01


@pytest.mark.parametrize("fusion", FUSIONS)
def test_the_order_of_the_classes_does_not_matter(
    fusion: Fusion,
    segmenter: Segmenter,
    answers: dict[Fusion, Segmentation],
    picture: LoadedPicture,
) -> None:
    backwards = segmenter.segment(picture, CLASSES[::-1], Settings(fusion))

    assert backwards.classes == answers[fusion].classes[::-1]
    assert (len(CLASSES) - 1 - backwards.class_map == answers[fusion].class_map).all()
    assert_allclose(backwards.scores[::-1], answers[fusion].scores, rtol=1e-4)


@pytest.mark.parametrize("mode", get_args(Background))
def test_a_background_joins_the_classes(
    mode: Background, segmenter: Segmenter, picture: LoadedPicture
) -> None:
    answer = segmenter.segment(picture, CLASSES, Settings(background=mode))

    assert answer.classes == (*(item.name for item in CLASSES), "background")
    assert answer.scores.shape == (6,)
    assert answer.class_map.max() <= 5


def test_no_class_reaches_certainty_and_every_class_reaches_nothing(
    segmenter: Segmenter, answers: dict[Fusion, Segmentation], picture: LoadedPicture
) -> None:
    def segment(threshold: float) -> Segmentation:
        settings = Settings(background="threshold", threshold=threshold)
        return segmenter.segment(picture, CLASSES, settings)

    assert (segment(1.0).class_map == 5).all()
    assert (segment(0.0).class_map == answers["all"].class_map).all()
    assert segment(1.0).regions[0].evidence == ()


def test_the_answer_says_which_revision_it_read(
    answers: dict[Fusion, Segmentation], dictionary: StoredDictionary
) -> None:
    assert {answers[fusion].revision for fusion in FUSIONS} == {None, dictionary.revision}
    assert answers["text"].revision is None


def test_text_alone_needs_no_dictionary(
    encoder: ClipEncoder,
    extractor: RegionExtractor,
    picture: LoadedPicture,
    answers: dict[Fusion, Segmentation],
) -> None:
    alone = Segmenter(extractor, encoder)

    answer = alone.segment(picture, CLASSES, Settings("text"))

    assert (answer.class_map == answers["text"].class_map).all()
    with pytest.raises(WrongInput, match="'all' reads a dictionary; name one"):
        alone.segment(picture, CLASSES)


def test_an_empty_dictionary_adds_nothing_to_text(
    encoder: ClipEncoder,
    extractor: RegionExtractor,
    picture: LoadedPicture,
    answers: dict[Fusion, Segmentation],
) -> None:
    empty = StoredDictionary(ExactEngine(), fingerprint=extractor.fingerprint, dim=extractor.dim)
    fresh = Segmenter(extractor, encoder, Retriever(empty))

    answer = fresh.segment(picture, CLASSES, Settings("both", evidence=3))

    assert (answer.class_map == answers["text"].class_map).all()
    assert_allclose(answer.scores, answers["text"].scores, rtol=1e-4)
    assert all(region.by_witness.keys() == {"text"} for region in answer.regions)


def test_new_prototypes_are_seen_without_a_restart(
    segmenter: Segmenter,
    dictionary: StoredDictionary,
    extractor: RegionExtractor,
    picture: LoadedPicture,
    encoder: ClipEncoder,
    answers: dict[Fusion, Segmentation],
) -> None:
    settings = Settings("prototypes", evidence=1)
    before = segmenter.segment(picture, CLASSES, settings)
    assert segmenter.retriever is not None
    common = encode_classes_by_dictionary(CLASSES, encoder, segmenter.retriever).common
    table = extractor.extract(picture).table
    like_region_one = centred(table.vectors, common.vector)[1]
    taught = Prototype("zeppelin", 0, like_region_one, 1, 0.0, "taught")
    try:
        dictionary.replace_prototypes("zeppelin", [taught])
        after = segmenter.segment(picture, CLASSES, settings)
    finally:
        dictionary.replace_prototypes("zeppelin", [])
    forgotten = segmenter.segment(picture, CLASSES, settings)

    assert before.revision is not None
    assert after.revision == before.revision + 2
    assert after.regions[1].class_id == 4
    assert after.regions[1].evidence[0].noun == "zeppelin"
    assert after.regions[1].evidence[0].similarity == pytest.approx(1, abs=1e-5)
    assert replace(forgotten.regions[1], evidence=()) == replace(before.regions[1], evidence=())
    assert (forgotten.class_map == answers["prototypes"].class_map).all()
