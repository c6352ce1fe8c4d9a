"""A picture is left out exactly: of prototypes, and of neighbours."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from captionary.indexer.clustering import mean_direction
from captionary.schemas.classes import ClassName
from captionary.segmenter.class_vectors import encode_classes_by_dictionary
from captionary.segmenter.kinds.table import KindRules
from captionary.segmenter.quality import leave_one_out
from captionary.segmenter.quality.leave_one_out import (
    choose_pictures,
    examine,
    frequent_classes,
    leave_out,
)
from captionary.segmenter.quality.left_out import of_some
from captionary.vocabulary.centring import centred
from captionary.vocabulary.records.regions import read_tags
from captionary.vocabulary.retrieval import Retriever
from captionary.vocabulary.stored_dictionary import StoredDictionary
from tests.segmenter.quality.small_world import LOOK_DIM, NoisyText, world

TEXT = NoisyText()


@pytest.fixture(scope="module", params=[0, LOOK_DIM])
def retriever(request: pytest.FixtureRequest) -> Retriever:
    return Retriever(world(40, look_dim=request.param))


def members(stored: StoredDictionary, noun: str) -> list[tuple[str, int]]:
    ids = [picture.id for picture in stored.pictures(noun=noun)]
    tags = read_tags(stored.engine.collection("regions"), ids)
    return [(name, row) for name in ids for row in tags[name].get(noun, ())]


def test_prototypes_are_those_of_the_other_members(retriever: Retriever) -> None:
    stored = retriever.dictionary
    classes = frequent_classes(retriever, TEXT)
    pictures = {picture.id: picture for picture in stored.pictures()}
    tables = dict(zip(pictures, stored.region_tables(list(pictures.values())), strict=True))
    common = retriever.common_parts().look
    compared = 0
    for one in leave_out(retriever, classes, sorted(pictures)[:10]):
        for number, item in enumerate(classes.classes):
            own = members(stored, item.name)
            columns = classes.column[classes.owner == number]
            looks = {of: centred(tables[of[0]].looks[of[1] : of[1] + 1], common)[0] for of in own}
            nearest = {of: int((classes.looks[columns] @ looks[of]).argmax()) for of in own}
            for place, column in enumerate(columns):
                rest = [looks[of] for of in own if of[0] != one.picture.id and nearest[of] == place]
                assert_allclose(
                    one.classes.looks[column], mean_direction(np.array(rest)), atol=1e-4
                )
                compared += 1
    assert compared == 10 * len(classes.owner)


def test_a_prototype_with_no_other_member_vanishes(retriever: Retriever) -> None:
    stored = retriever.dictionary
    name = stored.pictures_named(["p000"])[0].nouns[0][0]
    only = world(1)
    rules = KindRules(exact=True)
    classes = encode_classes_by_dictionary([ClassName(name, (name,))], TEXT, Retriever(only), rules)
    [one] = leave_out(Retriever(only), classes, ["p000"])

    assert len(classes.owner) == 1
    assert len(one.classes.owner) == 0
    assert one.near.weight.sum() == 0


def test_its_own_regions_are_no_neighbours(retriever: Retriever) -> None:
    stored = retriever.dictionary
    classes = frequent_classes(retriever, TEXT)
    sample = [picture.id for picture in stored.pictures_named(stored.sample())]
    for one in leave_out(retriever, classes, sample[:5]):
        place = sample.index(one.picture.id)
        asked = retriever.neighbours(one.table)

        assert (asked.weight[:, place] > 0).all()
        assert_array_equal(one.near.weight[:, place], 0)
        assert_allclose(one.near.weight.sum(axis=1), 1, atol=1e-5)


def test_some_classes_are_as_if_no_others_had_been_asked_for(retriever: Retriever) -> None:
    classes = frequent_classes(retriever, TEXT)
    chosen = [5, 0, 3]
    some = of_some(classes, chosen, TEXT.logit_scale)
    names = [classes.classes[number] for number in chosen]
    alone = encode_classes_by_dictionary(names, TEXT, retriever, KindRules(exact=True))

    assert some.classes == alone.classes
    assert some.nouns == alone.nouns
    assert_allclose(some.prompts[np.argsort(some.prompt_owner)], alone.prompts)
    assert_allclose(some.trust, alone.trust, atol=1e-6)
    for number in range(len(chosen)):
        ours, theirs = some.owner == number, alone.owner == number
        assert_allclose(some.looks[some.column[ours]], alone.looks[alone.column[theirs]])
        assert_allclose(some.weight[ours], alone.weight[theirs])


def test_the_work_is_bounded(retriever: Retriever, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leave_one_out, "MOST_NOUNS", 4)
    monkeypatch.setattr(leave_one_out, "MOST_PICTURES", 12)
    monkeypatch.setattr(retriever.dictionary, "sample", lambda: ["p000", "p001"])
    classes = frequent_classes(retriever, TEXT)
    ids = choose_pictures(retriever, classes.nouns)

    assert len(classes.classes) == 4
    assert ids[:2] == ["p000", "p001"]
    assert len(ids) == len(set(ids)) == 12


def test_a_dictionary_without_frequent_nouns_has_nothing_to_ask() -> None:
    found = examine(Retriever(world(2)), TEXT)

    assert found.nouns == ()
    assert found.asked == ()
