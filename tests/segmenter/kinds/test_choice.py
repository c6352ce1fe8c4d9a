"""Which nouns are kinds of which class."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captionary.schemas.classes import ClassName, parse_classes
from captionary.schemas.nouns import NounIndex
from captionary.segmenter.kinds.choice import kinds_of_classes
from captionary.segmenter.kinds.lexicon import wordnet
from captionary.segmenter.kinds.table import BY_LEXICON, KindRules, parse_kinds

NOUNS = (
    *("man", "woman", "girl", "people", "crowd", "person", "baseball player", "fence", "cookie"),
    *("dog", "puppy", "police dog", "cow", "horse", "cat", "bird", "duck", "toaster", "hot dog"),
    *("pond", "pool", "river", "rock face", "bench", "table", "bike", "motorcycle", "bus", "van"),
    *("oak", "tree", "rose", "banana", "pizza", "cake", "skyscraper", "house", "grass", "bush"),
)


def kinds(text: str, rules: KindRules = BY_LEXICON) -> dict[str, set[str]]:
    classes = parse_classes(text)
    index = NounIndex(NOUNS)
    named = {noun for item in classes for prompt in item.prompts for noun in index.find(prompt)}
    found = kinds_of_classes(classes, NOUNS, named, rules)
    return {item.name: set(of_class) for item, of_class in zip(classes, found, strict=True)}


PERSONS = {"man", "woman", "girl", "people", "crowd", "baseball player"}


def test_a_class_takes_what_is_a_kind_of_it() -> None:
    found = kinds("person, vehicle, furniture, water, food, building")

    assert found["person"] == PERSONS
    assert found["vehicle"] == {"bike", "motorcycle", "bus", "van"}
    assert found["furniture"] == {"bench", "table"}
    assert found["water"] == {"pond", "pool", "river"}
    assert found["food"] == {"banana", "pizza", "cake", "cookie", "hot dog"}
    assert found["building"] == {"skyscraper", "house"}


@pytest.mark.parametrize("singular", ["person", "persons", "People", "a person"])
def test_a_class_is_understood_in_any_spelling(singular: str) -> None:
    assert {"man", "woman", "girl"} <= kinds(singular)[singular]


def test_the_nearest_class_takes_a_noun() -> None:
    assert kinds("animal")["animal"] >= {"dog", "puppy", "police dog", "cow", "bird", "duck"}
    found = kinds("animal, dog, bird")
    assert found["dog"] == {"puppy", "police dog"}
    assert found["bird"] == {"duck"}
    assert found["animal"] == {"cow", "horse", "cat"}


def test_a_name_of_a_class_is_no_kind_of_another() -> None:
    assert kinds("animal, dogs, plant, tree")["animal"].isdisjoint({"dog", "puppy"})
    assert kinds("body|person, face")["face"] == set()
    assert "people" not in kinds("person, people")["person"]


def test_equally_near_classes_share_a_noun() -> None:
    found = kinds("jitney, motorbus")

    assert found["jitney"] == found["motorbus"] == {"bus"}


def test_names_of_a_class_explain_each_other() -> None:
    """Alone, a bike is a motorcycle first, and a plant is none with machines."""
    assert "motorcycle" in kinds("bike")["bike"]
    assert "motorcycle" not in kinds("sky, bicycle|bike")["bicycle"]
    assert kinds("plant")["plant"] >= {"tree", "grass", "bush"}
    assert kinds("sky, plant|works")["plant"] == set()


@pytest.mark.parametrize("name", ["thing", "object", "stuff", "entity", "matter", "Background"])
def test_what_is_too_general_takes_nothing(name: str) -> None:
    assert kinds(f"{name}, dog")[name] == set()


def test_a_compound_is_a_kind_of_its_last_word() -> None:
    assert kinds("dog")["dog"] == {"puppy", "police dog"}
    assert "rock face" not in kinds("face")["face"]  # nor is a leg of a chair a leg


def test_a_class_that_is_written_out_takes_no_kinds_and_lends_none() -> None:
    found = kinds("dog: poodle, animal, person: man | woman")

    assert found["dog"] == found["person"] == set()
    assert "puppy" not in found["animal"]
    assert "cow" in found["animal"]


def test_exact_names() -> None:
    assert kinds("person, animal", KindRules(exact=True)) == {"person": set(), "animal": set()}


def test_a_table_goes_first() -> None:
    table = parse_kinds("chairs: bench, zeppelin\nPersons: girls\ntree:\nsofa: table")

    found = kinds("chair, person, furniture, tree|plant", KindRules(table=table))

    assert found == {"chair": {"bench"}, "person": {"girl"}, "furniture": {"table"}, "tree": set()}


LISTS = st.lists(
    st.sampled_from(["person", "animal", "dog", "bird", "vehicle", "food", "plant", "tree", "man"]),
    min_size=1,
    unique=True,
)


@given(LISTS)
def test_a_class_is_above_its_kinds_and_order_does_not_matter(names: list[str]) -> None:
    found = kinds(", ".join(names))
    lexicon = wordnet()

    assert found == kinds(", ".join(reversed(names)))
    for name, nouns in found.items():
        for noun in nouns:
            above = lexicon.levels(lexicon.senses_of_compound(noun))
            assert any(lexicon.senses(name) & level for level in above)


@given(LISTS, st.sampled_from(["mammal", "cow", "vessel", "woman", "organism"]))
def test_a_further_class_takes_only_what_is_nearer_to_it(names: list[str], more: str) -> None:
    before, after = kinds(", ".join(names)), kinds(", ".join((*names, more)))

    assert all(after[name] <= before[name] for name in names)
    lost = {noun for name in names for noun in before[name] - after[name]}
    assert lost <= after[more] | {more}


def test_a_long_list_over_a_large_dictionary_is_quick() -> None:
    words = sorted(wordnet()._meant)
    classes = [ClassName(word, (word,)) for word in words[::50][:1200]]
    nouns = [*words[::7][:8000], *(f"red {word}" for word in words[::31][:2000])]
    start = time.perf_counter()

    found = kinds_of_classes(classes, nouns, [item.name for item in classes], BY_LEXICON)

    assert any(found)
    assert time.perf_counter() - start < 2  # a quarter of that on an idle core
