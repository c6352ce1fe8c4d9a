"""What a caption says is not there teaches nothing; what sounds like it does."""

import pytest

from captionary.indexer.nouns import NounExtractor


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a street with no cars", {"street"}),
        ("a worker without a helmet", {"worker"}),
        ("this is not a dog", set()),
        ("it isn't a cat on the table", {"table"}),
        ("a beach free of people", {"beach"}),
        ("a house with no dog or cat", {"house"}),
        ("a road without any cars, trucks or buses", {"road"}),
        ("a man without shoes and socks", {"man"}),
        ("a table with neither a lamp nor a vase", {"table"}),
        ("a man not wearing a helmet", {"man"}),
        ("a dog that doesn't have a tail", {"dog"}),
        ("there are no parked cars on the street", {"street"}),
        ("a bench w/o a person", {"bench"}),
        ("a car-free street", {"street"}),
        ("a shelf with no cups of tea", {"shelf"}),
        ("there is no stop sign at the corner", set()),
        ("a bird instead of a dog", {"bird"}),
        ("nobody sits on the bench", {"bench"}),
    ],
)
def test_what_is_not_there(caption: str, expected: set[str], nouns: NounExtractor) -> None:
    assert set(next(nouns.nouns([caption]))) == expected


@pytest.mark.parametrize(
    ("caption", "taught"),
    [
        ("a man with no shirt", {"man"}),
        ("a no parking sign on a pole", {"sign", "pole"}),
        ("no smoking signs at the door", {"sign", "door"}),
        ("not only a dog but a cat", {"dog", "cat"}),
        ("nothing but a dog", {"dog"}),
        ("a boy with no shirt and a hat", {"boy", "hat"}),
        ("not a dog but a cat", {"cat"}),
        ("a house not far from the church", {"house", "church"}),
        ("a cat not looking at the dog", {"cat", "dog"}),
        ("not a great photo of my dog", {"dog"}),
        ("no less than three dogs", {"dog"}),
        ("bus no 7 at the station", {"bus", "station"}),
        ("we cannot see the face of the girl", {"girl"}),
        ("a dog breaks free of the fence", {"dog", "fence"}),
        ("an empty street except for a dog", {"street", "dog"}),
    ],
)
def test_what_is_there_all_the_same(caption: str, taught: set[str], nouns: NounExtractor) -> None:
    assert taught <= set(next(nouns.nouns([caption])))
