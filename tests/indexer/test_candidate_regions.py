from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from captionary.indexer import candidate_regions
from captionary.indexer.candidate_regions import CandidateReader
from captionary.schemas.dictionary import Picture
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import unit
from captionary.vocabulary.candidates import SMALLEST
from captionary.vocabulary.centring import centred, common_part
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.stored_dictionary import StoredDictionary

DIM = 8


def made(number: int, areas: list[float], noun: str) -> tuple[Picture, RegionTable]:
    raw = np.random.default_rng(number).normal(size=(len(areas), DIM)) + 1
    table = RegionTable(
        vectors=unit(raw.astype(np.float32)),
        boxes_xyxy=np.arange(4 * len(areas), dtype=np.int32).reshape(-1, 4),
        areas=np.array(areas, np.float32),
    )
    picture = Picture(
        f"p{number}", "x.jpg", f"{number:064x}", (9, 9), (f"a {noun}",), ((noun,),), len(areas)
    )
    return picture, table


ITEMS = [
    made(0, [1.0, 0.5, 0.001, 0.03], "cat"),
    made(1, [0.001, 0.002], "dog"),
    made(2, [1.0, 0.02], "dog"),
    made(3, [0.3, 0.01, 0.3], "cat"),
]
KEPT = [[0, 1, 3], [0, 1], [0, 1], [0, 2]]
"""Those that are not small; all, where all are."""


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredDictionary]:
    folder = tmp_path_factory.mktemp("candidates") / "store"
    with StoredDictionary(EdgeEngine(folder), fingerprint="made", dim=DIM) as store:
        store.add(ITEMS)
        yield store


@pytest.fixture
def reader(dictionary: StoredDictionary) -> CandidateReader:
    return CandidateReader(dictionary, ["p3", "p0", "p2", "unknown"])


def test_candidates_are_the_regions_that_are_not_small(reader: CandidateReader) -> None:
    found = reader.read([ITEMS[n][0] for n in (3, 1, 0)])
    assert found.picture.tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert found.index.tolist() == KEPT[3] + KEPT[1] + KEPT[0]
    assert found.boxes_xyxy[found.rows_of(2)].tolist() == ITEMS[0][1].boxes_xyxy[KEPT[0]].tolist()
    assert SMALLEST == 0.02


def test_candidates_are_centred_on_the_sample(reader: CandidateReader) -> None:
    everything = np.concatenate([ITEMS[n][1].vectors for n in (3, 0, 2)])
    common = common_part(everything, pictures=3)
    found = reader.read([ITEMS[0][0]])
    assert np.allclose(found.vectors, centred(ITEMS[0][1].vectors[KEPT[0]], common), atol=1e-6)


def test_rows_and_first_cut_by_picture(reader: CandidateReader) -> None:
    found = reader.read([picture for picture, _ in ITEMS])
    assert [found.rows_of(n) for n in range(4)] == [
        slice(0, 3), slice(3, 5), slice(5, 7), slice(7, 9)
    ]  # fmt: skip
    assert found.first(2).index.tolist() == KEPT[0] + KEPT[1]
    assert len(found.first(0).index) == 0
    assert found.first(9).vectors.tobytes() == found.vectors.tobytes()


def test_reading_again_or_in_part_gives_the_same(
    dictionary: StoredDictionary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_regions, "CACHED_PICTURES", 2)
    reader = CandidateReader(dictionary, ["p3", "p0", "p2", "unknown"])
    pictures = [picture for picture, _ in ITEMS]
    whole = reader.read(pictures)
    for _ in range(2):
        for number in range(4):
            part = reader.read(pictures[number : number + 1])
            assert part.vectors.tobytes() == whole.vectors[whole.rows_of(number)].tobytes()
    assert reader.read([]).vectors.shape == (0, DIM)


def test_the_sample_without_a_noun_keeps_its_order(reader: CandidateReader) -> None:
    without_cat = reader.sample_without("cat")
    assert without_cat.index.tolist() == KEPT[2]
    assert without_cat.picture.tolist() == [0, 0]
    without_dog = reader.sample_without("dog")
    assert without_dog.index.tolist() == KEPT[3] + KEPT[0]
    assert without_dog.picture.tolist() == [0, 0, 1, 1, 1]
    assert len(reader.sample_without("bird").index) == 7


def test_the_sample_without_a_noun_has_a_limit(
    reader: CandidateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate_regions, "LACKING_PICTURES", 1)
    assert reader.sample_without("bird").index.tolist() == KEPT[3]


def test_text_scores_are_standard_over_the_sample(reader: CandidateReader) -> None:
    words = unit(np.random.default_rng(9).normal(size=(2, DIM)).astype(np.float32))
    for word in (*words, *words):
        scores = reader.text_scores(word, reader.sample_without("bird").vectors)
        assert scores.mean() == pytest.approx(0, abs=1e-5)
        assert scores.std() == pytest.approx(1, abs=1e-5)


def test_an_empty_sample_takes_nothing_away(dictionary: StoredDictionary) -> None:
    found = CandidateReader(dictionary, []).read([ITEMS[0][0]])
    assert np.allclose(found.vectors, ITEMS[0][1].vectors[KEPT[0]], atol=1e-6)


def test_a_reader_serves_as_long_as_its_sample_stands(tmp_path: Path) -> None:
    with StoredDictionary(
        EdgeEngine(tmp_path / "store"), fingerprint="made", dim=DIM
    ) as dictionary:
        dictionary.add(ITEMS)
        reader = CandidateReader(dictionary, ["p0", "p2"])
        assert reader.renewed(["p0", "p2"]) is reader
        picture = ITEMS[2][0]
        dictionary.amend([replace(picture, captions=("a cat",), nouns=(("cat",),))])
        assert reader.renewed(["p0", "p2"]) is reader
        assert len(reader.sample_without("cat").index) == 0
        assert reader.renewed(["p0", "p3"]) is not reader
        dictionary.add([(replace(picture, sha256="f" * 64), ITEMS[2][1])])
        assert reader.renewed(["p0", "p2"]) is not reader
