"""The Python interface: what can be given to it, and what comes back."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import captionary
from captionary.dictionary import Dictionary
from captionary.indexer.readers import Pair
from captionary.schemas.errors import CaptionaryError, UnreadablePicture, WrongInput
from captionary.schemas.jobs import Job
from captionary.segmenter.result import Result
from captionary.vision.pictures.in_memory import PictureLike
from tests.scenes import NOUNS

INDEXED = 6
CLASSES = ["dog", "apple", "bus", "person: man | woman"]


def scene(scenes: Path, number: int) -> Path:
    return scenes / "images" / f"{number:05d}.png"


@pytest.fixture(scope="module")
def dictionary(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dictionary]:
    """A dictionary of some scenes, to be read only."""
    lines = (scenes / "captions.jsonl").read_text().splitlines()[:INDEXED]
    folder = tmp_path_factory.mktemp("python")
    (folder / "captions.jsonl").write_text("\n".join(lines))
    with Dictionary(folder / "store", encoder="mini", device="cpu", workers=2) as opened:
        opened.index(folder / "captions.jsonl", images=scenes, source_name="drawn")
        yield opened


def test_a_picture_is_taken_in_any_form(dictionary: Dictionary, scenes: Path) -> None:
    path = scene(scenes, 20)
    with Image.open(path) as image:
        image.load()
    pixels = np.asarray(image.convert("RGB"))
    forms: list[PictureLike] = [str(path), path, path.read_bytes(), image, pixels]
    results = [dictionary.segment(form, CLASSES) for form in forms]
    for result in results:
        assert np.array_equal(result.class_map, results[0].class_map)
        assert np.array_equal(result.pixels, pixels)
    names = [result.name for result in results]
    assert names == [str(path), str(path), "picture", str(path), "picture"]


def test_classes_as_text_or_as_a_list(dictionary: Dictionary, scenes: Path) -> None:
    path = scene(scenes, 21)
    by_list = dictionary.segment(path, CLASSES)
    by_text = dictionary.segment(path, ", ".join(CLASSES))
    assert by_list.classes == by_text.classes == ("dog", "apple", "bus", "person")
    assert np.array_equal(by_list.class_map, by_text.class_map)
    with pytest.raises(WrongInput, match="is empty"):
        dictionary.segment(path, [])
    with pytest.raises(WrongInput, match="stands twice"):
        dictionary.segment(path, ["dog", "Dog"])


def test_a_noun_may_be_in_any_spelling(dictionary: Dictionary, scenes: Path) -> None:
    path = scene(scenes, 20)
    name, other = "teddy bear", "Teddy_Bears"
    assert (
        [p.vector.tobytes() for p in dictionary.prototypes(name)]
        == [p.vector.tobytes() for p in dictionary.prototypes(other)]
        != []
    )
    assert list(dictionary.pictures(noun=name)) == list(dictionary.pictures(noun=other)) != []
    assert dictionary.retrieve(path, noun=name) == dictionary.retrieve(path, noun=other) != ([], [])
    assert dictionary.prototypes("zeppelin") == []
    assert list(dictionary.pictures(noun="zeppelin")) == []
    by_name, by_other = (dictionary.segment(path, ["dog", item]) for item in (name, other))
    assert by_name.without_noun == by_other.without_noun == ()
    assert dictionary.segment(path, ["dog", "zeppelin"]).without_noun == ("zeppelin",)
    assert dictionary.segment(path, ["zeppelin"], fusion="text").without_noun == ()


def test_a_class_takes_its_kinds(dictionary: Dictionary, scenes: Path, tmp_path: Path) -> None:
    path = scene(scenes, 20)
    pictures = {entry.noun: entry.pictures for entry in dictionary.nouns()}
    (tmp_path / "kinds.txt").write_text("zeppelin: dogs")

    result = dictionary.segment(path, ["animal", "zeppelin"])
    exact = dictionary.segment(path, ["animal", "zeppelin"], exact=True)
    table = dictionary.segment(path, ["animal", "zeppelin"], kinds=tmp_path / "kinds.txt")

    assert result.kinds["animal"] == (("bear", pictures["bear"]),)  # of dogs there are too few
    assert result.without_noun == ("zeppelin",)
    assert (exact.kinds, exact.without_noun) == ({}, ("animal", "zeppelin"))
    assert table.kinds["zeppelin"] == (("dog", pictures["dog"]),)
    assert table.kinds["animal"] == result.kinds["animal"]
    with pytest.raises(WrongInput, match="exact names take no kinds"):
        dictionary.segment(path, ["animal"], exact=True, kinds={"animal": ["dog"]})


def test_many_pictures_one_by_one(dictionary: Dictionary, scenes: Path) -> None:
    read: list[int] = []

    def pictures() -> Iterator[Path | bytes]:
        for number in (20, 99, 21):
            read.append(number)
            yield scene(scenes, number)
        yield scene(scenes, 22).read_bytes()

    results = dictionary.segment(pictures(), CLASSES)
    assert not read, "a picture is read when its result is asked for"
    assert isinstance(next(results), Result)
    assert read == [20]
    with pytest.raises(UnreadablePicture, match="does not exist"):
        next(results)
    assert [Path(result.name).name for result in results] == ["00021.png", "picture-4"]


def test_what_is_no_picture_or_no_option_is_refused(
    dictionary: Dictionary, scenes: Path, tmp_path: Path
) -> None:
    path = scene(scenes, 20)
    for wrong, reason in (
        (5, "not of type int"),
        (None, "not of type NoneType"),
        (io.BytesIO(path.read_bytes()), "not of type BytesIO"),
        (np.zeros((2, 8, 8, 3), np.uint8), "several pictures; give list"),
        (Image.open(io.BytesIO(path.read_bytes()[:-200])), "truncated"),
    ):
        with pytest.raises(UnreadablePicture, match=reason):
            dictionary.segment(wrong, CLASSES)  # type: ignore[arg-type]
    options: list[dict[str, Any]] = [
        {"fusion": "votes"},
        {"background": "black"},
        {"threshold": 2},
        {"evidence": -1},
    ]
    for option in options:
        with pytest.raises(WrongInput, match=f"{next(iter(option))}.* (choose|must)"):
            dictionary.segment(path, CLASSES, **option)
    with pytest.raises(WrongInput, match="formats are"):
        dictionary.segment(path, CLASSES).save(tmp_path, "overlay")  # type: ignore[arg-type]


def test_files_are_named_after_the_picture_of_an_address(
    dictionary: Dictionary, scenes: Path, tmp_path: Path
) -> None:
    path = scene(scenes, 20)
    for name in (f"file://{path}?v=1.2", f"tar://{path.name}?512+10::{tmp_path}/many.tar"):
        result = replace(dictionary.segment(path, CLASSES), name=name)
        assert [file.name for file in result.save(tmp_path, ("json",))] == ["00020.json"]
        assert result.to_coco()["images"][0]["file_name"] == "00020.png"


def test_what_comes_back(dictionary: Dictionary, scenes: Path, tmp_path: Path) -> None:
    result = dictionary.segment(scene(scenes, 20), CLASSES, evidence=2)
    height, width = result.pixels.shape[:2]
    masks = np.stack([result.mask(name) for name in result.classes])
    assert masks.shape == (4, height, width)
    assert (masks.sum(axis=0) == 1).all()
    assert result.revision == dictionary.stats().revision
    assert any(region.evidence for region in result.regions)
    assert {path.name for path in result.save(tmp_path)} == {
        "00020.overlay.jpg",
        "00020.png",
        "00020.json",
    }
    assert json.loads((tmp_path / "00020.json").read_text()) == result.to_json()


def test_pairs_of_any_form_are_indexed(scenes: Path, tmp_path: Path) -> None:
    with Image.open(scene(scenes, 1)) as image:
        image.load()
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    jobs: list[Job] = []
    pairs: list[Pair] = [
        (scene(scenes, 0), "a dog on the grass"),
        (image, ["an apple", "a red apple"]),
        (buffer.getvalue(), "a bus"),
        (np.zeros((4, 4, 3), np.complex64), "a dog"),
        (tmp_path / "none.png", "a dog"),
        captionary.ImageCaption(str(scene(scenes, 2)), ("a man",), id="mine", tags=("new",)),
        (Image.open(io.BytesIO(buffer.getvalue()[:-200])), "a cut picture of a dog"),
    ]
    with Dictionary(tmp_path / "store", encoder="mini", device="cpu") as opened:
        job = opened.index(pairs, source_name="mixed", on_pair=jobs.append)
        assert (job.pairs, job.added) == (7, 4)
        assert [failure.where for failure in job.failures] == ["pair 4", "pair 5", "pair 7"]
        assert "complex64" in job.failures[0].reason
        assert "truncated" in job.failures[2].reason
        assert jobs[-1].pairs == 7
        ids = {picture.id: picture for picture in opened.pictures()}
        assert ids["mine"].captions == ("a man",)
        assert {picture.source for picture in ids.values()} == {"mixed"}
        assert opened.index(pairs[:1]).known == 1


def test_a_dictionary_is_read(dictionary: Dictionary) -> None:
    nouns = dictionary.nouns()
    assert {entry.noun for entry in nouns} & set(NOUNS)
    assert [entry.pictures for entry in nouns] == sorted(
        (entry.pictures for entry in nouns), reverse=True
    )
    noun = nouns[0].noun
    assert dictionary.prototypes(noun)[0].exemplars
    assert len(list(dictionary.pictures(noun=noun))) == nouns[0].pictures
    assert len(list(dictionary.pictures(source="drawn"))) == INDEXED
    assert not list(dictionary.pictures(source="other"))
    assert dictionary.stats().images == INDEXED


def test_nearest_nouns_and_regions(dictionary: Dictionary, scenes: Path) -> None:
    path = scene(scenes, 0)
    nouns, regions = dictionary.retrieve(path, limit=3)
    assert len(nouns) == len(regions) == 3
    noun = dictionary.nouns()[0].noun
    nouns, regions = dictionary.retrieve(path, box_xyxy=(0, 0, 40, 40), limit=5, noun=noun)
    assert [near.noun for near in nouns] == [noun]
    assert 0 < len(regions) <= 5
    assert all(noun in region.nouns for region in regions)
    assert not dictionary.retrieve(path, source="other")[1]
    with pytest.raises(WrongInput, match="empty or not within the picture"):
        dictionary.retrieve(path, box_xyxy=(5, 5, 5, 9))


def test_growing_and_correcting_are_seen_at_once(scenes: Path, tmp_path: Path) -> None:
    pairs = [(scene(scenes, number), "a dog") for number in range(2)]
    with Dictionary(tmp_path / "store", encoder="mini", device="cpu") as opened:
        with pytest.raises(WrongInput, match="there is no dictionary"):
            opened.segment(pairs[0][0], "dog, apple")
        opened.index(pairs, source_name="first")
        before = opened.segment(pairs[0][0], "dog, apple")
        opened.index([(scene(scenes, 5), "an apple")], source_name="second")
        after = opened.segment(pairs[0][0], "dog, apple")
        assert before.revision is not None
        assert after.revision is not None
        assert after.revision > before.revision
        assert {entry.noun for entry in opened.nouns()} == {"dog", "apple"}
        assert opened.remove(source="second") == (1, 1)
        assert {entry.noun for entry in opened.nouns()} == {"dog"}
        with pytest.raises(WrongInput, match="has no source 'second'"):
            opened.remove(source="second")
        with pytest.raises(WrongInput, match="name what to remove"):
            opened.remove()
        identity = next(opened.pictures()).id
        assert opened.remove(image=identity)[0] == 1
    with Dictionary(tmp_path / "store") as opened:  # its models are those of the store
        assert opened.stats().images == 1
        assert opened.segment(pairs[0][0], "dog").classes == ("dog",)
    for use in (opened.stats, opened.nouns, lambda: opened.segment(pairs[0][0], "dog")):
        with pytest.raises(CaptionaryError, match="is closed; open it again"):
            use()


def test_without_a_store_text_alone_decides(scenes: Path) -> None:
    with Dictionary(None, encoder="mini", device="cpu") as opened:
        result = opened.segment(scene(scenes, 20), CLASSES)
        assert result.revision is None
        with pytest.raises(WrongInput, match="needs a dictionary"):
            opened.stats()
        with pytest.raises(WrongInput, match="needs a dictionary"):
            opened.index([(scene(scenes, 0), "a dog")])
        with pytest.raises(WrongInput, match="needs a dictionary"):
            opened.segment(scene(scenes, 20), CLASSES, fusion="both")


def test_an_empty_dictionary_says_so(tmp_path: Path, scenes: Path) -> None:
    with Dictionary(tmp_path / "store", encoder="mini", device="cpu") as opened:
        opened.index([])
        with pytest.raises(WrongInput, match="is empty; fill it"):
            opened.segment(scene(scenes, 0), "dog")


def test_evaluate(dictionary: Dictionary, scenes: Path) -> None:
    done: list[tuple[int, int]] = []
    named: list[tuple[int, int]] = []
    figures = dictionary.evaluate(
        scenes,
        part="1/20",
        on_name=lambda *counts: named.append(counts),
        on_picture=lambda *counts: done.append(counts),
    )
    assert 0 < figures["miou"] <= 1
    assert figures["settings"]["fusion"] == "all"
    assert done[-1] == (figures["images"], figures["images"])
    assert named[-1][0] == named[-1][1] >= len(figures["iou"])


def test_the_package_names_what_it_has() -> None:
    assert captionary.Dictionary is Dictionary
    assert set(captionary.__all__) <= set(dir(captionary))
    for name in captionary.__all__:
        assert getattr(captionary, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'dictionaries'"):
        _ = captionary.dictionaries
