import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from captionary.indexer.nouns import NounExtractor
from captionary.pictograms.captions import draw_captions
from captionary.pictograms.layouts import Layout, Pose, draw_layout
from captionary.pictograms.nouns import Noun, read_nouns
from tests.pictograms.parsing import NUMBERS, Mention, parse_caption, words_of

ANY_SEED = st.integers(0, 2**32)


def layout_and_captions(seed: int, *, captions: int = 4) -> tuple[Layout, tuple[str, ...]]:
    random = np.random.default_rng(seed)
    layout = draw_layout(random, read_nouns())
    return layout, draw_captions(random, layout, captions)


def noun_of(mention: Mention) -> Noun:
    (noun,) = (noun for noun in read_nouns() if mention.word in noun.words)
    return noun


def poses_of(layout: Layout, mention: Mention) -> list[Pose]:
    return [pose for pose in layout.poses if pose.noun == noun_of(mention)]


@given(ANY_SEED)
def test_captions_name_what_is_there_each_once(seed: int) -> None:
    layout, captions = layout_and_captions(seed)
    there = {pose.noun for pose in layout.poses}
    for caption in captions:
        named = [noun_of(thing) for thing in parse_caption(caption).things]
        assert len(set(named)) == len(named)
        assert set(named) <= there
        left_out = there - set(named)
        assert len(left_out) <= 1


@given(ANY_SEED)
def test_what_is_left_out_is_the_smallest(seed: int) -> None:
    layout, captions = layout_and_captions(seed)
    areas: dict[Noun, float] = {}
    for pose in layout.poses:
        areas[pose.noun] = areas.get(pose.noun, 0) + pose.side**2
    for caption in captions:
        named = {noun_of(thing) for thing in parse_caption(caption).things}
        for noun in areas.keys() - named:
            assert areas[noun] == min(areas.values())


@given(ANY_SEED)
def test_numbers_and_plurals_are_true(seed: int) -> None:
    layout, captions = layout_and_captions(seed)
    for caption in captions:
        for thing in parse_caption(caption).things:
            count, word = len(poses_of(layout, thing)), thing.word
            if not word.plural:
                assert thing.number == "some"
                continue
            assert thing.form == (word.singular if count == 1 else word.plural)
            if count > 1:
                assert NUMBERS.get(thing.number, count) == count
                assert thing.number in NUMBERS or (thing.number == "several" and count > 2)
            else:
                assert thing.number in ("a", "an", "the", "some")
                assert (thing.number == "some") == (word.singular == word.plural)


def test_there_is_one_and_there_are_several() -> None:
    nouns = [noun for noun in read_nouns() if noun.name in ("sheep", "suitcase", "jeans", "dog")]
    openings = set()
    for number in range(800):
        random = np.random.default_rng(number)
        layout = draw_layout(random, nouns, objects=1 + number % 2)
        for caption in draw_captions(random, layout, 4):
            if caption.startswith("there "):
                (thing,) = parse_caption(caption).things
                plural = thing.word.plural and thing.form == thing.word.plural
                assert caption.startswith("there are" if plural else "there is"), caption
                openings.add(caption.split()[1])
    assert openings == {"is", "are"}


@given(ANY_SEED)
def test_relations_are_true_of_the_first_of_each(seed: int) -> None:
    layout, captions = layout_and_captions(seed, captions=8)
    for reading in map(parse_caption, captions):
        if not reading.relation:
            continue
        one, other = (poses_of(layout, thing)[0] for thing in reading.things[:2])
        assert {
            "to the left of": one.x < other.x - 0.2,
            "to the right of": one.x > other.x + 0.2,
            "above": one.y < other.y - 0.2,
            "below": one.y > other.y + 0.2,
        }.get(reading.relation, True)


@given(ANY_SEED)
def test_the_ground_is_the_right_one(seed: int) -> None:
    layout, captions = layout_and_captions(seed)
    for reading in map(parse_caption, captions):
        assert reading.place is None or reading.place in layout.ground.words


def test_grounds_are_named_as_often_as_asked_for() -> None:
    random = np.random.default_rng(0)
    layout = draw_layout(random, read_nouns())
    for share in (0.0, 0.3, 1.0):
        captions = draw_captions(random, layout, 500, ground_share=share)
        named = np.mean([parse_caption(caption).place is not None for caption in captions])
        assert abs(named - share) < 0.08


def test_captions_vary() -> None:
    readings = [parse_caption(text) for seed in range(300) for text in layout_and_captions(seed)[1]]
    things = [thing for reading in readings for thing in reading.things]
    assert 0.3 < np.mean([reading.place is not None for reading in readings]) < 0.9
    assert 0.1 < np.mean([bool(reading.relation) for reading in readings]) < 0.5
    assert 0.05 < np.mean([bool(thing.adjective) for thing in things]) < 0.2
    assert {thing.number for thing in things} >= {"a", "an", "the", "some", "two", "several"}
    synonyms = [thing.word != noun_of(thing).words[0] for thing in things]
    assert 0.03 < np.mean(synonyms) < 0.2


def test_as_many_captions_as_asked_for() -> None:
    assert [len(layout_and_captions(0, captions=count)[1]) for count in (0, 1, 5)] == [0, 1, 5]


def test_the_nouns_of_captions_are_found() -> None:
    captions = [text for seed in range(500) for text in layout_and_captions(seed)[1]]
    named, found, wrong = 0, 0, 0
    for caption, nouns in zip(captions, NounExtractor().nouns(captions), strict=True):
        words = words_of(caption)
        heads = {word.split()[-1] for word in words}
        named += len(words)
        found += len(words & set(nouns))
        wrong += len(set(nouns) - words - heads)
    assert found / named >= 0.98
    assert wrong / named < 0.03
