"""Scenes to learn from, of drawn worlds."""

from collections.abc import Iterator
from itertools import islice

import pytest

from captionary.build_training import load_worlds
from captionary.learning.data.scenes import Scenes, world_data
from captionary.learning.data.sources import TrainingData
from captionary.pictograms.nouns import choose_nouns
from captionary.schemas.errors import WrongInput


def load(held_out: int) -> TrainingData:
    return world_data("pictograms", load_worlds(), size=32, seed=0, held_out=held_out)


def words(kind: str) -> Iterator[str]:
    for noun in choose_nouns(kind):
        for word in noun.words:
            yield from (word.singular, word.plural)


def test_novel_nouns_are_neither_drawn_nor_named() -> None:
    data = load(held_out=3)
    novel = {noun.name for noun in choose_nouns("novel")}

    assert isinstance(data.examples, Scenes)
    assert isinstance(data.held_out, Scenes)
    for world in (*data.examples.worlds, *data.held_out.worlds):
        assert not novel & {noun.name for noun in world.nouns}
    assert data.labelled is not None
    assert not novel & set(data.labelled.names)
    used = {word.strip(".,") for text in islice(data.captions, 4000) for word in text.split()}
    assert not used & ({*words("novel")} - {*words("seen")} - {""})


def test_scenes_to_evaluate_on_are_none_to_learn_from() -> None:
    data = load(held_out=8)

    assert data.held_out is not None
    learned = {data.examples[index].picture.tobytes() for index in range(16)}
    assert not learned & {data.held_out[index].picture.tobytes() for index in range(8)}


def test_labels_are_the_nouns_of_the_scenes() -> None:
    """Each has one object, whose name its caption has in one of its forms."""
    data = load(held_out=12)

    assert data.labelled is not None
    assert data.labelled.pictures.shape == (12, 32, 32, 3)
    world = load_worlds()["pictograms"](size=32, seed=0, split="held-out", objects=1)
    forms = {noun.name: noun for noun in choose_nouns("seen")}
    for number, target in enumerate(data.labelled.targets):
        own = forms[data.labelled.names[target]]
        text = " ".join(world.captions_of(number))
        assert any(form in text for word in own.words for form in (word.singular, word.plural))


def test_nothing_held_out_nothing_evaluated() -> None:
    data = load(held_out=0)

    assert data.held_out is None
    assert data.labelled is None


def test_an_unknown_world_is_refused() -> None:
    with pytest.raises(WrongInput, match="unknown world 'moon'; choose pictograms"):
        world_data("moon", load_worlds(), size=32, seed=0, held_out=1)
