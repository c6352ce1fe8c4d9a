"""Pairs in, dictionary out: what is counted, what is refused, and that order leaves no trace."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from captionary.indexer import pipeline
from captionary.indexer.nouns import NounExtractor
from captionary.indexer.pipeline import Indexer
from captionary.indexer.refresh import Refresher
from captionary.schemas.jobs import Job
from captionary.schemas.pairs import ImageCaption, PairFailure
from tests.indexer.planted import (
    EXTRACTOR,
    SCENES,
    ColourText,
    Dump,
    dump,
    index,
    indexer,
    opened,
    opened_folder,
    pairs,
    stored,
)


def sums_up(job: Job) -> bool:
    return job.state == "done" and job.pairs == job.added + job.known + len(job.failures)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> list[ImageCaption]:
    """Two pictures of every scene."""
    return pairs(tmp_path_factory.mktemp("world") / "pictures", SCENES * 2)


@pytest.fixture(scope="module")
def clean(
    world: list[ImageCaption], nouns: NounExtractor, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Job, Dump]:
    """One run over the world, into a folder; what runs in memory is to be equal to it."""
    with opened_folder(tmp_path_factory.mktemp("clean") / "store") as dictionary:
        return indexer(dictionary, nouns).index(world), dump(dictionary)


def test_a_run_counts_and_tags(clean: tuple[Job, Dump]) -> None:
    job, points = clean
    assert sums_up(job)
    assert (job.pairs, job.added, job.known, job.nouns) == (12, 12, 0, 4)
    assert len(points["pictures"]) == 12
    assert {payload["state"] for payload, _ in points["pictures"].values()} == {"settled"}
    tagged = [noun for payload, _ in points["regions"].values() for noun in payload["noun"]]
    assert sorted(tagged) == sorted(noun for scene in SCENES * 2 for noun in scene)


def test_the_same_again_changes_nothing(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor
) -> None:
    with opened(tmp_path / "store") as dictionary:
        indexer(dictionary, nouns).index(world)
        before, revision = dump(dictionary), dictionary.revision
        job = indexer(dictionary, nouns).index(world)
        assert dump(dictionary) == before
        assert dictionary.revision == revision
    assert sums_up(job)
    assert (job.added, job.known, job.nouns) == (0, 12, 0)


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"max_pixels": 96 * 96 - 1}, "has 9,216 pixels, more than the limit of 9,215"),
        ({"max_bytes": 1000}, "is larger than the limit of 1,000 bytes"),
    ],
)
def test_pictures_are_held_to_limits(
    limit: dict[str, Any],
    said: str,
    tmp_path: Path,
    world: list[ImageCaption],
    nouns: NounExtractor,
) -> None:
    with opened(tmp_path / "store") as dictionary:
        refresher = Refresher(dictionary, ColourText())
        strict = Indexer(dictionary, EXTRACTOR, nouns, refresher, workers=1, **limit)
        (failure,) = strict.index(world[:1]).failures
    assert said in failure.reason


def test_the_order_of_pictures_leaves_no_trace(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor, clean: tuple[Job, Dump]
) -> None:
    index(tmp_path / "store", random.Random(4).sample(world, len(world)), nouns)
    assert stored(tmp_path / "store") == clean[1]


def test_the_size_of_batches_leaves_no_trace(
    tmp_path: Path,
    world: list[ImageCaption],
    nouns: NounExtractor,
    clean: tuple[Job, Dump],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "BATCH", 5)
    index(tmp_path / "store", world, nouns)
    assert stored(tmp_path / "store") == clean[1]


def test_a_run_broken_off_is_taken_up(
    tmp_path: Path,
    world: list[ImageCaption],
    nouns: NounExtractor,
    clean: tuple[Job, Dump],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline, "BATCH", 2)

    def stop_at(pictures: int, done_nouns: int) -> None:
        def pictures_done(job: Job) -> None:
            if job.added >= pictures:
                raise KeyboardInterrupt

        def nouns_done(done: int, _due: int) -> None:
            if done >= done_nouns:
                raise KeyboardInterrupt

        with opened_folder(tmp_path / "store") as dictionary, pytest.raises(KeyboardInterrupt):
            indexer(dictionary, nouns).index(world, report=pictures_done, refreshed=nouns_done)

    stop_at(4, 0)
    stop_at(99, 1)
    stop_at(99, 2)
    with opened_folder(tmp_path / "store") as dictionary:
        job = indexer(dictionary, nouns).index(world)
        assert dump(dictionary) == clean[1]
    assert (job.added, job.known) == (0, 12)
    assert sums_up(job)


def test_captions_of_a_picture_may_come_in_several_rows(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor
) -> None:
    """Next to each other, in one batch, or in a later run: only once is the picture cut."""
    extra = [replace(pair, captions=("a banana, I am told",)) for pair in world[:2]]
    whole = [
        replace(pair, captions=(*pair.captions, *more.captions))
        for pair, more in zip(world, extra, strict=False)
    ] + world[2:]
    index(tmp_path / "whole", whole, nouns)
    expected = stored(tmp_path / "whole")
    job = index(tmp_path / "rows", [world[0], extra[0], *world[1:], extra[1], extra[1]], nouns)
    assert stored(tmp_path / "rows") == expected
    assert (job.pairs, job.added, job.known) == (15, 14, 1)
    index(tmp_path / "later", world, nouns)
    later = index(tmp_path / "later", extra, nouns)
    assert stored(tmp_path / "later") == expected
    assert (later.pairs, later.added, later.known) == (2, 2, 0)
    assert later.nouns == len({"banana", *SCENES[0], *SCENES[1]})


@pytest.mark.parametrize("cut_short", [False, True])
def test_replaced_captions_leave_no_trace(
    tmp_path: Path,
    world: list[ImageCaption],
    nouns: NounExtractor,
    clean: tuple[Job, Dump],
    cut_short: bool,
) -> None:
    def stop(_done: int, _due: int) -> None:
        raise KeyboardInterrupt

    wrong = replace(world[0], captions=("a zebra and a banana",))
    index(tmp_path / "store", [wrong, *world[1:]], nouns)
    with opened(tmp_path / "store") as dictionary:
        if cut_short:
            with pytest.raises(KeyboardInterrupt):
                indexer(dictionary, nouns).index(world, replace_captions=True, refreshed=stop)
        job = indexer(dictionary, nouns).index(world, replace_captions=True)
        assert dump(dictionary) == clean[1]
    assert (job.added, job.known) == ((0, 12) if cut_short else (1, 11))
    assert job.nouns > 0


def test_rows_of_a_picture_replace_its_captions_together(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor
) -> None:
    index(tmp_path / "store", [replace(world[0], captions=("a zebra",))], nouns)
    blank = replace(world[0], captions=("of it",))  # refused, so that it replaces nothing
    rows = [blank, world[0], world[1], replace(world[0], captions=("a leaf",))]
    with opened(tmp_path / "store") as dictionary:
        indexer(dictionary, nouns).index(rows, replace_captions=True)
        captions = {picture.image: picture.captions for picture in dictionary.pictures()}
    assert captions[str(world[0].image)] == (*world[0].captions, "a leaf")


@pytest.mark.parametrize("later", [False, True])
def test_a_removed_source_leaves_no_trace(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor, later: bool
) -> None:
    named = [replace(pair, source="A" if n % 3 else "B") for n, pair in enumerate(world)]
    kept = [pair for pair in named if pair.source == "A"]
    index(tmp_path / "alone", kept, nouns)
    if later:
        index(tmp_path / "both", kept, nouns)
    index(tmp_path / "both", named, nouns)
    with opened(tmp_path / "both") as dictionary:
        dictionary.retire([picture.id for picture in dictionary.pictures(source="B")])
        indexer(dictionary, nouns).index([])
        assert dump(dictionary) == stored(tmp_path / "alone")


def test_what_a_cut_short_removal_left_is_cleared_before_pictures_come_back(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor
) -> None:
    """The picture comes back under its old id, with other captions: its old nouns must go."""
    index(tmp_path / "store", world, nouns)
    changed = replace(world[0], captions=("a leaf",))
    with opened(tmp_path / "store") as dictionary:
        first = next(item for item in dictionary.pictures() if item.image == world[0].image)
        dictionary.retire([first.id])
    index(tmp_path / "store", [changed], nouns)
    index(tmp_path / "clean", world[1:], nouns)
    index(tmp_path / "clean", [changed], nouns)
    assert stored(tmp_path / "store") == stored(tmp_path / "clean")


def broken(folder: Path, world: list[ImageCaption]) -> list[ImageCaption | PairFailure]:
    """Pairs that cannot be indexed."""
    jpeg, empty, text = folder / "short.png", folder / "empty.jpg", folder / "text.jpg"
    jpeg.write_bytes(Path(world[0].picture_name).read_bytes()[:700])
    empty.write_bytes(b"")
    text.write_text("this is no picture")
    said = world[0].captions
    return [
        ImageCaption(str(folder / "missing.jpg"), said, where="w:1"),
        ImageCaption(str(jpeg), said, where="w:2"),
        ImageCaption(str(empty), said, where="w:3"),
        ImageCaption(str(text), said, where="w:4"),
        ImageCaption(str(folder), said, where="w:5"),
        ImageCaption("", said, where="w:6"),
        replace(world[1], captions=("", "  \n"), where="w:7"),
        replace(world[1], captions=(), where="w:8"),
        replace(world[2], captions=("it is and was so",), where="w:9"),
        PairFailure("w:10", "", "it is not JSON"),
    ]


def test_bad_pairs_are_reported_and_nothing_else_is_lost(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor, clean: tuple[Job, Dump]
) -> None:
    bad = broken(tmp_path, world)
    items = [item for pair in zip(bad, world, strict=False) for item in pair] + world[len(bad) :]
    for run in range(2):
        job = index(tmp_path / "store", items, nouns)
        assert {failure.where for failure in job.failures} == {f"w:{n}" for n in range(1, 11)}
        assert len(job.failures) == 10
        assert all(f.reason and "\n" not in f.reason for f in job.failures)
        assert sums_up(job)
        assert (job.added, job.known) == ((12, 0) if run == 0 else (0, 12))
        assert stored(tmp_path / "store") == clean[1]


def test_a_caption_without_nouns_is_refused_in_every_run_alike(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor, clean: tuple[Job, Dump]
) -> None:
    """Whether the picture is known already must not matter, or a second run would differ."""
    bare = replace(world[0], captions=("it is and was so",), where="bare")
    for _ in range(2):
        job = index(tmp_path / "store", [bare, *world, bare], nouns)
        assert [failure.where for failure in job.failures] == ["bare", "bare"]
        assert sums_up(job)
        assert stored(tmp_path / "store") == clean[1]


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_an_id_belongs_to_one_picture(
    tmp_path: Path,
    world: list[ImageCaption],
    nouns: NounExtractor,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    """Also where the other picture was read ahead, before the first was stored."""
    monkeypatch.setattr(pipeline, "BATCH", batch)
    same = [replace(pair, id="mine", where=f"w:{n}") for n, pair in enumerate(world[:3])]
    job = index(tmp_path / "store", [*same, same[0]], nouns)
    assert [failure.where for failure in job.failures] == ["w:1", "w:2"]
    assert all("'mine' belongs to another picture" in f.reason for f in job.failures)
    assert (job.added, job.known) == (1, 1)
    with opened(tmp_path / "store") as dictionary:
        (picture,) = dictionary.pictures()
        assert picture.captions == world[0].captions
        assert picture.image == world[0].image


def test_the_same_picture_under_another_name_is_known(
    tmp_path: Path, world: list[ImageCaption], nouns: NounExtractor
) -> None:
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(world[0].picture_name).read_bytes())
    job = index(tmp_path / "store", [world[0], replace(world[0], image=str(copy))], nouns)
    assert (job.added, job.known, job.failures) == (1, 1, ())


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2)])
def test_the_smallest_pictures_are_pictures(
    tmp_path: Path, nouns: NounExtractor, size: tuple[int, int]
) -> None:
    Image.new("RGB", size, (200, 10, 10)).save(tmp_path / "small.png")
    job = index(tmp_path / "store", [ImageCaption(str(tmp_path / "small.png"), ("a dog",))], nouns)
    assert (job.added, job.nouns, job.failures) == (1, 1, ())


def test_a_run_of_nothing_is_a_run(tmp_path: Path, nouns: NounExtractor) -> None:
    assert index(tmp_path / "store", [], nouns) == Job("done")


def test_doubtful_captions_are_noted_and_unread_ones_refused(
    tmp_path: Path, nouns: NounExtractor
) -> None:
    made = pairs(tmp_path / "pictures", SCENES[:3])
    made[0] = replace(made[0], captions=("ein Hund auf der Wiese",))
    made[1] = replace(made[1], captions=("一只狗在草地上奔跑",))
    job = index(tmp_path / "store", made, nouns)
    assert (job.added, len(job.failures), [note.count for note in job.notes]) == (2, 1, [1])
    assert "Han script" in job.failures[0].reason
    assert "German" in job.notes[0].first
