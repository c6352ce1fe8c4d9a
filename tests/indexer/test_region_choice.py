import io
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from captionary.indexer.candidate_regions import CandidateReader
from captionary.indexer.prototypes import EXEMPLARS, make_prototypes
from captionary.indexer.region_choice import RegionChooser
from captionary.schemas.dictionary import Picture, TaggedRegion
from captionary.schemas.regions import RegionTable
from captionary.schemas.vectors import unit
from captionary.vocabulary.engines.edge import EdgeEngine
from captionary.vocabulary.stored_dictionary import StoredDictionary

DIM = 8
AXES = np.eye(DIM, dtype=np.float32)
WORDS = {"cat": AXES[0], "dog": AXES[1], "mat": AXES[2]}


def thumbnail() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


def made(number: int, looks: list[int], captions: dict[str, tuple[str, ...]]) -> Picture:
    return Picture(
        id=f"p{number}",
        image="x.jpg",
        sha256=f"{number:064x}",
        size_hw=(48, 64),
        captions=tuple(captions),
        nouns=tuple(captions.values()),
        regions=len(looks),
        source="made",
        thumbnail=thumbnail(),
    )


def table(number: int, looks: list[int]) -> RegionTable:
    noise = 0.05 * np.random.default_rng(number).normal(size=(len(looks), DIM))
    return RegionTable(
        vectors=unit((AXES[looks] + noise).astype(np.float32)),
        boxes_xyxy=np.array([[4 * n, 2, 4 * n + 12, 20] for n in range(len(looks))], np.int32),
        areas=np.full(len(looks), 0.1, np.float32),
    )


LOOKS = [[0, 1, 5], [6, 0, 1], [1, 7, 2], [5, 6, 2], [0, 7, 4], [4, 3, 6]]
CAPTIONS: list[dict[str, tuple[str, ...]]] = [
    {"a cat and a dog": ("cat", "dog"), "a dog": ("dog",)},
    {"a dog and a cat": ("dog", "cat")},
    {"a dog on a mat": ("dog", "mat"), "the mat": ("mat",)},
    {"a mat": ("mat",)},
    {"pretty": (), "a cat": ("cat",)},
    {"a bird": ("bird",)},
]


@pytest.fixture(scope="module")
def dictionary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredDictionary]:
    folder = tmp_path_factory.mktemp("choices") / "store"
    with StoredDictionary(EdgeEngine(folder), fingerprint="made", dim=DIM) as store:
        numbered = list(enumerate(zip(LOOKS, CAPTIONS, strict=True)))
        store.add([(made(n, looks, said), table(n, looks)) for n, (looks, said) in numbered])
        yield store


def chooser(dictionary: StoredDictionary, noun: str) -> tuple[list[Picture], RegionChooser]:
    reader = CandidateReader(dictionary, [f"p{n}" for n in range(len(LOOKS))])
    pictures = list(dictionary.pictures(noun=noun))
    return pictures, RegionChooser(noun, WORDS, (pictures, reader.read(pictures)), reader)


def chosen(dictionary: StoredDictionary, noun: str) -> tuple[list[Picture], list[TaggedRegion]]:
    pictures, judge = chooser(dictionary, noun)
    reader = CandidateReader(dictionary, [f"p{n}" for n in range(len(LOOKS))])
    tags = [judge.choose(picture, reader.read([picture])) for picture in pictures]
    return pictures, [tag for tag in tags if tag is not None]


@pytest.mark.parametrize(
    ("noun", "expected"),
    [
        ("cat", {"p0": 0, "p1": 1, "p4": 0}),
        ("dog", {"p0": 1, "p1": 2, "p2": 0}),
        ("mat", {"p2": 2, "p3": 2}),
    ],
)
def test_each_noun_takes_its_region(
    dictionary: StoredDictionary, noun: str, expected: dict[str, int]
) -> None:
    pictures, tagged = chosen(dictionary, noun)
    assert {region.image_id: region.index for region in tagged} == expected
    assert {region.noun for region in tagged} == {noun}
    for picture, region in zip(pictures, tagged, strict=True):
        assert noun in picture.nouns[region.caption]


def test_the_caption_of_a_choice_is_the_first_that_won_it(dictionary: StoredDictionary) -> None:
    pictures, tagged = chosen(dictionary, "dog")
    assert pictures[0].captions[tagged[0].caption] == "a cat and a dog"


def test_where_regions_are_few_they_are_shared(dictionary: StoredDictionary) -> None:
    """Three nouns, two regions: each takes the one that fits it best."""
    picture = made(9, [0, 1], {"a cat, a dog and a mat": ("cat", "dog", "mat")})
    own = CandidateReader(dictionary, []).read([replace(picture, id="p0")]).of_rows(slice(2))
    for noun in ("cat", "dog", "mat"):
        assert chooser(dictionary, noun)[1].choose(picture, own) is not None


def test_where_all_regions_are_refused_none_is_chosen(dictionary: StoredDictionary) -> None:
    pictures, judge = chooser(dictionary, "cat")
    own = CandidateReader(dictionary, []).read(pictures[:1])
    assert judge.choose(pictures[0], own, free=np.zeros(3, np.bool_)) is None
    free = np.array([False, True, False])
    tag = judge.choose(pictures[0], own, free=free)
    assert tag is not None
    assert tag.index == 1


def test_prototypes_tell_what_they_are_made_of(dictionary: StoredDictionary) -> None:
    pictures, tagged = chosen(dictionary, "cat")
    reader = CandidateReader(dictionary, [])
    regions = reader.read_regions([(tag.image_id, tag.index) for tag in tagged])
    (prototype,) = make_prototypes(
        "cat",
        tagged,
        {picture.id: picture for picture in pictures},
        regions,
        thumbnails=lambda names: {p.id: p.thumbnail for p in pictures if p.id in names},
        generation="g",
    )
    members = regions.vectors
    assert np.allclose(prototype.vector, unit(members.mean(axis=0)), atol=1e-6)
    assert (prototype.noun, prototype.number, prototype.size) == ("cat", 0, 3)
    assert prototype.generation == "g"
    assert prototype.spread == pytest.approx(1 - (members @ prototype.vector).mean(), abs=1e-6)
    assert len(prototype.exemplars) == min(EXEMPLARS, 3)
    for exemplar in prototype.exemplars:
        number, index = int(exemplar.image_id[1:]), exemplar.index
        box = table(number, LOOKS[number]).boxes_xyxy[index]
        assert exemplar.box_xyxy == tuple(box.tolist())
        assert exemplar.source == "made"
        with Image.open(io.BytesIO(exemplar.thumbnail)) as image:
            assert 12 <= image.width <= 18
            assert 18 <= image.height <= 24


def test_no_choices_make_no_prototypes(dictionary: StoredDictionary) -> None:
    own = CandidateReader(dictionary, []).read_regions([])
    assert make_prototypes("cat", [], {}, own, thumbnails=lambda _: {}, generation="g") == []
